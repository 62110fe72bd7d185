"""`tfrec compare`: runs against each other on the same users, with intervals."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from tfrec.errors import DataError, DescriptionError

SUMMARY = "Compare evaluated runs user by user; runs that differ only in their seed are one system."
EXAMPLES = [
    "tfrec compare run-new run-old",
    "tfrec compare new-seed0 new-seed1 new-seed2 old-seed0 old-seed1 --output comparison",
    "tfrec compare run-new run-old --json | jq .verdicts",
]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    add = parser.add_argument
    add(
        "runs",
        metavar="RUN",
        type=Path,
        nargs="+",
        help="what `tfrec evaluate` has evaluated; the first one's system is held against the"
        " others",
    )
    add(
        "--output",
        type=Path,
        metavar="DIR",
        help="also write compare.json, compare.html and compare.svg there",
    )
    add("--json", action="store_true", help="print compare.json instead of the table")


def run(arguments: argparse.Namespace) -> int:
    """Compares, prints, and writes."""
    if len(arguments.runs) < 2:
        raise DescriptionError(
            "RUN", "a comparison takes at least two runs", received=str(arguments.runs[0])
        )
    from tfrec.evaluation.comparison import Comparison, bar_chart, compare, group_runs, page

    found: Comparison = compare(group_runs(arguments.runs))
    if arguments.output is not None:
        files = {
            "compare.json": found.model_dump_json(indent=1) + "\n",
            "compare.html": page(found),
            "compare.svg": bar_chart(found),
        }
        _write(arguments.output, files)
    if arguments.json:
        print(found.model_dump_json(indent=1))
        return 0
    if found.users_left_out:
        print(f"{found.users_left_out:,} users are not in every run; left out", file=sys.stderr)
    for part in found.slices:
        print(f"{part.title}, {part.users:,} users: {part.ours} against {part.theirs}")
        for pair in part.metrics:
            print(
                f"  {pair.metric:<14}{pair.ours.value:>9.4f}{pair.theirs.value:>9.4f}"
                f"{pair.difference:>+10.4f}  [{pair.low:+.4f}, {pair.high:+.4f}]"
                f"  p {pair.p_value:.3f}"
            )
    for line in found.verdicts:
        print(line)
    if arguments.output is not None:
        print(arguments.output)
    return 0


def _write(folder: Path, files: dict[str, str]) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            scratch = folder / f".{name}.{os.getpid()}"
            scratch.write_text(text, encoding="utf-8")
            scratch.replace(folder / name)
    except OSError as error:
        raise DataError(
            f"--output {folder}",
            "the folder must be writable",
            received=error.strerror,
            remedy="Name another",
        ) from error
