"""The `tfrec` command: finds the subcommand, runs it, and turns foreseen errors into one line.

Each subcommand is a module `tfrec.commands.<name>` with `SUMMARY`, `EXAMPLES`,
`add_arguments(parser)` and `run(arguments) -> int`. It is imported only when it is called, so that
`tfrec --help` and a client never load TensorFlow. One with `PASSES_ON = True` gets what follows
`--` unread, as `arguments.passed_on`.
"""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import NoReturn

from tfrec import __version__
from tfrec.errors import TfrecError
from tfrec.quiet_start import QuietStart

__all__ = ["COMMANDS", "main"]

COMMANDS = {
    "simulate": "write a small music service as real files, every modality in it",
    "infer": "draft a dataset description from files",
    "preprocess": "integrate, validate, split and encode raw files into TFRecords, by Beam",
    "append": "add new events to prepared data without reading the old ones again",
    "inspect": "show prepared data in a page: distributions, samples, anomalies, drift",
    "train": "train a two-tower model on prepared data",
    "tune": "search a model's settings on the validation part",
    "evaluate": "rank the whole catalogue for held-out users, beside baselines, and bless or not",
    "audit": "prove by rule that nothing held out reached a run's training",
    "compare": "hold runs, or configurations that it trains, against each other, with intervals",
    "ablate": "measure a run without each of its modalities",
    "online": "evaluate event logs: A/B tests, off-policy estimates, interleaving",
    "recommend": "write ranked items for the users of a split to a Parquet file",
    "index": "find the fastest approximate index with the recall that is wanted",
    "export": "publish a blessed run as a SavedModel version for TensorFlow Serving",
    "catalog": "add, remove or update items of a published model, without training",
    "versions": "list, label and check the versions of a model, and remove old ones",
    "rollback": "take back the newest version of a model",
    "serve": "answer gRPC requests as TensorFlow Serving does",
    "query": "ask a server for recommendations",
    "skew": "hold a server's answers and requests against what a run was trained on",
    "demo": "all of it, from simulated files to a gRPC answer",
}


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, as every other failure is said."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}. See `{self.prog} --help`.\n")


def _load(name: str) -> ModuleType:
    return importlib.import_module(f"tfrec.commands.{name}")


def _parser() -> argparse.ArgumentParser:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {summary}" for name, summary in COMMANDS.items()]
    parser = _Parser(
        prog="tfrec",
        usage="tfrec [--version] COMMAND …",
        description="Production multimodal recommendation on TensorFlow.",
        epilog="commands:\n" + "\n".join(lines) + "\n\n`tfrec COMMAND --help` shows examples.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"tfrec {__version__}")
    parser.add_argument("command", choices=COMMANDS, metavar="COMMAND", help=argparse.SUPPRESS)
    parser.add_argument("rest", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line.

    Args:
        argv: Arguments without the program's name; `sys.argv[1:]` unless given.

    Returns:
        0 done; 1 the data, the run or the server is at fault; 2 the description or an option is.
    """
    # Notices of TensorFlow's C++ code are noise to a person at a terminal. Its errors stay where
    # there is a GPU that might not be used because of one; without, they tell of nothing but that,
    # and of optimisations of a graph that weren't made.
    gpu = os.path.exists("/dev/nvidia0")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2" if gpu else "3")
    QuietStart().install()
    # It calls its TF1 loader deprecated, by whose rules the stock server loads.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    outer = _parser().parse_args(argv)
    module = _load(outer.command)
    parser = _Parser(
        prog=f"tfrec {outer.command}",
        description=module.SUMMARY,
        epilog="examples:\n" + "\n".join(f"  {line}" for line in module.EXAMPLES),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    module.add_arguments(parser)
    own, passed_on = list(outer.rest), None
    if getattr(module, "PASSES_ON", False):
        # argparse would give an optional positional its empty match before it sees the dashes.
        end = own.index("--") if "--" in own else len(own)
        own, passed_on = own[:end], own[end + 1 :]
    arguments = parser.parse_args(own)
    arguments.passed_on = passed_on
    try:
        return int(module.run(arguments))
    except TfrecError as error:
        print(f"tfrec {outer.command}: {error}", file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        print(f"tfrec {outer.command}: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader of our output went away (`| head`); nothing is wrong with the data.
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - lives until the process ends
        return 0


if __name__ == "__main__":
    sys.exit(main())
