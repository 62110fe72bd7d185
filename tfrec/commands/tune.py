"""`tfrec tune`: searches a model's settings on the validation part."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from tfrec.config.loading import load_config
from tfrec.config.tuning import SearchConfig

SUMMARY = (
    "Search a model's settings by the validation part, with Optuna. Trials are given data without"
    " its test part: train the best settings anew to evaluate them."
)
EXAMPLES = [
    "tfrec tune space.yaml data search --trials 40",
    "tfrec tune space.yaml data search --resume --jobs 2",
]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    add = parser.add_argument
    add("space", metavar="SPACE.yaml", type=Path, help="what may vary, and how it is searched")
    add("data", metavar="DATA", type=Path, help="what `tfrec preprocess` wrote")
    add("out", metavar="OUT", type=Path, help="new or empty directory")
    add("--trials", type=int, help="instead of the file's number")
    add("--jobs", type=int, default=1, help="processes that make trials (%(default)s)")
    add("--resume", action="store_true", help="go on with the search in OUT")
    add("--json", action="store_true", help="print one JSON object instead of lines")


def run(arguments: argparse.Namespace) -> int:
    """Searches, telling each trial."""
    overrides = [] if arguments.trials is None else [f"trials={arguments.trials}"]
    search = load_config(arguments.space, SearchConfig, overrides)
    from tfrec.training.tuning import tune

    out = sys.stderr if arguments.json else sys.stdout
    value, settings = tune(
        search,
        arguments.data,
        arguments.out,
        jobs=arguments.jobs,
        resume=arguments.resume,
        say=lambda line: print(line, file=out, flush=True),
    )
    if arguments.json:
        print(json.dumps({"best": value, "settings": settings, "out": str(arguments.out)}))
    else:
        print(
            f"best {value:.4f}; {arguments.out}/tuning.png shows what mattered."
            f" Next: tfrec train {arguments.data} RUN --config {arguments.out}/best.yaml"
        )
    return 0
