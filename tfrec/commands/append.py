"""`tfrec append`: add new events to prepared data without reading the old ones again."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

from tfrec.commands.preprocess import counts_of, sentence_of

SUMMARY = (
    "Add new events to data prepared with --appendable: equal to a full run over old and new,"
    " without reading the old files again."
)
# Options of Apache Beam follow `--`.
PASSES_ON = True
EXAMPLES = [
    "tfrec append data events/tuesday.csv --cache media-cache",
    "tfrec append data 'orders/2026-11-*.jsonl' --source 1   # the second of the united sources",
    "tfrec append data events/tuesday.csv --data-root /mnt/files -- --direct_num_workers=4",
]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    add = parser.add_argument
    add("out", metavar="OUT", type=Path, help="data prepared with --appendable; it is replaced")
    add(
        "events",
        metavar="NEW_EVENTS",
        nargs="+",
        help="files or globs below the data root, in a format that `preprocess` reads",
    )
    add(
        "--data-root",
        metavar="DIR",
        type=Path,
        help="where the description's files are now (where they were)",
    )
    add(
        "--source",
        type=int,
        default=0,
        metavar="N",
        help="which source of interactions has these columns: 0 is `interactions`, 1 the first of"
        " `also` (%(default)s)",
    )
    add(
        "--max-rejected",
        type=float,
        default=0.05,
        metavar="SHARE",
        help="largest share of a source's rows, old and new, to be refused (%(default)s)",
    )
    add("--resume", action="store_true", help="go on with what a run that was broken off left")
    add("--cache", metavar="DIR", type=Path, help="decoded and encoded media by content")
    add("--json", action="store_true", help="print the manifest's counts as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Runs the command."""
    logging.basicConfig(level=logging.ERROR)
    from preprocessing.appending import append

    manifest = append(
        arguments.out,
        arguments.events,
        data_root=arguments.data_root,
        source=arguments.source,
        beam_options=arguments.passed_on or (),
        max_rejected=arguments.max_rejected,
        resume=arguments.resume,
        cache=arguments.cache,
        stream=sys.stderr,
    )
    print(counts_of(manifest) if arguments.json else sentence_of(arguments.out, manifest))
    return 0
