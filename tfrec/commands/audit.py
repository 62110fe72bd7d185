"""`tfrec audit`: proves by rule that nothing of the future reached a run."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from tfrec.errors import DescriptionError

SUMMARY = "Prove by rule that no held-out event, statistic or vocabulary reached a run's training."
EXAMPLES = [
    "tfrec audit data run",
    "tfrec audit data run --data-root music",
    "tfrec audit data run --lists lists.parquet --json",
    "tfrec audit data run --replay --periods 8",
    "tfrec audit data run --replay --days 7 --retrain run/config.yaml",
]
_K = 100


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    add = parser.add_argument
    add("data", metavar="DATA", type=Path, help="what `tfrec preprocess` wrote")
    add("run", metavar="RUN", type=Path, help="what `tfrec train` wrote")
    add(
        "--data-root",
        type=Path,
        metavar="DIR",
        help="folder of the raw files: also proves that no later comment is in the data",
    )
    add(
        "--split",
        choices=("validation", "test"),
        default="test",
        help="whose lists are looked at (%(default)s)",
    )
    add(
        "--lists",
        type=Path,
        metavar="FILE",
        help="look at these lists, as `tfrec recommend` writes them, and not at the run's own",
    )
    add(
        "--replay",
        action="store_true",
        help="then retrain by time and test on the next period, again and again: popularity,"
        " item-kNN and EASE; writes RUN/replay.json, replay.html and replay.svg",
    )
    add("--periods", type=int, default=5, metavar="N", help="of the replay (%(default)s)")
    add(
        "--days",
        type=float,
        metavar="DAYS",
        help="length of a period; without it all have equally many events",
    )
    add(
        "--retrain",
        metavar="NAME|FILE",
        help="also train this configuration before each period: a shipped one, or RUN/config.yaml",
    )
    add("--json", action="store_true", help="print one JSON object instead of lines")


def run(arguments: argparse.Namespace) -> int:
    """Prints a line a rule, and a line a period; status 1 with a fault."""
    if arguments.periods < 1 or (arguments.days is not None and not arguments.days > 0):
        raise DescriptionError(
            "--periods and --days",
            "a replay has at least one period, longer than nothing",
            received=f"{arguments.periods} and {arguments.days}",
        )
    if arguments.retrain is not None and not arguments.replay:
        raise DescriptionError(
            "--retrain", "it is a part of the replay", received="no --replay", remedy="Add --replay"
        )
    from tfrec.evaluation import HeldOut, rank_vectors
    from tfrec.evaluation.audit import Audited, audit
    from tfrec.evaluation.predictions import read_predictions
    from tfrec.training import load_run

    data = Audited.load(arguments.data)
    trained = load_run(arguments.run, data=arguments.data)
    held_out = HeldOut.load(arguments.data, arguments.split)
    if arguments.lists is None:
        queries = trained.query_vectors(held_out.targets, held_out.past, at=held_out.at)
        lists = rank_vectors("model", queries, trained.item_vectors(), held_out).lists["all"]
    else:
        given = read_predictions(arguments.lists, held_out.targets.user_ids, data.items.ids, _K)
        if given.ignored():
            print(f"{arguments.lists}: {given.ignored()}", file=sys.stderr)
        lists = given.lists
    found = []
    for finding in audit(data, held_out, lists, data_root=arguments.data_root):
        found.append(finding)
        if not arguments.json:
            word = "FAULT" if finding.status == "fault" else finding.status
            print(f"{word:<8}{finding.rule:<22}{finding.detail}", flush=True)
    counts = {
        status: sum(finding.status == status for finding in found)
        for status in ("ok", "fault", "warning", "skipped")
    }
    if not arguments.json:
        print(", ".join(f"{number} {status}" for status, number in counts.items() if number))
    replayed = _replay(data, arguments) if arguments.replay else None
    if arguments.json:
        content: dict[str, Any] = {"passed": not counts["fault"]}
        content["rules"] = [finding.model_dump() for finding in found]
        if replayed is not None:
            content["replay"] = replayed.model_dump()
        print(json.dumps(content, indent=1))
    return 1 if counts["fault"] else 0


def _replay(data: Any, arguments: argparse.Namespace) -> Any:
    from tfrec.evaluation.replay import chart, page, period_edges, replay, table
    from tfrec.input import Timelines

    def say(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    everything = Timelines.concatenate(*data.parts.values())
    edges = period_edges(everything.timestamp, arguments.periods, arguments.days)
    with tempfile.TemporaryDirectory(prefix="tfrec-replay-") as scratch:
        found = replay(
            data.items,
            everything,
            edges,
            data=data.manifest.dataset.name,
            fingerprint=data.manifest.fingerprint,
            trained=None if arguments.retrain is None else _trainer(arguments, Path(scratch), say),
            say=say,
        )
    files = {
        "replay.json": found.model_dump_json(indent=1) + "\n",
        "replay.html": page(found),
        "replay.svg": chart(found, standalone=True) + "\n",
    }
    for name, text in files.items():
        path = arguments.run / f".{name}.{os.getpid()}"
        path.write_text(text, encoding="utf-8")
        path.replace(arguments.run / name)
    if not arguments.json:
        print()
        print(table(found))
        print("  ".join(str(arguments.run / name) for name in files))
    return found


def _trainer(arguments: argparse.Namespace, scratch: Path, say: Any) -> Any:
    from tfrec.config.loading import load_config
    from tfrec.config.model import ModelConfig
    from tfrec.config.presets import find_model_config
    from tfrec.evaluation import rank_vectors
    from tfrec.evaluation.replay import write_cut
    from tfrec.training import load_run, train

    config = load_config(find_model_config(arguments.retrain), ModelConfig)

    def trained(number: int, cut: Any, held_out: Any) -> Any:
        folder, run = scratch / f"data-{number}", scratch / f"run-{number}"
        write_cut(arguments.data, cut, folder)
        result = train(folder, run, config, progress=False)
        say(f"  {config.name}: best epoch {result.best_epoch} of {result.epochs}")
        model = load_run(run)
        queries = model.query_vectors(held_out.targets, held_out.past, at=held_out.at)
        return rank_vectors(config.name, queries, model.item_vectors(), held_out)

    return trained
