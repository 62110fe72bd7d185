"""The stock server's command line for the same models, ports and options."""

from __future__ import annotations

import shlex
from pathlib import Path

from serving.options import ServerOptions

__all__ = ["IMAGE", "docker_command", "shown"]

IMAGE = "tensorflow/serving:latest"
# Where the folders are inside the container.
_MODELS = "/models"
_CONFIG = "/config"
_FILES = {
    "model_config_file": "model_config_file",
    "batching_parameters_file": "batching_parameters_file",
    "monitoring_config_file": "monitoring_config_file",
    "ssl_config_file": "ssl_config_file",
}


def docker_command(options: ServerOptions, *, image: str = IMAGE) -> list[str]:
    r"""What runs an unmodified TensorFlow Serving as the embedded server would run.

    Args:
        options: The embedded server's options. Those that the stock server doesn't have (the page,
            the request log) are left out.
        image: The image to run.

    Returns:
        The words of a `docker run` command. A single model is mounted read-only; a models.config
        names paths of this machine, so its models' folder is mounted under the same path.

    Example:
        >>> options = ServerOptions(model_name="songs", model_base_path="/data/models/songs")
        >>> print(shown(docker_command(options, image="tensorflow/serving")))
        docker run --rm -p 127.0.0.1:8500:8500 -v /data/models/songs:/models/songs:ro \
          tensorflow/serving --port=8500 --model_name=songs --model_base_path=/models/songs
    """
    words = ["docker", "run", "--rm", "-p", f"{options.host}:{options.port}:8500"]
    flags = ["--port=8500"]
    if options.rest_api_port is not None:
        words += ["-p", f"{options.host}:{options.rest_api_port}:8501"]
        flags.append("--rest_api_port=8501")
    if options.model_base_path is not None:
        inside = f"{_MODELS}/{options.model_name}"
        words += ["-v", f"{options.model_base_path.absolute()}:{inside}:ro"]
        flags += [f"--model_name={options.model_name}", f"--model_base_path={inside}"]
    elif options.model_config_file is not None:
        for root in _model_roots(options.model_config_file):
            words += ["-v", f"{root}:{root}:ro"]
    for field, flag in _FILES.items():
        path = getattr(options, field)
        if path is not None:
            words += ["-v", f"{path.absolute()}:{_CONFIG}/{path.name}:ro"]
            flags.append(f"--{flag}={_CONFIG}/{path.name}")
    for field in (
        "enable_batching",
        "enable_grpc_healthcheck_service",
        "allow_version_labels_for_unavailable_models",
    ):
        if getattr(options, field):
            flags.append(f"--{field}")
    for field in ("tensorflow_intra_op_parallelism", "tensorflow_inter_op_parallelism"):
        if field in options.model_fields_set:
            flags.append(f"--{field}={getattr(options, field)}")
    return [*words, image, *flags]


def _model_roots(config: Path) -> list[Path]:
    from serving.stock_files import read_models

    return sorted({Path(entry.base_path) for entry in read_models(config).config})


def shown(words: list[str]) -> str:
    """A command line to copy: quoted, folded before the image's name.

    Example:
        >>> shown(["docker", "run", "a b"])
        "docker run 'a b'"
    """
    quoted = [shlex.quote(word) for word in words]
    image = next((i for i, word in enumerate(words) if word.startswith("tensorflow/")), None)
    if image is None:
        return " ".join(quoted)
    return f"{' '.join(quoted[:image])} \\\n  {' '.join(quoted[image:])}"
