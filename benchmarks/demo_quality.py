"""Is content worth it? `multimodal` against `ids`, popularity and chance on a simulated service.

Simulates, preprocesses, then trains each configuration with several seeds by the same commands that
a person types, asks `tfrec recommend` for lists of the test users, and scores them here, from the
raw files, so that no figure rests on the code that it judges:

    warm   candidates are the songs with behaviour in the train part
    cold   candidates are the songs that came out within the test part: nobody had heard them

    python benchmarks/demo_quality.py [--seeds 3] [--items N --users N] [--keep DIR]

NDCG@20 over users with a liked candidate in the test part that they hadn't heard before; the last
line is one JSON object, `mean` over the seeds.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from math import log2
from pathlib import Path

import pyarrow.parquet as pq

K = 20
CONFIGS = ("ids", "multimodal")
Lists = dict[str, list[str]]


class Service:
    """The truth of the test part, from the raw files and the manifest's cut-off times."""

    def __init__(self, folder: Path, data: Path) -> None:
        times = json.loads((data / "manifest.json").read_text())["split_times"]
        with (folder / "interactions.csv").open(encoding="utf-8", newline="") as file:
            events = list(csv.DictReader(file))
        with (folder / "items.csv").open(encoding="utf-8", newline="") as file:
            items = [row["item_id"] for row in csv.DictReader(file)]
        self.seen: dict[str, set[str]] = defaultdict(set)
        self.liked: dict[str, set[str]] = defaultdict(set)
        self.plays: Counter[str] = Counter()
        met = set()
        for row in events:
            when, user, item = int(row["timestamp"]), row["user_id"], row["item_id"]
            positive = row["event"] != "skip"
            if when < times["test"]:
                self.seen[user].add(item)
                met.add(item)
            elif positive:
                self.liked[user].add(item)
            if when < times["validation"] and positive:
                self.plays[item] += 1
        self.candidates = {
            "warm": [item for item in items if self.plays[item]],
            "cold": [item for item in items if item not in met],
        }

    def wanted(self, track: str) -> dict[str, set[str]]:
        """Relevant items of each user who has any."""
        allowed = set(self.candidates[track])
        found = {user: (items & allowed) - self.seen[user] for user, items in self.liked.items()}
        return {user: items for user, items in found.items() if items}

    def ndcg(self, lists: Lists, track: str) -> float:
        """Mean NDCG@20 with the ideal cut at min(20, relevant)."""
        return statistics.mean(
            sum(
                1 / log2(rank + 2)
                for rank, item in enumerate(lists.get(user, [])[:K])
                if item in items
            )
            / sum(1 / log2(rank + 2) for rank in range(min(K, len(items))))
            for user, items in self.wanted(track).items()
        )

    def by_popularity(self, track: str) -> Lists:
        """Most played in the train part first."""
        ranked = sorted(self.candidates[track], key=lambda item: (-self.plays[item], item))
        return {
            user: [item for item in ranked if item not in self.seen[user]][:K]
            for user in self.wanted(track)
        }

    def by_chance(self, track: str, seed: int) -> Lists:
        """K random candidates."""
        rng = random.Random(seed)
        return {
            user: rng.sample(
                [item for item in self.candidates[track] if item not in self.seen[user]], K
            )
            for user in self.wanted(track)
        }


def tfrec(*words: str | Path) -> float:
    """Runs a command; returns its seconds."""
    started = time.perf_counter()
    command = [sys.executable, "-m", "tfrec", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
    return time.perf_counter() - started


def trained(work: Path, data: Path, service: Service, config: str, seed: int) -> dict[str, float]:
    """NDCG@20 of one training on both tracks, and its seconds."""
    run = work / f"{config}-{seed}"
    seconds = tfrec("train", data, run, "--config", config, "--set", f"training.seed={seed}")
    result = {"seconds": seconds}
    for track in service.candidates:
        output = work / f"{config}-{seed}-{track}.parquet"
        tfrec(
            *("recommend", run, "--split", "test", "--k", str(K), "--exclude-seen"),
            *("--candidates", work / f"{track}.txt", "--output", output),
        )
        lists: Lists = defaultdict(list)
        rows = pq.read_table(output).to_pylist()
        for row in sorted(rows, key=lambda row: (row["user_id"], row["rank"])):
            lists[row["user_id"]].append(row["item_id"])
        result[track] = service.ndcg(lists, track)
    return result


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--items", type=int, default=2_000)
    parser.add_argument("--users", type=int, default=3_000)
    parser.add_argument("--keep", type=Path, help="a directory for what is made")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        work = arguments.keep or Path(scratch)
        work.mkdir(parents=True, exist_ok=True)
        sizes = ("--items", str(arguments.items), "--users", str(arguments.users))
        tfrec("simulate", work / "music", *sizes)
        tfrec("preprocess", work / "music" / "dataset.yaml", work / "data")
        service = Service(work / "music", work / "data")
        for track, items in service.candidates.items():
            (work / f"{track}.txt").write_text("".join(f"{item}\n" for item in items))
        table: dict[str, list[dict[str, float]]] = {
            "chance": [
                {t: service.ndcg(service.by_chance(t, seed), t) for t in service.candidates}
                for seed in range(20)
            ],
            "popularity": [
                {t: service.ndcg(service.by_popularity(t), t) for t in service.candidates}
            ],
        }
        for config in CONFIGS:
            table[config] = [
                trained(work, work / "data", service, config, seed)
                for seed in range(arguments.seeds)
            ]
    print(f"{'NDCG@20':<12} {'warm':>16} {'cold':>16} {'seconds':>9}")
    means: dict[str, dict[str, float]] = {}
    for name, rows in table.items():
        means[name] = {key: statistics.mean(row[key] for row in rows) for key in rows[0]}
        spread = {
            key: statistics.stdev([r[key] for r in rows]) if rows[1:] else 0.0 for key in rows[0]
        }
        cells = [f"{means[name][t]:.4f} ± {spread[t]:.4f}" for t in ("warm", "cold")]
        print(f"{name:<12} {cells[0]:>16} {cells[1]:>16} {means[name].get('seconds', 0):9.1f}")
    ours = means["multimodal"]
    print(
        json.dumps(
            {
                "mean": means,
                "seeds": arguments.seeds,
                "warm_over_ids": ours["warm"] / means["ids"]["warm"],
                "warm_over_popularity": ours["warm"] / means["popularity"]["warm"],
                "cold_over_chance": ours["cold"] / means["chance"]["cold"],
            }
        )
    )


if __name__ == "__main__":
    main()
