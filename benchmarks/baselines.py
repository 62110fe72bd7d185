"""The baselines on a ready split, each list judged twice: by tfrec and by an independent scorer.

    python benchmarks/baselines.py --warm DATA --cold DATA --root RAW --scorer score.py

DATA is what `tfrec preprocess configs/datasets/movielens-ready-split.yaml` made of either split,
RAW the raw files with `splits/warm` and `splits/cold` and their `candidates.txt`. Systems learn the
train part, options are chosen on validation or on hidden items. Each is asked twice: with the train
part alone as the users' history, as the peers were, and with validation too.

The last line is one JSON object: NDCG@20 and recall@20 by track and baseline, and the largest
difference to the scorer's.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tfrec import baselines
from tfrec.evaluation import (
    HeldOut,
    RankedLists,
    histories_before,
    mean,
    rank_baselines,
    tuning_users,
)


def judged(lists: Any, held_out: HeldOut, scorer: Path, split: Path) -> tuple[float, float, float]:
    """NDCG@20, recall@20, and the larger difference to the scorer's."""
    ranked = RankedLists(lists, held_out.relevant, items=len(held_out.items))
    ours = mean(ranked.ndcg(20)), mean(ranked.recall(20))
    row, place = np.nonzero(lists >= 0)
    table = pa.table(
        {
            "user_id": held_out.targets.user_ids[row].astype(str),
            "rank": place + 1,
            "item_id": held_out.items.ids[lists[row, place]].astype(str),
        }
    )
    with tempfile.NamedTemporaryFile(suffix=".parquet") as file:
        pq.write_table(table, file.name)
        words = [sys.executable, str(scorer), file.name, str(split), "--boot", "50"]
        done = subprocess.run(words, capture_output=True, text=True, check=True)
    theirs = json.loads(done.stdout)
    gap = max(abs(ours[0] - theirs["ndcg@20"]), abs(ours[1] - theirs["recall@20"]))
    return *ours, gap


def measured(track: str, data: Path, root: Path, scorer: Path) -> dict[str, Any]:
    """Every baseline that can rank the track's candidates."""
    split = root / "splits" / track
    held_out = HeldOut.load(data, "test", candidates=split / "candidates.txt")
    train_only = replace(held_out, past=histories_before(held_out.train, held_out.targets))
    print(f"{track}: {len(held_out):,} users, {len(held_out.listed):,} candidates", flush=True)
    reaching = [one for one in baselines.ALL if track != "cold" or one.reaches_cold]
    found = {}
    for one in reaching:
        started = time.perf_counter()
        row: dict[str, Any] = {}
        for name, question in (("train", train_only), ("train and validation", held_out)):
            ranked = rank_baselines([one], question, lambda: tuning_users(data))
            if ranked:
                values = judged(ranked[0].lists["all"], question, scorer, split)
                row[name] = dict(zip(("ndcg@20", "recall@20", "gap"), values, strict=True))
        if row:
            found[one.name] = row
            told = "  ".join(
                f"history {name}: {v['ndcg@20']:.4f} {v['recall@20']:.4f} (scorer off by"
                f" {v['gap']:.0e})"
                for name, v in row.items()
            )
            print(f"  {one.name:<20}{told}  {time.perf_counter() - started:.0f} s", flush=True)
    return found


def main() -> None:
    """Measures both tracks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("warm", "cold", "root", "scorer"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    arguments = parser.parse_args()
    found = {
        track: measured(track, getattr(arguments, track), arguments.root, arguments.scorer)
        for track in ("warm", "cold")
    }
    gaps = [v["gap"] for rows in found.values() for row in rows.values() for v in row.values()]
    print(json.dumps({**found, "largest_gap": max(gaps)}))


if __name__ == "__main__":
    main()
