"""Versions swapped under load: does a request fail, or an answer mix two versions?

Clients in processes of their own ask an embedded server without pause until they have been answered
100,000 times in all. Meanwhile five new versions are published as an export does it (written
elsewhere, renamed into place), spread evenly over the requests, and the newest is withdrawn again
by `tfrec rollback`'s own function. A toy recommender gives each of a request's three users items
that carry its version's name, and scores that its version multiplies: an answer is mixed where
these, or the version that the answer's header names, disagree. Nothing is tried again.

Run without batching and with the stock server's batching. Prints counts; the last line is one JSON
object: `requests`, `failed`, `mixed` (wanted: 0 and 0), `swaps`, `rollbacks`, answers by version,
`unseen` (versions that never answered; wanted: none), requests a second and the slowest answer.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

SWAPS = 5
USERS = ["a", "b", "c"]
K = 4


def write_version(base: Path, version: int, staging: Path) -> None:
    """A recommender whose items are named after its version, renamed into place."""
    import tensorflow as tf

    class Toy(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.factor = tf.Variable(float(version))

        @tf.function(
            input_signature=[
                tf.TensorSpec([None], tf.string, "user_id"),
                tf.TensorSpec([None, None], tf.string, "history"),
                tf.TensorSpec([None, None], tf.string, "exclude"),
                tf.TensorSpec([None], tf.int32, "k"),
            ]
        )
        def recommend(self, user_id: Any, history: Any, exclude: Any, k: Any) -> dict[str, Any]:
            places = tf.range(1, tf.reduce_max(k) + 1)
            shape = [tf.shape(user_id)[0], tf.size(places)]
            scores = tf.broadcast_to(tf.cast(places, tf.float32) * self.factor, shape)
            return {"item_ids": tf.fill(shape, f"v{version}"), "scores": scores}

    module = Toy()
    tf.saved_model.save(module, str(staging / str(version)), signatures=module.recommend)
    base.mkdir(exist_ok=True)
    (staging / str(version)).rename(base / str(version))


def verdict(answers: list[Any]) -> int:
    """The version that an answer is from; 0 where it is of several, or wrong."""
    version: int = answers[0].model_version
    expected = (f"v{version}",) * K, tuple(float(version * place) for place in range(1, K + 1))
    whole = all((answer.item_ids, answer.scores) == expected for answer in answers)
    return version if whole and len(answers) == len(USERS) else 0


def ask(port: int, asked: Any, wanted: int, tally: dict[str, Any]) -> None:
    """One client: asks until all clients together have been answered `wanted` times."""
    from serving.client import CallOptions, Client
    from tfrec.errors import ServingError

    with Client(
        f"127.0.0.1:{port}", model="toy", call=CallOptions(timeout=60, attempts=1)
    ) as client:
        while True:
            with asked.get_lock():
                if asked.value >= wanted:
                    return
                asked.value += 1
            begun = time.perf_counter()
            try:
                version = verdict(client.recommend_many(USERS, K))
            except ServingError as error:
                waited = time.perf_counter() - begun
                tally["errors"].append(f"after {waited:.1f} s, request {asked.value}: {error}")
                continue
            tally["slowest"] = max(tally["slowest"], time.perf_counter() - begun)
            tally["versions"][version] += 1


def clients(port: int, count: int, asked: Any, wanted: int, results: Any) -> None:
    """A process of several clients, each with a connection of its own."""
    tallies = [{"errors": [], "versions": Counter(), "slowest": 0.0} for _ in range(count)]
    threads = [threading.Thread(target=ask, args=(port, asked, wanted, tally)) for tally in tallies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    results.put(tallies)


def under_load(requests: int, count: int, processes: int, batching: bool) -> dict[str, Any]:
    """Five swaps and a rollback while the clients ask."""
    from serving.options import ServerOptions
    from serving.server import Server
    from tfrec.export.publish import roll_back

    context = multiprocessing.get_context("spawn")
    asked, results = context.Value("q", 0), context.Queue()
    with tempfile.TemporaryDirectory() as folder:
        base, staging = Path(folder) / "toy", Path(folder) / "staging"
        write_version(base, 1, staging)
        options = ServerOptions(
            model_name="toy",
            model_base_path=base,
            port=0,
            file_system_poll_wait_seconds=0.05,
            enable_batching=batching,
        )
        with Server(options) as server:
            running = [
                context.Process(
                    target=clients, args=(server.port, count // processes, asked, requests, results)
                )
                for _ in range(processes)
            ]
            for process in running:
                process.start()
            begun = None
            pause = threading.Event()
            for step in range(1, SWAPS + 2):
                while asked.value < requests * step // (SWAPS + 2):
                    if begun is None and asked.value:
                        begun = time.perf_counter()
                    pause.wait(0.01)
                if step <= SWAPS:
                    write_version(base, step + 1, staging)
                    print(f"version {step + 1} at request {asked.value}", flush=True)
                else:
                    roll_back(base)
                    print(f"rollback at request {asked.value}", flush=True)
            tallies = [tally for _ in running for tally in results.get()]
            seconds = time.perf_counter() - (begun or 0.0)
            for process in running:
                process.join()
    versions = sum((tally["versions"] for tally in tallies), Counter())
    errors = [error for tally in tallies for error in tally["errors"]]
    for error in sorted(set(errors))[:5]:
        print("failed:", error)
    report = {
        "requests": asked.value,
        "clients": len(tallies),
        "failed": len(errors),
        "mixed": versions.pop(0, 0),
        "answered": sum(versions.values()),
        "by_version": {str(version): versions[version] for version in sorted(versions)},
        "unseen": [v for v in range(1, SWAPS + 2) if not versions[v]],
        "per_second": round(asked.value / seconds),
        "slowest_ms": round(1000 * max(tally["slowest"] for tally in tallies)),
    }
    print("batched" if batching else "single", report, flush=True)
    return report


def main() -> None:
    """Runs both, and prints."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--processes", type=int, default=2, help="that the clients live in")
    parser.add_argument("--only", choices=["single", "batched"])
    arguments = parser.parse_args()
    if arguments.clients % arguments.processes:
        parser.error("--clients must be a multiple of --processes")
    reports = {
        name: under_load(arguments.requests, arguments.clients, arguments.processes, batching)
        for name, batching in (("single", False), ("batched", True))
        if arguments.only in (None, name)
    }
    print(
        json.dumps(
            {
                "benchmark": "swap",
                **{
                    total: sum(report[total] for report in reports.values())
                    for total in ("requests", "failed", "mixed")
                },
                "swaps": SWAPS,
                "rollbacks": 1,
                **reports,
            }
        )
    )


if __name__ == "__main__":
    main()
