"""`tfrec inspect`: look at prepared data in one page, alone or against an earlier directory."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from tfrec.errors import DescriptionError

SUMMARY = "Show prepared data: distributions, missing values, samples, anomalies, skew and drift."
EXAMPLES = [
    "tfrec inspect data",
    "tfrec inspect data --against data-of-last-week --output drift.html",
    "tfrec inspect data --against data-of-last-week --json",
]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    add = parser.add_argument
    add("data", metavar="OUT", type=Path, help="prepared data")
    add("--against", metavar="OLD", type=Path, help="earlier prepared data, for drift")
    add("--output", metavar="FILE", type=Path, help="the page (OUT.inspection.html)")
    add(
        "--threshold",
        type=float,
        default=0.1,
        metavar="DISTANCE",
        help="skew and drift above it are told, from 0 to 1 (%(default)s)",
    )
    add("--json", action="store_true", help="print anomalies as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Runs the command."""
    if not 0 <= arguments.threshold <= 1:
        raise DescriptionError(
            "--threshold",
            "a distance lies between 0 and 1",
            received=arguments.threshold,
            remedy="Write for example 0.1",
        )
    # Records are read by TensorFlow, which takes seconds to load.
    from tfrec.inspection import find_anomalies, inspection_page, profile_data
    from tfrec.inspection.samples import sample_items

    profile = profile_data(arguments.data)
    against = None if arguments.against is None else profile_data(arguments.against)
    anomalies = find_anomalies(profile, against, arguments.threshold)
    page = inspection_page(profile, anomalies, sample_items(arguments.data), against)
    data = arguments.data.resolve()
    # Beside the data, not in it: what is published stays as it was.
    output = arguments.output or data.with_name(f"{data.name}.inspection.html")
    try:
        output.write_text(page, encoding="utf-8")
    except OSError as error:
        raise DescriptionError(
            str(output),
            "the page must be writable",
            received=error.strerror or str(error),
            remedy="Name another file by --output",
        ) from error
    if arguments.json:
        told = [asdict(anomaly) for anomaly in anomalies]
        print(json.dumps({"page": str(output), "anomalies": told}, ensure_ascii=False))
        return 0
    warnings = sum(anomaly.level == "warning" for anomaly in anomalies)
    print(f"{output}: {warnings} warnings, {len(anomalies) - warnings} notes")
    for anomaly in anomalies[:10]:
        print(f"  {anomaly.level}: {anomaly.where}: {anomaly.what}")
    return 0
