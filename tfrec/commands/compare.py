"""`tfrec compare`: runs against each other on the same users; configurations are trained first."""

from __future__ import annotations

import argparse
import functools
import json
import os
import sys
from pathlib import Path
from typing import Any

from tfrec.errors import DataError, DescriptionError
from tfrec.schema import DataLayout

SUMMARY = (
    "Compare evaluated runs user by user; runs that differ only in their seed are one system."
    " Given prepared data and configurations, train and evaluate them all first, and print a table."
)
EXAMPLES = [
    "tfrec compare run-new run-old",
    "tfrec compare new-seed0 new-seed1 new-seed2 old-seed0 old-seed1 --output comparison",
    "tfrec compare run-new run-old --json | jq .verdicts",
    "tfrec compare data ids content multimodal --seeds 3 --out compared   # goes on when repeated",
    "tfrec compare data configs/models/*.yaml --out compared   # what doesn't fit the data is told",
    "tfrec compare data my.yaml --vary item.fusion.type=gated,weighted --jobs 2 --out fusions",
]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    add = parser.add_argument
    add(
        "runs",
        metavar="RUN",
        nargs="+",
        help="what `tfrec evaluate` has evaluated; the first one's system is held against the"
        " others. Or prepared data, followed by configurations: files or shipped names",
    )
    add(
        "--output",
        type=Path,
        metavar="DIR",
        help="also write compare.json, compare.html and compare.svg there",
    )
    add("--json", action="store_true", help="print compare.json instead of the table")
    several = parser.add_argument_group("to train configurations")
    add = several.add_argument
    add(
        "--out", type=Path, metavar="DIR", help="where runs, report.html, table.md and table.svg go"
    )
    add("--seeds", type=int, metavar="N", help="trainings of each configuration (1)")
    add(
        "--jobs",
        type=int,
        metavar="N",
        help="processes that train at a time (1); each takes a training's memory",
    )
    add(
        "--set",
        action="append",
        default=[],
        dest="overrides",
        metavar="KEY=VALUE",
        help="override of all configurations; may be repeated",
    )
    add(
        "--vary",
        action="append",
        default=[],
        metavar="KEY=A,B,C",
        help="train each configuration with each value; may be repeated",
    )
    add(
        "--import",
        action="append",
        default=[],
        dest="imports",
        metavar="MODULE",
        help="module that registers components of your own; may be repeated",
    )
    add("--split", choices=("validation", "test"), help="evaluated part (test)")
    add("--max-users", type=int, metavar="N", help="evaluate a sample of the users")


def run(arguments: argparse.Namespace) -> int:
    """Compares, prints, and writes."""
    if DataLayout(arguments.runs[0]).manifest_path.is_file():
        return _train(arguments)
    unused = [
        option
        for option, value in (
            ("--out", arguments.out),
            ("--seeds", arguments.seeds),
            ("--jobs", arguments.jobs),
            ("--set", arguments.overrides),
            ("--vary", arguments.vary),
            ("--import", arguments.imports),
            ("--split", arguments.split),
            ("--max-users", arguments.max_users),
        )
        if value
    ]
    if unused:
        raise DescriptionError(
            unused[0],
            "the option trains configurations, so the first argument must be prepared data",
            received=arguments.runs[0],
            remedy="Name the data first, or leave the option out to compare runs",
        )
    if len(arguments.runs) < 2:
        raise DescriptionError(
            "RUN", "a comparison takes at least two runs", received=arguments.runs[0]
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


def _train(arguments: argparse.Namespace) -> int:
    data, *configs = arguments.runs
    if not configs:
        raise DescriptionError(
            "CONFIG",
            "prepared data is followed by configurations",
            received="none",
            remedy="For example tfrec compare data ids multimodal --out compared",
        )
    if arguments.out is None:
        raise DescriptionError(
            "--out", "trained runs need a place", received="none", remedy="Add --out DIR"
        )
    counts = (arguments.seeds, arguments.jobs, arguments.max_users)
    if any(count is not None and count < 1 for count in counts):
        raise DescriptionError(
            "--seeds, --jobs, --max-users",
            "each is at least 1",
            received=", ".join("none" if count is None else str(count) for count in counts),
        )
    from tfrec.experiments.systems import read_systems

    systems = read_systems(configs, arguments.overrides, arguments.vary)
    # TensorFlow takes seconds to load; a wrong configuration is told before.
    from tfrec.experiments import (
        bar_chart,
        lines_of,
        markdown,
        measure_baselines,
        page,
        rows_of,
        train_systems,
        which_fit,
    )
    from tfrec.registry import import_components

    import_components(arguments.imports)

    def say(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    shared: dict[str, Any] = {
        "split": arguments.split or "test",
        "max_users": arguments.max_users,
        "say": say,
    }
    results = train_systems(
        data,
        which_fit(data, systems, say),
        arguments.out,
        seeds=arguments.seeds or 1,
        jobs=arguments.jobs or 1,
        prepare=functools.partial(import_components, arguments.imports),
        **shared,
    )
    rows = rows_of(results, measure_baselines(data, arguments.out, **shared))
    text = json.dumps([row.model_dump() for row in rows], indent=1) + "\n"
    table = markdown(rows)
    _write(
        arguments.output or arguments.out,
        {
            "table.md": table,
            "table.json": text,
            "table.svg": bar_chart(rows),
            "report.html": page(rows),
        },
    )
    print(text if arguments.json else table, end="")
    if not arguments.json:
        for line in lines_of(rows):
            print(line)
        print((arguments.output or arguments.out) / "report.html")
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
