"""`tfrec preprocess`: from a dataset description and raw files to prepared data."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

from tfrec.config import DatasetConfig, load_config
from tfrec.config.presets import find_dataset_config
from tfrec.schema import Manifest

SUMMARY = "Integrate, validate, split, standardise and encode raw files into TFRecords, by Beam."
# Options of Apache Beam follow `--`.
PASSES_ON = True
EXAMPLES = [
    "tfrec preprocess music/dataset.yaml data",
    "tfrec preprocess movielens-small data --data-root movielens",
    "tfrec preprocess my.yaml data --set split.test=0.2 --set interactions.path=other.csv",
    "tfrec preprocess my.yaml data --cache media-cache   # a second run encodes what changed",
    "tfrec preprocess my.yaml data --appendable   # then: tfrec append data events/tuesday.csv",
    "tfrec preprocess my.yaml data --no-encode --max-rejected 0.01",
    "tfrec preprocess my.yaml data --json -- --direct_num_workers=4   # options of Apache Beam",
]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    add = parser.add_argument
    add("dataset", metavar="DATASET", help="description: a YAML file, or the name of a shipped one")
    add("out", metavar="OUT", type=Path, help="new folder, or earlier prepared data to replace")
    add(
        "--data-root",
        metavar="DIR",
        type=Path,
        help="what the description's paths are relative to (the description's folder)",
    )
    add(
        "--set",
        dest="overrides",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="override a key of the description, by its dotted path; may be repeated",
    )
    add(
        "--max-rejected",
        type=float,
        default=0.05,
        metavar="SHARE",
        help="largest share of a source's rows, or of a feature's files, to be refused; above it"
        " nothing is published (%(default)s)",
    )
    add("--no-encode", action="store_true", help="skip the frozen encoders; train on raw media")
    add("--resume", action="store_true", help="go on with what a run that was broken off left")
    add(
        "--cache",
        metavar="DIR",
        type=Path,
        help="keep decoded and encoded media by content, and don't compute again what is kept",
    )
    add(
        "--appendable",
        action="store_true",
        help="keep the validated rows in OUT/past, so that `tfrec append` can add a day to them",
    )
    add("--json", action="store_true", help="print the manifest's counts as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Runs the command."""
    path = find_dataset_config(arguments.dataset)
    config = load_config(path, DatasetConfig, arguments.overrides)
    # Beam warns of Google Cloud packages that nobody needs here.
    logging.basicConfig(level=logging.ERROR)
    # Beam takes seconds to load; a wrong description is told before.
    from preprocessing.pipeline import preprocess

    manifest = preprocess(
        config,
        arguments.out,
        arguments.data_root or path.parent,
        beam_options=arguments.passed_on,
        encode=not arguments.no_encode,
        max_rejected=arguments.max_rejected,
        resume=arguments.resume,
        cache=arguments.cache,
        appendable=arguments.appendable,
        stream=sys.stderr,
    )
    print(counts_of(manifest) if arguments.json else sentence_of(arguments.out, manifest))
    return 0


def counts_of(manifest: Manifest) -> str:
    """The manifest's counts as JSON."""
    return manifest.model_dump_json(
        include={
            "items",
            "warm_items",
            "users",
            "events",
            "positives",
            "sources",
            "media",
            "rejected",
            "split_times",
            "fingerprint",
        }
    )


def sentence_of(out: Path, manifest: Manifest) -> str:
    """What a person wants to know of a run."""
    events = ", ".join(f"{count:,} {split}" for split, count in manifest.events.items())
    refused = sum(manifest.rejected.values())
    rejected = f" {refused:,} rows and files refused: see {out / 'rejected'}." if refused else ""
    return (
        f"{out}: {manifest.items:,} items ({manifest.warm_items:,} with a positive in the train"
        f" part), {manifest.users:,} users, events: {events}.{rejected}"
        f" Next: tfrec train {out} RUN"
    )
