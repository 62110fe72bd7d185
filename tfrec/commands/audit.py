"""`tfrec audit`: proves by rule that nothing of the future reached a run."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

SUMMARY = "Prove by rule that no held-out event, statistic or vocabulary reached a run's training."
EXAMPLES = [
    "tfrec audit data run",
    "tfrec audit data run --data-root music",
    "tfrec audit data run --lists lists.parquet --json",
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
    add("--json", action="store_true", help="print one JSON object instead of lines")


def run(arguments: argparse.Namespace) -> int:
    """Prints a line a rule; status 1 with a fault."""
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
    if arguments.json:
        rules = [finding.model_dump() for finding in found]
        print(json.dumps({"passed": not counts["fault"], "rules": rules}, indent=1))
    else:
        print(", ".join(f"{number} {status}" for status, number in counts.items() if number))
    return 1 if counts["fault"] else 0
