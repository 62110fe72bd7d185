"""`tfrec catalog`: items come, go and change in a served model, without training."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from tfrec.errors import DescriptionError

if TYPE_CHECKING:
    from tfrec.catalog import CatalogueChange

SUMMARY = "Add, remove or update items of a published model; its towers stay as they are."
EXAMPLES = [
    "tfrec catalog add models/music new_songs.csv --data-root music",
    "tfrec catalog remove models/music withdrawn.csv",
    "tfrec catalog update models/music prices.csv   # item_id, price, available",
    "tfrec catalog add models/music retitled.jsonl --replace --json",
]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    add = parser.add_argument
    add("action", choices=("add", "remove", "update"), help="what happens to the items")
    add("model", metavar="MODELS/NAME", type=Path, help="folder of the model's versions")
    add(
        "items",
        metavar="ITEMS",
        type=Path,
        nargs="+",
        help="CSV, JSON Lines, Parquet or TFRecord with the columns of the dataset's description",
    )
    add("--base", type=int, help="the version to start from (the latest)")
    add("--data-root", type=Path, help="what media paths are relative to (the folder of ITEMS)")
    add("--replace", action="store_true", help="add: embed items that are there already anew")
    add("--signature-key", type=Path, metavar="FILE", help="sign the manifest of files with this")
    add("--json", action="store_true", help="print one JSON object instead of lines")


def run(arguments: argparse.Namespace) -> int:
    """Changes the catalogue; on any fault what was published before stays as it is."""
    # Beam warns of Google Cloud packages that nobody needs here.
    logging.basicConfig(level=logging.ERROR)
    from tfrec import catalog
    from tfrec.published import read_key

    adding = arguments.action == "add"
    if not adding and (arguments.replace or arguments.data_root):
        raise DescriptionError(
            "--replace" if arguments.replace else "--data-root",
            "it belongs to `tfrec catalog add`",
            received=f"`{arguments.action}`",
            remedy="Leave it out",
        )
    out = sys.stderr if arguments.json else sys.stdout

    def say(line: str) -> None:
        print(line, file=out, flush=True)

    def progress(done: int, of: int) -> None:
        if sys.stderr.isatty():
            print(f"\rembedded {done:,} of {of:,}", end="", file=sys.stderr, flush=True)

    key = read_key(arguments.signature_key) if arguments.signature_key else None
    common = {"base": arguments.base, "say": say, "key": key}
    if adding:
        change = catalog.add_items(
            arguments.model,
            arguments.items,
            root=arguments.data_root,
            replace=arguments.replace,
            progress=progress,
            **common,
        )
    elif arguments.action == "remove":
        change = catalog.remove_items(arguments.model, arguments.items, **common)
    else:
        change = catalog.update_items(arguments.model, arguments.items, **common)
    if arguments.json:
        content = asdict(change) | {"path": None if change.path is None else str(change.path)}
        print(json.dumps(content))
        return 0
    _tell_refused(change)
    if change.path is None:
        print(f"nothing to do: {change.unchanged:,} items are as they should be")
        return 0
    print(
        f"{change.path}: {change.added:,} added ({change.encoded:,} embedded now),"
        f" {change.removed:,} removed, {change.updated:,} updated, {change.unchanged:,} left alone;"
        f" {change.items:,} items, kept ones score as before"
        f" (to {change.largest_difference:.0e})"
    )
    return 0


def _tell_refused(change: CatalogueChange) -> None:
    for line in change.refused_rows:
        row = json.loads(line)
        # Of a file of media there is no line.
        place = f"{row['file']}:{row['line']}" if row["line"] else row["file"]
        column = f" in `{row['column']}`" if "column" in row else ""
        print(
            f"refused {place}: {row['rule']}{column}. Received: {row['received']}.",
            file=sys.stderr,
        )
    counts = change.refused or {}
    if sum(counts.values()) > len(change.refused_rows):
        rules = ", ".join(f"{rule} {count:,}" for rule, count in sorted(counts.items()))
        print(f"refused {sum(counts.values()):,} in all: {rules}", file=sys.stderr)
