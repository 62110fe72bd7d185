"""`tfrec export`: publishes a run as a version that TensorFlow Serving loads."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

SUMMARY = "Build the served graph of a run, prove it, and publish it as the next version."
EXAMPLES = [
    "tfrec export run models/music",
    "tfrec export run models/music --version 7 --json",
    "tfrec export run models/trial --force",
    "tfrec export run models/music --index ivf-int8 --recall 0.97",
]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    add = parser.add_argument
    add("run", metavar="RUN", type=Path, help="what `tfrec train` wrote")
    add("model", metavar="MODELS/NAME", type=Path, help="folder of the model's versions")
    add("--version", type=int, help="the version's number (the next one)")
    add("--data", type=Path, help="the prepared data, if it was moved since training")
    add(
        "--index",
        choices=("auto", "exact", "ivf", "ivf-int8", "ivf-pq"),
        default="auto",
        help="what finds the items: all are scored (exact), or cells of them, kept as they are, in"
        " 8 bits, or product-quantised; %(default)s is exact up to 50,000 items, then ivf",
    )
    add("--recall", type=float, default=0.98, help="least recall of an ivf index (%(default)s)")
    add(
        "--explain",
        action=argparse.BooleanOptionalAction,
        help="serve what scores are made of (where that takes at most 1 GB)",
    )
    add(
        "--pictures",
        type=int,
        default=5000,
        metavar="N",
        help="small pictures of at most N items, for `tfrec serve --ui` (%(default)s)",
    )
    add("--signature-key", type=Path, metavar="FILE", help="sign the manifest of files with this")
    add("--keep", type=int, metavar="N", help="then remove all but the newest N and labelled ones")
    add("--force", action="store_true", help="publish also a run that was not blessed")
    add("--json", action="store_true", help="print one JSON object instead of lines")


def run(arguments: argparse.Namespace) -> int:
    """Exports; on any fault what was published before stays as it is."""
    from tfrec.export.exporting import export_run
    from tfrec.export.index_choice import IndexOptions
    from tfrec.export.publish import prune
    from tfrec.published import read_key

    key = read_key(arguments.signature_key) if arguments.signature_key else None
    out = sys.stderr if arguments.json else sys.stdout
    done = export_run(
        arguments.run,
        arguments.model,
        version=arguments.version,
        data=arguments.data,
        force=arguments.force,
        key=key,
        index=IndexOptions(arguments.index, arguments.recall),
        explain=arguments.explain,
        pictures=max(arguments.pictures, 0),
        say=lambda line: print(line, file=out, flush=True),
    )
    if arguments.keep is not None:
        prune(arguments.model, arguments.keep)
    found = done.verification
    if arguments.json:
        content = {
            "path": str(done.path),
            "version": done.version,
            "signatures": done.signatures,
            "index": done.index,
            "requests_proved": found.requests,
            "largest_difference": found.largest_difference,
            "milliseconds": found.milliseconds,
        }
        print(json.dumps(content))
        return 0
    print(f"index {done.index}")
    print(
        f"{done.path}: {len(done.signatures)} signatures; {found.requests} requests answered as"
        f" Keras does (largest difference {found.largest_difference:.1e}); one recommend takes"
        f" {found.milliseconds:.2f} ms. Next: tfrec serve {arguments.model}"
    )
    return 0
