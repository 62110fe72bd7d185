"""`tfrec evaluate`: ranks the catalogue for held-out users beside baselines; blesses or not."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from tfrec.errors import DescriptionError

SUMMARY = "Rank the whole catalogue for held-out users, beside baselines, and bless the run or not."
EXAMPLES = [
    "tfrec evaluate run",
    "tfrec evaluate run --split validation --k 10 --k 20",
    "tfrec evaluate run --baselines all --gate gate.yaml --strict",
    "tfrec evaluate run --gate gate.yaml --last run-in-production --strict",
    "tfrec evaluate run --candidates on_sale.txt",
    "tfrec evaluate run --json | jq .verdict",
]
_DEPTH = 100
# Items taken apart in one step.
_ITEMS = 256


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    add = parser.add_argument
    add("run", metavar="RUN", type=Path, help="what `tfrec train` wrote")
    add(
        "--split",
        choices=("validation", "test"),
        default="test",
        help="held-out part; every part before it is the users' past (%(default)s)",
    )
    add(
        "--k",
        type=int,
        action="append",
        metavar="K",
        help="depth of the metrics, 1 to 100; may be repeated (5, 10, 20, 50)",
    )
    add(
        "--baselines",
        choices=("standard", "all", "none"),
        default="standard",
        help="what stands beside the model; `all` adds EASE, iALS and content ridge, which take"
        " minutes (%(default)s)",
    )
    add("--data", type=Path, metavar="DIR", help="the prepared data, if it was moved")
    add(
        "--candidates",
        type=Path,
        metavar="FILE",
        help="text file, an item id a line: only these are ranked, and only these count as found",
    )
    add("--max-users", type=int, metavar="N", help="evaluate a sample of the users")
    add("--gate", type=Path, metavar="FILE", help="YAML file with thresholds for the blessing")
    add("--last", type=Path, metavar="RUN", help="the last blessed run, for a gate's largest_drop")
    add("--strict", action="store_true", help="exit with status 1 when the run is not blessed")
    add("--json", action="store_true", help="print metrics.json instead of the table")


def run(arguments: argparse.Namespace) -> int:
    """Evaluates and writes metrics.json, report.html and the verdict into the run directory."""
    ks = tuple(sorted(set(arguments.k or ()))) or None
    if ks is not None and not all(1 <= k <= _DEPTH for k in ks):
        raise DescriptionError(
            "--k", f"a depth is from 1 to {_DEPTH}", received=", ".join(map(str, ks))
        )
    if arguments.max_users is not None and arguments.max_users < 1:
        raise DescriptionError(
            "--max-users", "a sample has at least one user", received=arguments.max_users
        )
    import numpy as np

    from tfrec import baselines
    from tfrec.evaluation import (
        DEFAULT_KS,
        MAX_ITEMS,
        HeldOut,
        evaluate,
        load_gate,
        measure_contributions,
        measure_latency,
        primary_metric,
        rank_baselines,
        rank_vectors,
        read_last,
        read_media,
        table,
        top_k,
        tuning_users,
        write_evaluation,
    )
    from tfrec.training import load_run

    def say(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    gate = load_gate(arguments.gate)
    last = None if arguments.last is None else read_last(arguments.last, arguments.split)
    trained = load_run(arguments.run, data=arguments.data)
    held_out = HeldOut.load(
        trained.data,
        arguments.split,
        max_users=arguments.max_users,
        candidates=arguments.candidates,
    )
    say(f"{len(held_out):,} users of {held_out.users_total:,}, {len(held_out.listed):,} items")
    queries = trained.query_vectors(held_out.targets, held_out.past, at=held_out.at)
    vectors = trained.item_vectors()
    rankings = [rank_vectors("model", queries, vectors, held_out)]
    chosen = {"standard": baselines.STANDARD, "all": baselines.ALL, "none": ()}
    rankings += rank_baselines(
        chosen[arguments.baselines],
        held_out,
        lambda: tuning_users(trained.data),
        cache=trained.data,
        say=lambda name: say(f"baseline: {name}"),
    )

    def ask(row: int) -> object:
        user = held_out.targets.select(held_out.targets.user_index[row : row + 1])
        query = trained.query_vectors(user, held_out.past, at=held_out.at[row : row + 1])
        seen = held_out.seen.take(np.array([row]))
        return top_k(query, vectors, _DEPTH, seen=seen, candidates=held_out.candidates)

    primary = primary_metric(ks or DEFAULT_KS)
    contributions: Any = ()
    if len(vectors) <= MAX_ITEMS:
        parts = _item_parts(trained)
        contributions = measure_contributions(held_out, queries, vectors, parts, primary)
    media = read_media(trained.data)
    found = evaluate(
        held_out,
        rankings,
        model=trained.config.name,
        data=trained.manifest.dataset.name,
        fingerprint=trained.manifest.fingerprint,
        ks=ks or DEFAULT_KS,
        gate=gate,
        last=last,
        contributions=contributions,
        latency=measure_latency(ask, len(held_out)),
        modalities={**held_out.items.present, **media.present},
    )
    files = write_evaluation(arguments.run, found, held_out, rankings, media)
    if arguments.json:
        print(found.model_dump_json(indent=1))
    else:
        print(table(found))
        print("  ".join(str(path) for path in files))
    return 1 if arguments.strict and not found.verdict.blessed else 0


def _item_parts(trained: Any) -> dict[str, Any]:
    """What each modality adds to every item's vector, float32 [N, D]."""
    import numpy as np
    import tensorflow as tf

    from tfrec.model.parts import BASE

    traced = tf.function(trained.model.item_tower.parts, reduce_retracing=True)
    found: dict[str, list[Any]] = {}
    for start in range(0, len(trained.items), _ITEMS):
        rows = np.arange(start, min(start + _ITEMS, len(trained.items)))
        inputs = {name: tf.constant(value) for name, value in trained.item_inputs(rows).items()}
        for name, part in traced(inputs).items():
            found.setdefault(name, []).append(part.numpy())
    # What is said of every item alike changes no order.
    return {name: np.concatenate(blocks) for name, blocks in found.items() if name != BASE}
