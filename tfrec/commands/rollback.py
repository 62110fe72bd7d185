"""`tfrec rollback`: the version before serves again."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

SUMMARY = "Take back the newest version of a model, so that servers go back to the one before."
EXAMPLES = [
    "tfrec rollback models/music",
    "tfrec rollback models/music --to 3",
    "tfrec rollback models/music --to 7   # a version that was taken back comes back",
]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    parser.add_argument("model", metavar="MODELS/NAME", type=Path, help="folder of the versions")
    parser.add_argument("--to", type=int, metavar="VERSION", help="which one (the one before)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """Rolls back."""
    from tfrec.export.publish import roll_back

    done = roll_back(arguments.model, arguments.to)
    if arguments.json:
        content = {"version": done.version, "withdrawn": done.withdrawn, "labels": done.labels}
        print(json.dumps(content))
        return 0
    taken = ", ".join(map(str, done.withdrawn)) or "none"
    labels = ", ".join(f"{name} {number}" for name, number in sorted(done.labels.items()))
    print(f"{arguments.model}/{done.version} is the newest; taken back: {taken}; {labels}")
    return 0
