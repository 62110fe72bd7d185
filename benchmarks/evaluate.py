"""What exact evaluation over the whole catalogue costs, beside TensorFlow's ways and RecTools.

    python benchmarks/evaluate.py [--repeats 7] [--users 2048 --items 200000] [--peers PYTHON]

Top-k: 2,048 users × 200k items × 64 dimensions, k 100, 50 seen items a user masked; repeats
interleaved, medians:

    ours       `tfrec.evaluation.top_k`
    product    the product of the same tiles and its maximum by user: nothing exact can be cheaper
    topk       `tf.math.top_k` over the whole product, in one graph; masked ids set to the lowest
    streaming  `tfrs.layers.factorized_top_k.Streaming`, its `query_with_exclusions`, candidates in
               batches of 1,024 (TFRS's own examples have 128 to 1,000, which are slower)
    streaming_16k   the same in batches of 16,384, the fastest of the sizes that were tried

Figures: `ratio_streaming`, `ratio_streaming_16k` and `ratio_topk` are the peer's time over ours;
`over_product` ours over `product`. Memory: a process of its own ranks 1M items; `memory_mb` is what
its peak resident size is beyond what importing (TensorFlow, for the most part) took, `table_mb`
the item table that is part of it. Metrics: 100k users, 30 relevant items, lists of 100;
`metrics_seconds` is every metric of ours at k 10, 20 and 100, `ratio_rectools` our time over
RecTools' in turn, for the metrics that both have (`precision`, `recall`, `hit_rate`, `ndcg`, `mrr`,
`map`) at the same depths. RecTools pins an older NumPy, so it runs in an environment of its own:

    uv venv peers && uv pip install -p peers/bin/python rectools
    python benchmarks/evaluate.py --peers peers/bin/python

Without `--peers` its ratio is null. The last line is a JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np

from tfrec.evaluation.compressed_rows import CompressedRows
from tfrec.evaluation.metrics import RankedLists
from tfrec.evaluation.top_k import top_k

DIMENSION, K, SEEN = 64, 100, 50
TILE = 4096
MEMORY_USERS, MEMORY_ITEMS = 512, 1_000_000
METRIC_USERS, RELEVANT, CATALOGUE = 100_000, 30, 50_000
DEPTHS = (10, 20, 100)
MEMORY, RECTOOLS = "--memory-of", "--rectools-on"


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--users", type=int, default=2048)
    parser.add_argument("--items", type=int, default=200_000)
    parser.add_argument("--peers", type=Path, metavar="PYTHON", help="an interpreter with RecTools")
    parser.add_argument(MEMORY, type=int, help=argparse.SUPPRESS)
    return parser.parse_args(argv)


def in_turn(ways: dict[str, Callable[[], Any]], repeats: int) -> dict[str, float]:
    """Median seconds of each way, timed in turn so that a busy machine slows all; one warm-up."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for repeat in range(repeats + 1):
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            if repeat:
                times[name].append(time.perf_counter() - start)
    return {name: statistics.median(taken) for name, taken in times.items()}


def question(users: int, items: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, CompressedRows]:
    """Queries, item vectors, and seen items: as a table [users, SEEN] and as rows."""
    random = np.random.default_rng(0)
    queries = random.standard_normal((users, DIMENSION), dtype=np.float32)
    vectors = random.standard_normal((items, DIMENSION), dtype=np.float32)
    table = random.integers(0, items, (users, SEEN)).astype(np.int32)
    rows = CompressedRows.from_pairs(np.repeat(np.arange(users), SEEN), table.ravel(), rows=users)
    return queries, vectors, table, rows


