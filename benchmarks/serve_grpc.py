"""What the embedded server adds to the graph, and what many clients gain over one.

`serve.py` runs this too. A recommender of 100,000 items (64 dimensions, brute force, top 10) is
exported, then the same request is answered, in turns, by the bare graph call in a TF1-style
session and by the embedded server over loopback; then one client and 32 clients ask in turns.
Clients are processes of their own. Prints medians; the last line is one JSON object:

- `grpc_over_graph`: p50 over gRPC over p50 of the bare call, batch 1; at most 4 is wanted.
- `throughput_ratio`: requests a second of 32 clients over one client, with the stock server's
  batching parameters; at least 2.5 is wanted. `throughput_ratio_unbatched` is without.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

ITEMS, CALLS, SECONDS, REPEATS = 100_000, 300, 2.0, 3
BATCHING = "max_batch_size { value: 32 }\nnum_batch_threads { value: 2 }\n"


def write_model(path: Path, items: int, dimension: int) -> None:
    """A recommender with the inputs and outputs of an export."""
    import numpy as np
    import tensorflow as tf

    random = np.random.default_rng(0)

    class Recommender(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.items = tf.Variable(random.standard_normal((items, dimension), np.float32))
            self.ids = tf.constant([f"item-{index}" for index in range(items)])

        @tf.function(
            input_signature=[
                tf.TensorSpec([None], tf.string, "user_id"),
                tf.TensorSpec([None, None], tf.string, "history"),
                tf.TensorSpec([None, None], tf.string, "exclude"),
                tf.TensorSpec([None], tf.int32, "k"),
            ]
        )
        def recommend(self, user_id: Any, history: Any, exclude: Any, k: Any) -> dict[str, Any]:
            row = tf.strings.to_hash_bucket_fast(user_id, items)
            scores = tf.matmul(tf.gather(self.items, row), self.items, transpose_b=True)
            best, index = tf.math.top_k(scores, tf.reduce_max(k))
            return {"item_ids": tf.gather(self.ids, index), "scores": best}

    module = Recommender()
    tf.saved_model.save(module, str(path), signatures=module.recommend)


def ask_for(port: int, seconds: float, start: Any, counts: Any) -> None:
    """One client process: asks without pause for a while, and reports how often."""
    from serving.client import CallOptions, Client

    with Client(f"127.0.0.1:{port}", model="bench", call=CallOptions(timeout=30)) as client:
        client.recommend("warm-up")
        start.wait()
        count = 0
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            client.recommend(f"user-{count}")
            count += 1
    counts.put(count)


def throughput(port: int, clients: int, threads: int, seconds: float) -> float:
    """Requests a second of many clients, `threads` of them in each process."""
    context = multiprocessing.get_context("spawn")
    start = context.Barrier(clients // threads)
    counts = context.Queue()
    processes = [
        context.Process(target=ask_with_threads, args=(port, threads, seconds, start, counts))
        for _ in range(clients // threads)
    ]
    for process in processes:
        process.start()
    total = sum(counts.get() for _ in processes)
    for process in processes:
        process.join()
    return total / seconds


def ask_with_threads(port: int, threads: int, seconds: float, start: Any, counts: Any) -> None:
    """Several clients of one process, each with a connection of its own."""
    import queue
    import threading

    begin = threading.Barrier(threads, action=start.wait)
    found: queue.Queue[int] = queue.Queue()
    running = [
        threading.Thread(target=ask_for, args=(port, seconds, begin, found)) for _ in range(threads)
    ]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    counts.put(sum(found.get() for _ in running))


def latencies(server: Any, calls: int) -> tuple[float, float]:
    """Medians in milliseconds of the bare graph call and of the same call over gRPC, in turns."""
    import numpy as np
    from tensorflow_serving.apis import model_pb2

    from serving.client import CallOptions, Client
    from serving.requests import recommend_inputs

    inputs = recommend_inputs(["user"], 10, None, None, None)
    call = CallOptions(timeout=30)
    with (
        Client(f"127.0.0.1:{server.port}", model="bench", call=call) as client,
        server.repository.acquire(model_pb2.ModelSpec(name="bench")) as servable,
    ):
        runner = servable.runner
        signature = runner.signatures["serving_default"]
        names = sorted(inputs, key=lambda name: signature.inputs[name].name)
        feeds = [signature.inputs[name].name for name in names]
        fetches = [signature.outputs[name].name for name in ("item_ids", "scores")]
        arrays = [inputs[name] for name in names]
        graph, grpc = [], []
        for number in range(calls * 2):
            started = time.perf_counter()
            if number % 2:
                client.recommend("user")
            else:
                runner.run(feeds, fetches, arrays)
            (grpc if number % 2 else graph).append(time.perf_counter() - started)
    skip = calls // 10
    return float(np.median(graph[skip:])) * 1000, float(np.median(grpc[skip:])) * 1000


def measured(items: int, dimension: int, calls: int, seconds: float) -> dict[str, float]:
    """The figures of the module's description, by name."""
    from serving.options import ServerOptions
    from serving.server import Server

    rates: dict[tuple[str, int], list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder) / "bench"
        write_model(base / "1", items, dimension)
        batching = Path(folder) / "batching.config"
        batching.write_text(BATCHING)
        plain = ServerOptions(
            model_name="bench", model_base_path=base, port=0, file_system_poll_wait_seconds=0
        )
        batched = plain.model_copy(
            update={"enable_batching": True, "batching_parameters_file": batching}
        )
        with Server(plain) as single, Server(batched) as gathering:
            graph_ms, grpc_ms = latencies(single, calls)
            print(f"graph {graph_ms:.3f} ms, over gRPC {grpc_ms:.3f} ms (p50, batch 1)")
            for repeat in range(REPEATS):
                for name, server in (("single", single), ("batched", gathering)):
                    for clients in (1, 32):
                        rate = throughput(server.port, clients, min(clients, 16), seconds)
                        rates.setdefault((name, clients), []).append(rate)
                        print(f"{repeat}: {name}, {clients} clients: {rate:.0f}/s")
    medians = {key: statistics.median(values) for key, values in rates.items()}
    return {
        "graph_ms_p50": round(graph_ms, 3),
        "grpc_ms_p50": round(grpc_ms, 3),
        "grpc_over_graph": round(grpc_ms / graph_ms, 2),
        **{f"per_second_{n}_{c}": round(rate) for (n, c), rate in medians.items()},
        "throughput_ratio": round(medians["batched", 32] / medians["batched", 1], 2),
        "throughput_ratio_unbatched": round(medians["single", 32] / medians["single", 1], 2),
    }


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--items", type=int, default=ITEMS)
    parser.add_argument("--dimension", type=int, default=64)
    parser.add_argument("--calls", type=int, default=CALLS)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    arguments = parser.parse_args()
    figures = measured(arguments.items, arguments.dimension, arguments.calls, arguments.seconds)
    print(json.dumps({"benchmark": "serve_grpc", "items": arguments.items, **figures}))


if __name__ == "__main__":
    main()
