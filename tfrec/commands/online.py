"""`tfrec online`: experiments, off-policy estimates and interleaving from event logs."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from pathlib import Path

from tfrec.config import load_config
from tfrec.errors import DataError, DescriptionError
from tfrec.online.events.schema import EVENTS
from tfrec.online.experiments.config import ExperimentConfig
from tfrec.online.settings import Settings

SUMMARY = "Evaluate what happened online: A/B tests, off-policy estimates, interleaving, from logs."
# Options of Apache Beam follow `--`.
PASSES_ON = True
EXAMPLES = [
    "tfrec online logs --simulate 2000   # a log to try, with the truth beside it",
    "tfrec online logs --experiment logs/experiment.yaml --output online",
    "tfrec online logs --reward dwell --json | jq .policies",
    "tfrec online logs --runner FlinkRunner --shards 64 -- --flink_master=localhost:8081",
]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    add = parser.add_argument
    add(
        "logs",
        metavar="LOGS",
        nargs="+",
        help="event logs, or folders of them: .jsonl, .jsonl.gz, .parquet, .tfrecord",
    )
    add(
        "--experiment",
        metavar="FILE",
        type=Path,
        action="append",
        default=[],
        help="YAML of an A/B test to analyse; may be repeated",
    )
    add(
        "--reward",
        choices=EVENTS,
        default="click",
        help="what off-policy estimates add up (%(default)s)",
    )
    add("--clip", type=float, default=10.0, help="greatest weight of clipped IPS (%(default)s)")
    add("--level", type=float, default=0.95, help="of off-policy intervals (%(default)s)")
    add(
        "--clock-skew",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="how long before its impression feedback may seem to come (%(default)s)",
    )
    add("--output", type=Path, metavar="DIR", help="also write online.json and online.html there")
    add("--json", action="store_true", help="print online.json instead of the table")
    add("--runner", metavar="NAME", help="run by Apache Beam, for logs larger than memory")
    add(
        "--shards",
        type=int,
        default=8,
        help="parts that a log is cut into; each must fit into a worker's memory (%(default)s)",
    )
    add(
        "--simulate",
        type=int,
        metavar="USERS",
        help="first write the log of a simulated service, its experiment and its truth to LOGS",
    )
    add("--seed", type=int, default=0, help="of --simulate and of the bootstrap (%(default)s)")


def run(arguments: argparse.Namespace) -> int:
    """Evaluates, prints, and writes."""
    experiments = list(arguments.experiment)
    if arguments.simulate is not None:
        experiments += _simulate(arguments)
    settings = Settings(
        experiments=tuple(load_config(path, ExperimentConfig) for path in experiments),
        reward=arguments.reward,
        clip=arguments.clip,
        level=arguments.level,
        clock_skew=arguments.clock_skew,
        seed=arguments.seed,
        shards=arguments.shards,
    )
    # Beam warns of Google Cloud packages that nobody needs here.
    logging.basicConfig(level=logging.ERROR)
    from tfrec.online.evaluating import evaluate_logs
    from tfrec.online.table import table

    found = evaluate_logs(
        arguments.logs,
        settings,
        runner=arguments.runner,
        beam_options=arguments.passed_on or (),
        scratch=_made(arguments.output),
    )
    text = found.model_dump_json(indent=1) + "\n"
    print(text if arguments.json else table(found), end="")
    if arguments.output is not None:
        from tfrec.online.page import page

        _write(arguments.output, {"online.json": text, "online.html": page(found)})
        print(arguments.output, file=sys.stderr)
    return 0


def _simulate(arguments: argparse.Namespace) -> list[Path]:
    """Writes the simulated log; its experiment's file."""
    if len(arguments.logs) != 1 or arguments.simulate < 10 or arguments.seed < 0:
        raise DescriptionError(
            "--simulate",
            "a simulated log goes to one new folder, has 10 users or more and a seed of 0 or more",
            received=f"{arguments.simulate} users, seed {arguments.seed}, to {arguments.logs}",
        )
    from tfrec.online.simulation import write_logs

    write_logs(arguments.logs[0], arguments.simulate, arguments.seed)
    return [Path(arguments.logs[0]) / "experiment.yaml"]


def _made(folder: Path | None) -> Path | None:
    if folder is not None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _unwritable(folder, error) from error
    return folder


def _write(folder: Path, files: dict[str, str]) -> None:
    try:
        for name, text in files.items():
            scratch = folder / f".{name}.{os.getpid()}"
            scratch.write_text(text, encoding="utf-8")
            scratch.replace(folder / name)
    except OSError as error:
        raise _unwritable(folder, error) from error


def _unwritable(folder: Path, error: OSError) -> DataError:
    return DataError(
        f"--output {folder}",
        "the folder must be writable",
        received=error.strerror,
        remedy="Name another",
    )
