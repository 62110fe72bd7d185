"""`tfrec serve`: the embedded server, or the command line of the stock one."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from pydantic import ValidationError

from tfrec.errors import DescriptionError

if TYPE_CHECKING:
    from serving.options import ServerOptions

SUMMARY = "Answer gRPC and REST requests as TensorFlow Serving does, for development and tests."
EXAMPLES = [
    "tfrec serve models/songs",
    "tfrec serve models/songs --port 8500 --rest-port 8501 --ui",
    "tfrec serve --model-config-file models.config --enable-batching",
    "tfrec serve models/songs --print-command   # the same on the stock image",
    "tfrec serve --write-protoset tfserving.protoset   # for grpcurl",
]

# Options of the stock server under their own names, so that a command line moves over unchanged.
_FLAGS = {
    "enable_batching": "several clients' requests in one graph call",
    "enable_grpc_healthcheck_service": "the standard gRPC health service",
    "allow_version_labels_for_unavailable_models": "labels may precede their versions",
}
_THREADS = {
    "tensorflow_intra_op_parallelism": "threads within an op (0: automatic)",
    "tensorflow_inter_op_parallelism": "threads for different ops of a request "
    "(0: automatic; -1: the thread that answers it)",
}
_FILES = {
    "batching_parameters_file": "sizes and times of batches, in the stock text format",
    "monitoring_config_file": "switches the Prometheus page off or moves it",
    "ssl_config_file": "TLS for the gRPC port, mutual with `client_verify: true`",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    parser.add_argument(
        "models",
        nargs="?",
        type=Path,
        metavar="MODELS/NAME",
        help="folder of numbered versions; its name is the model's name",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    parser.add_argument("--port", type=int, default=8500, help="gRPC port (%(default)s; 0: any)")
    parser.add_argument(
        "--rest-port", "--rest_api_port", type=int, dest="rest_port", help="REST port (none)"
    )
    parser.add_argument(
        *_spellings("model_config_file"), type=Path, help="a models.config, for several models"
    )
    parser.add_argument("--model-root", type=Path, help="folder that reloads must stay inside")
    parser.add_argument(
        "--require-signature",
        type=Path,
        metavar="KEY",
        help="load only versions that were signed with this key file",
    )
    for name, text in _FLAGS.items():
        parser.add_argument(*_spellings(name), action="store_true", help=text)
    for name, text in _FILES.items():
        parser.add_argument(*_spellings(name), type=Path, help=text)
    for name, text in _THREADS.items():
        parser.add_argument(*_spellings(name), type=int, metavar="N", help=text)
    parser.add_argument(
        *_spellings("file_system_poll_wait_seconds"),
        type=float,
        default=1.0,
        metavar="SECONDS",
        help="pause between looks for new versions (%(default)s; 0: look once)",
    )
    parser.add_argument(
        "--max-message-mb", type=int, default=64, help="longest request, in MB (%(default)s)"
    )
    parser.add_argument("--request-log", type=Path, metavar="DIR", help="log sampled requests here")
    parser.add_argument(
        "--request-log-rate", type=float, default=0.01, help="share that is logged (%(default)s)"
    )
    parser.add_argument(
        "--request-log-key", type=Path, metavar="FILE", help="secret that pseudonymises user ids"
    )
    parser.add_argument("--ui", action="store_true", help="a page to look at, on the REST port")
    parser.add_argument(
        "--docker", action="store_true", help="run the stock image by Docker instead"
    )
    parser.add_argument(
        "--print-command", action="store_true", help="print the stock image's command and end"
    )
    parser.add_argument("--image", help="the stock image to run, instead of the latest")
    parser.add_argument(
        "--write-protoset", type=Path, metavar="FILE", help="write the protocol's file and end"
    )


def run(arguments: argparse.Namespace) -> int:
    """Serves until interrupted."""
    if arguments.write_protoset is not None:
        from serving.protoset import write_protoset

        write_protoset(arguments.write_protoset)
        print(f"wrote {arguments.write_protoset}")
        return 0
    options = _options(arguments)
    if arguments.print_command or arguments.docker:
        return _stock(options, arguments.image, execute=arguments.docker)
    return _serve(options)


def _spellings(name: str) -> tuple[str, str]:
    return f"--{name.replace('_', '-')}", f"--{name}"


def _options(arguments: argparse.Namespace) -> ServerOptions:
    from serving.options import ServerOptions

    models: Path | None = arguments.models
    rest_port = arguments.rest_port
    if arguments.ui and rest_port is None:
        rest_port = 8501
    stock = {name: getattr(arguments, name) for name in (*_FLAGS, *_FILES)}
    # What isn't given keeps its default, and isn't told to the stock server.
    given = ((name, getattr(arguments, name)) for name in _THREADS)
    stock |= {name: threads for name, threads in given if threads is not None}
    try:
        return ServerOptions(
            model_name=models.absolute().name if models else "default",
            model_base_path=models.absolute() if models else None,
            model_config_file=arguments.model_config_file,
            model_root=arguments.model_root,
            require_signature=arguments.require_signature,
            host=arguments.host,
            port=arguments.port,
            rest_api_port=rest_port,
            file_system_poll_wait_seconds=arguments.file_system_poll_wait_seconds,
            max_message_bytes=arguments.max_message_mb * 1024 * 1024,
            request_log_dir=arguments.request_log,
            request_log_rate=arguments.request_log_rate if arguments.request_log else 0.0,
            request_log_key_file=arguments.request_log_key,
            ui=arguments.ui,
            **stock,
        )
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "tfrec serve"
        raise DescriptionError(
            where,
            first["msg"].removeprefix("Value error, "),
            received=None if not first["loc"] else repr(first["input"]),
            remedy="See `tfrec serve --help`",
        ) from error


def _stock(options: ServerOptions, image: str | None, *, execute: bool) -> int:
    from serving.launch import IMAGE, docker_command, shown

    words = docker_command(options, image=image or IMAGE)
    print(shown(words), flush=True)
    if not execute:
        return 0
    try:
        os.execvp(words[0], words)
    except FileNotFoundError as error:
        raise DescriptionError(
            "--docker",
            "Docker must be installed",
            received="no `docker` on the PATH",
            remedy="Install it, or leave --docker out to use the embedded server",
        ) from error


def _serve(options: ServerOptions) -> int:
    if options.model_base_path is not None and not options.model_base_path.is_dir():
        raise DescriptionError(
            str(options.model_base_path),
            "a model's folder must exist",
            received="no such folder",
            remedy="Run `tfrec export RUN MODELS/NAME` first",
        )
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    logging.getLogger("serving").setLevel(logging.INFO)
    from serving.server import Server

    server = Server(options)

    def stop(number: int, frame: FrameType | None) -> None:
        server.request_stop()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    server.start()
    try:
        print(f"gRPC on {options.host}:{server.port}", flush=True)
        if server.rest_port is not None:
            print(f"REST on http://{options.host}:{server.rest_port}", flush=True)
        server.wait()
        print("finishing the requests under way", flush=True)
    finally:
        server.stop()
    return 0
