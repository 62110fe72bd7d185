"""`tfrec infer`: a first draft of a dataset description, from the files themselves."""

from __future__ import annotations

import argparse
from pathlib import Path

SUMMARY = "Draft a dataset description from files: a start that a person reads and corrects."
EXAMPLES = [
    "tfrec infer music > dataset.yaml",
    "tfrec infer shop/events.csv shop/items.parquet shop/photos --name my-shop > dataset.yaml",
]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    add = parser.add_argument
    add("sources", metavar="SOURCE", type=Path, nargs="+", help="files, or folders of files")
    add("--name", help="name of the data set (the folder's)")
    add(
        "--data-root",
        metavar="DIR",
        type=Path,
        help="what paths are to be relative to (what all sources share)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Runs the command."""
    # Arrow takes a moment to load; `--help` does without.
    from preprocessing.drafting import draft_description

    print(draft_description(arguments.sources, arguments.data_root, arguments.name), end="")
    return 0