def product(queries: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """The greatest score of each user, by tiles that stay in the cache."""
    best = np.full(len(queries), -np.inf, np.float32)
    for start in range(0, len(queries), 1024):
        some = slice(start, start + 1024)
        ours = np.ascontiguousarray(queries[some]).T
        tile = np.empty((TILE, ours.shape[1]), np.float32)
        for first in range(0, len(vectors), TILE):
            part = vectors[first : first + TILE]
            scores = np.matmul(part, ours, out=tile[: len(part)])
            np.maximum(
                best[start : start + 1024], scores.max(axis=0), out=best[start : start + 1024]
            )
    return best


def rank(users: int, items: int, repeats: int) -> dict[str, float]:
    """Times the ways to the same lists, and asserts that they are the same."""
    # First: it chooses Keras 2 for `tf.keras`, which TFRS wants.
    from tfrec.losses.retrieval_task import retrieval_task  # isort: skip
    import tensorflow as tf
    import tensorflow_recommenders as tfrs

    assert retrieval_task

    queries, vectors, table, rows = question(users, items)
    tensors = tf.constant(queries), tf.constant(vectors)
    where = tf.constant(np.stack([np.repeat(np.arange(users), SEEN), table.ravel()], axis=1))
    lowest = tf.fill([users * SEEN], tf.float32.min)

    @tf.function
    def whole() -> Any:
        scores = tf.matmul(tensors[0], tensors[1], transpose_b=True)
        return tf.math.top_k(tf.tensor_scatter_nd_update(scores, where, lowest), K)

    exclusions = tf.constant(table)

    def streaming(batch: int) -> Callable[[], Any]:
        layer = tfrs.layers.factorized_top_k.Streaming(k=K)
        candidates = tf.data.Dataset.from_tensor_slices((tf.range(items), tensors[1]))
        layer.index_from_dataset(candidates.batch(batch).cache())
        return lambda: layer.query_with_exclusions(tensors[0], exclusions)[1].numpy()

    ways = {
        "ours": lambda: top_k(queries, vectors, K, seen=rows).items,
        "product": lambda: product(queries, vectors),
        "topk": lambda: whole()[1].numpy(),
        "streaming": streaming(1024),
        "streaming_16k": streaming(16_384),
    }
    lists = {name: way() for name, way in ways.items() if name != "product"}
    for name, found in lists.items():
        # Sums in another order differ in the last bit, so a few neighbours may change places.
        agree = np.mean(found == lists["ours"])
        if agree < 0.999:
            raise SystemExit(f"{name} gives other lists: {agree:.4f} of the places agree")
    return in_turn(ways, repeats)


def peak_mb() -> float:
    """The greatest resident size of this process so far, in MB of 10^6 bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def memory_of(items: int) -> None:
    """In a process of its own: ranks, and prints the peak before and after as JSON."""
    imports = peak_mb()
    random = np.random.default_rng(0)
    vectors = random.standard_normal((items, DIMENSION), dtype=np.float32)
    queries = random.standard_normal((MEMORY_USERS, DIMENSION), dtype=np.float32)
    top_k(queries, vectors, K)
    print(json.dumps({"imports": imports, "peak": peak_mb(), "table": vectors.nbytes / 1e6}))


def measured_memory() -> dict[str, float]:
    """Peak resident size at 1M items, and after the imports alone; MB."""
    command = [sys.executable, __file__, MEMORY, str(MEMORY_ITEMS)]
    found = subprocess.run(command, check=True, capture_output=True, text=True)
    answer: dict[str, float] = json.loads(found.stdout.splitlines()[-1])
    return answer


def metric_case() -> tuple[np.ndarray, CompressedRows]:
    """Lists of 100 with a hit here and there, and 30 relevant items a user."""
    random = np.random.default_rng(1)
    users = np.arange(METRIC_USERS)[:, None]
    # A random start and an odd stride give distinct items without sorting random numbers.
    lists = (random.integers(0, CATALOGUE, (len(users), 1)) + 7 * np.arange(K)) % CATALOGUE
    relevant = (lists[:, :1] + 7 * 13 * np.arange(RELEVANT) + 7 * (users % 5)) % CATALOGUE
    pairs = np.repeat(users, RELEVANT, axis=1)
    return lists, CompressedRows.from_pairs(pairs.ravel(), relevant.ravel(), rows=len(users))


# Run by the peers' interpreter: a line on standard input asks for one timed round.
RECTOOLS_WORKER = """
import json, sys, time
import numpy as np, pandas as pd
from rectools import metrics as m
content = np.load(sys.argv[1])
lists, offsets, indices = content["lists"], content["offsets"], content["indices"]
depths = [int(k) for k in sys.argv[2].split(",")]
users, length = lists.shape
reco = pd.DataFrame({"user_id": np.repeat(np.arange(users), length), "item_id": lists.ravel(),
                     "rank": np.tile(np.arange(1, length + 1), users)})
truth = pd.DataFrame({"user_id": np.repeat(np.arange(users), np.diff(offsets)), "item_id": indices})
chosen = {}
for k in depths:
    chosen |= {f"precision@{k}": m.Precision(k=k), f"recall@{k}": m.Recall(k=k),
               f"hit_rate@{k}": m.HitRate(k=k), f"mrr@{k}": m.MRR(k=k), f"map@{k}": m.MAP(k=k),
               f"ndcg@{k}": m.NDCG(k=k, divide_by_achievable=True)}
for line in sys.stdin:
    start = time.perf_counter()
    found = m.calc_metrics(chosen, reco=reco, interactions=truth)
    taken = time.perf_counter() - start
    print(json.dumps({"seconds": taken, "found": found}), flush=True)
"""


def measure(peers: Path | None, repeats: int) -> dict[str, Any]:
    """Times our metrics, in turn with RecTools' in its own process."""
    lists, relevant = metric_case()

    def ours() -> dict[str, float]:
        found = RankedLists(lists, relevant, items=CATALOGUE).all(DEPTHS)
        return {name: float(values.mean()) for name, values in found.items()}

    def shared() -> dict[str, float]:
        ranked = RankedLists(lists, relevant, items=CATALOGUE)
        found = {}
        for k in DEPTHS:
            for name in ("precision", "recall", "hit_rate", "ndcg", "mrr"):
                found[f"{name}@{k}"] = float(getattr(ranked, name)(k).mean())
            found[f"map@{k}"] = float(ranked.average_precision(k, over="relevant").mean())
        return found

    if peers is None:
        return {"metrics_seconds": in_turn({"all": ours}, repeats)["all"], "ratio_rectools": None}
    with tempfile.TemporaryDirectory() as folder:
        case = Path(folder) / "case.npz"
        np.savez(case, lists=lists, offsets=relevant.offsets, indices=relevant.indices)
        depths = ",".join(map(str, DEPTHS))
        command = [str(peers), "-W", "ignore", "-c", RECTOOLS_WORKER, str(case), depths]
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert process.stdin is not None and process.stdout is not None
        theirs: list[float] = []
        try:

            def rectools() -> dict[str, float]:
                process.stdin.write("again\n")
                process.stdin.flush()
                answer = json.loads(process.stdout.readline())
                theirs.append(answer["seconds"])
                return dict(answer["found"])

            expected = rectools()
            for name, value in shared().items():
                if not np.isclose(expected[name], value, rtol=1e-9):
                    raise SystemExit(f"{name}: ours {value}, RecTools {expected[name]}")
            theirs.clear()
            times = in_turn({"all": ours, "shared": shared, "rectools": rectools}, repeats)
        finally:
            process.stdin.close()
            process.wait()
    # The worker's own clock, which the pipe is no part of; its first round was the warm-up.
    taken = statistics.median(theirs[1:])
    return {
        "metrics_seconds": times["all"],
        "shared_seconds": times["shared"],
        "rectools_seconds": taken,
        "ratio_rectools": times["shared"] / taken,
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Runs all, prints the table, and ends with one JSON object."""
    options = arguments(argv)
    if options.memory_of is not None:
        memory_of(options.memory_of)
        return 0
    memory = measured_memory()
    metrics = measure(options.peers, options.repeats)
    times = rank(options.users, options.items, options.repeats)
    result = {
        "benchmark": "evaluate",
        "users": options.users,
        "items": options.items,
        **{f"{name}_seconds": round(taken, 4) for name, taken in times.items()},
        "ratio_streaming": round(times["streaming"] / times["ours"], 2),
        "ratio_streaming_16k": round(times["streaming_16k"] / times["ours"], 2),
        "ratio_topk": round(times["topk"] / times["ours"], 2),
        "over_product": round(times["ours"] / times["product"], 2),
        "memory_mb": round(memory["peak"] - memory["imports"]),
        "table_mb": round(memory["table"]),
        **{name: value and round(value, 4) for name, value in metrics.items()},
    }
    for name, value in result.items():
        print(f"{name:24} {value}")
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
