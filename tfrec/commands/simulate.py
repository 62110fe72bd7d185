"""`tfrec simulate`: writes a small music service as real files."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

from tfrec.config.loading import validate
from tfrec.errors import DescriptionError
from tfrec.simulate import MODALITIES, SimulationConfig, SimulationSummary, simulate

SUMMARY = "Write a small music service as real files, every modality in it, deterministic by seed."
EXAMPLES = [
    "tfrec simulate music",
    "tfrec simulate music --items 500 --users 800 --events 20000 --seed 7",
    "tfrec simulate music --video --cold-fraction 0.2",
    "tfrec simulate music --signal 0.9 --signal image=0   # covers that tell nothing",
]
# Options that are fields of the configuration as they stand.
_OPTIONS = (
    "items",
    "users",
    "events",
    "seed",
    "interaction",
    "cold_fraction",
    "missing",
    "video",
    "days",
)
_DEFAULT = SimulationConfig()
# Share of the songs with an MP4 clip when `--video` says no number.
_VIDEO_SHARE = 0.1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    add = parser.add_argument
    add("out", metavar="OUT", type=Path, help="new or empty directory")
    add("--items", type=int, default=_DEFAULT.items, help="songs (%(default)s)")
    add("--users", type=int, default=_DEFAULT.users, help="listeners (%(default)s)")
    add("--events", type=int, help="interactions (forty a listener)")
    add("--seed", type=int, default=_DEFAULT.seed, help="another seed, another service")
    add(
        "--signal",
        action="append",
        default=[],
        metavar="[MODALITY=]SHARE",
        help="share of what a modality shows that comes from what drives behaviour, 0 to 1"
        f" ({_DEFAULT.signal}); by modality: {', '.join(MODALITIES)}",
    )
    add(
        "--interaction",
        type=float,
        default=_DEFAULT.interaction,
        metavar="SHARE",
        help="share of the taste that is for products of text and image, 0 to 1 (%(default)s)",
    )
    add(
        "--cold-fraction",
        type=float,
        default=_DEFAULT.cold_fraction,
        metavar="SHARE",
        help="songs that come out within the test part (%(default)s)",
    )
    add(
        "--missing",
        type=float,
        default=_DEFAULT.missing,
        metavar="SHARE",
        help="covers, clips and lyrics that don't exist (%(default)s)",
    )
    add(
        "--video",
        type=float,
        nargs="?",
        const=_VIDEO_SHARE,
        default=_DEFAULT.video,
        metavar="SHARE",
        help="songs with an MP4 clip (%(const)s if no number is given; without the option none)",
    )
    add("--days", type=int, default=_DEFAULT.days, help="length of the time span (%(default)s)")
    add("--json", action="store_true", help="print one JSON object instead of a line")


def run(arguments: argparse.Namespace) -> int:
    """Writes the service and says what is in it."""
    signal, signals = _signals(arguments.signal)
    content = {name: getattr(arguments, name) for name in _OPTIONS}
    config = validate(
        content | {"signal": signal, "signals": signals},
        SimulationConfig,
        where="tfrec simulate",
    )
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True)) as progress:
        tasks: dict[str, TaskID] = {}

        def report(name: str, done: int, total: int) -> None:
            if name not in tasks:
                tasks[name] = progress.add_task(name, total=None)
            progress.update(tasks[name], completed=done, total=total)

        summary = simulate(arguments.out, config, report)
    print(json.dumps(_numbers(summary)) if arguments.json else _sentence(summary))
    return 0


def _signals(texts: list[str]) -> tuple[float, dict[str, float]]:
    """Reads `0.7` and `image=0`, also several with commas, the last of a kind winning."""
    signal = _DEFAULT.signal
    signals: dict[str, float] = {}
    for part in (part.strip() for text in texts for part in text.split(",")):
        name, equals, value = part.rpartition("=")
        try:
            share = float(value)
        except ValueError as error:
            raise DescriptionError(
                "--signal",
                "a signal is SHARE or MODALITY=SHARE, the share from 0 to 1",
                received=repr(part),
                remedy="Write for example `--signal 0.7 --signal image=0`",
            ) from error
        if not equals:
            signal = share
        elif name in MODALITIES:
            signals[name] = share
        else:
            raise DescriptionError(
                "--signal",
                "the modality must be one of the simulation",
                received=repr(name),
                remedy=f"Known: {', '.join(MODALITIES)}",
            )
    return signal, signals


def _numbers(summary: SimulationSummary) -> dict[str, object]:
    content = {name: value for name, value in vars(summary).items() if name != "truth"}
    return content | {"out": str(summary.out), "dataset": str(summary.dataset)}


def _sentence(summary: SimulationSummary) -> str:
    videos = f", {summary.videos:,} videos" if summary.videos else ""
    return (
        f"{summary.out}: {summary.items:,} songs ({summary.cold_items:,} of them released in the"
        f" test part) with {summary.covers:,} covers, {summary.clips:,} clips{videos};"
        f" {summary.users:,} users, {summary.events:,} events, {summary.comments:,} comments."
        f" Next: tfrec preprocess {summary.dataset} DATA"
    )
