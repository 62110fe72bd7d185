"""Does a training step cost what its loss costs, whatever the vocabulary? Ours beside its peers.

Two id towers, in-batch softmax, batch 1,024, dimension 64, sparse Adagrad, input included. Examples
a second, in one process, repeats interleaved, medians:

    limit      the loss and its gradient alone, by TensorFlow's own operations, on vectors that are
               there already
    ours_limit the same by our own loss, which walks the scores less often
    ours       `tfrec.training.Trainer` through Keras' `fit`, batches cut by `tfrec.input.Windows`
    tfrs       `tfrs.Model` with `tf.keras` (Keras 2) embeddings and Adagrad, the same batches
    stock      Keras 3's own Embedding and Adagrad through `fit`, the same batches

    python benchmarks/train.py [--repeats 3] [--sizes 10k 500k 2m]

Figures: `roofline_<size>` is ours over the limit, `own_roofline_<size>` over our own loss alone;
`ratio_500k` ours over tfrs and `ratio_stock_keras3` ours over stock, at 200k users × 500k items;
`flat_2m` our time a step at 1M users × 2M items over that at 10k × 10k, their repeats interleaved;
`memory_gb_2m` the peak of a process that trains there over one's at 10k × 10k, beside
`tables_gb_2m`, tables and slots alone.
With `--data DIR` (prepared, its media encoded), also `multimodal_overhead`: an epoch of
`multimodal` over one of `ids`; and `time_to_quality` (`benchmarks/time_to_quality.py`). The last
line is a JSON object.
"""

from __future__ import annotations

import argparse
import gc
import json
import resource
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

# First: it chooses Keras 2 for `tf.keras`, and leaves `import keras` what it is.
from tfrec.training import Trainer, resolve  # isort: skip

import keras
import numpy as np
import tensorflow as tf
import tensorflow_recommenders as tfrs
from time_to_quality import time_to_quality

from tfrec.config.loading import load_config
from tfrec.config.model import LossConfig, ModelConfig
from tfrec.config.presets import find_model_config
from tfrec.input import ItemTable, Timelines, Windows
from tfrec.losses import in_batch_softmax
from tfrec.model import NeuralView, TwoTower
from tfrec.optimizers import RowAdagrad
from tfrec.schema import DataLayout
from tfrec.training import Catalogue
from tfrec.training.progress import TrainingProgress
from tfrec.training.run_directory import RunLayout
from tfrec.training.session import Session

BATCH, DIMENSION = 1024, 64
SIZES = {"10k": (10_000, 10_000), "500k": (200_000, 500_000), "2m": (1_000_000, 2_000_000)}
EVENTS = 2_000_000
Timed = Callable[[], float]


def timelines(users: int, items: int) -> Timelines:
    """Events at random, items by a long tail."""
    random = np.random.default_rng(0)
    offsets = np.linspace(0, EVENTS, users + 1).astype(np.int64)
    ones = np.ones(EVENTS, np.float32)
    return Timelines(
        user_ids=np.empty(users, object),
        user_index=np.arange(users, dtype=np.int32),
        offsets=offsets,
        item_index=(items * random.random(EVENTS) ** 2).astype(np.int32),
        timestamp=np.arange(EVENTS, dtype=np.int64),
        event=np.zeros(EVENTS, np.int32),
        label=ones,
        weight=ones,
        dwell=ones,
        sentiment=ones,
        context={},
        profile={},
        profile_present={},
    )


def table(items: int) -> ItemTable:
    """A catalogue of ids."""
    zeros = np.zeros(items, np.int64)
    return ItemTable(np.empty(items, object), zeros + 1, zeros, zeros, {}, {}, {}, {})


def stock_softmax(queries: Any, items: Any) -> Any:
    """In-batch softmax by TensorFlow's own operations and gradients."""
    scores = tf.matmul(queries, items, transpose_b=True)
    rows = tf.range(tf.shape(scores)[0])
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=rows, logits=scores)
    return tf.reduce_mean(losses)


def limit(steps: int, softmax: Callable[[Any, Any], Any] = stock_softmax) -> Timed:
    """The loss with its gradient, in a loop inside the graph."""
    random = np.random.default_rng(0)
    queries = tf.constant(random.normal(size=(BATCH, DIMENSION)), tf.float32)
    items = tf.constant(random.normal(size=(BATCH, DIMENSION)), tf.float32)

    @tf.function
    def loop(queries: Any, items: Any) -> Any:
        for _ in tf.range(steps):
            with tf.GradientTape() as tape:
                tape.watch([queries, items])
                loss = softmax(queries, items)
            first, second = tape.gradient(loss, [queries, items])
            # The next step needs this one's gradient, so that none is optimised away.
            queries, items = queries - 1e-9 * first, items - 1e-9 * second
        return queries

    loop(queries, items)
    return lambda: seconds(lambda: loop(queries, items).numpy()) / steps


def ours(users: int, items: int, windows: Windows, steps: int) -> Timed:
    """Our own training step, with log Q and accidental hits as by default."""
    view = NeuralView(
        DIMENSION, items=items, users=users, item_bias=False, normalize=False, name="neural"
    )
    model = TwoTower({"neural": view})
    one = tf.constant([0])
    model.build_layers({"user_index": one, "item_index": one})
    trainer = Trainer(
        model,
        Catalogue(table(items), {}, {}),
        LossConfig(type="in_batch", temperature=1.0, normalize=False),
        windows.target_counts(items),
        RowAdagrad(0.05),
    )
    trainer.compile(optimizer=keras.optimizers.AdamW(), steps_per_execution=steps)
    first = [0]

    def run() -> float:
        batches = windows.dataset(first[0], steps)
        first[0] += steps
        return seconds(lambda: trainer.fit(batches, verbose=0, shuffle=False)) / steps

    run()
    return run


def tfrs_model(users: int, items: int, windows: Windows, steps: int) -> Timed:
    """TFRS's tutorial model, on Keras 2."""

    class Model(tfrs.Model):
        def __init__(self) -> None:
            super().__init__()
            self.users = tf.keras.layers.Embedding(users, DIMENSION)
            self.items = tf.keras.layers.Embedding(items, DIMENSION)
            self.task = tfrs.tasks.Retrieval(remove_accidental_hits=True)

        def compute_loss(self, features: Any, training: bool = False) -> Any:
            return self.task(
                self.users(features["user_index"]),
                self.items(features["item_index"]),
                candidate_ids=features["item_index"],
                compute_metrics=False,
            )

    model = Model()
    model.compile(optimizer=tf.keras.optimizers.Adagrad(0.05), steps_per_execution=steps)

    def run() -> float:
        batches = windows.dataset(0, steps)
        return seconds(lambda: model.fit(batches, verbose=0)) / steps

    run()
    return run


def stock(users: int, items: int, windows: Windows, steps: int) -> Timed:
    """Keras 3 as it comes."""

    class Model(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.users = keras.layers.Embedding(users, DIMENSION)
            self.items = keras.layers.Embedding(items, DIMENSION)

        def call(self, features: Any) -> Any:
            return self.users(features["user_index"]), self.items(features["item_index"])

        def compute_loss(self, x: Any, y: Any, y_pred: Any, *rest: Any, **more: Any) -> Any:
            return in_batch_softmax(*y_pred, item_ids=x["item_index"])

    model = Model()
    model.compile(optimizer=keras.optimizers.Adagrad(0.05), steps_per_execution=steps)

    def run() -> float:
        batches = windows.dataset(0, steps)
        return seconds(lambda: model.fit(batches, verbose=0, shuffle=False)) / steps

    run()
    return run


def epoch_of(data: Path, name: str) -> Timed:
    """An epoch of a shipped configuration, without validation."""
    alone = ["closed_form.enabled=false", "ids.enabled=false"]
    overrides = alone if name == "multimodal" else []
    manifest = DataLayout(data).read_manifest()
    config, _ = resolve(load_config(find_model_config(name), ModelConfig, overrides), manifest)
    one = tf.distribute.get_strategy()
    session = Session(data, manifest, config, RunLayout("unused"), one, lambda line: None)
    steps = session.windows.steps_per_epoch
    bar = TrainingProgress(1, steps, session.windows.count, shown=False)

    def run() -> float:
        bar.begin(0)
        session.fit(0, bar)
        return bar.seconds

    run()
    return run


def seconds(call: Callable[[], Any]) -> float:
    """Wall time of a call."""
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def medians(timed: dict[str, Timed], repeats: int) -> dict[str, float]:
    """Median seconds of each, the repeats interleaved."""
    found = defaultdict(list)
    for _ in range(repeats):
        for name, call in timed.items():
            found[name].append(call())
    return {name: statistics.median(values) for name, values in found.items()}


def peak_of(size: str) -> float:
    """Peak resident memory, GB, of a process that trains at a size."""
    words = [sys.executable, __file__, "--peak", size]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    return float(done.stdout.splitlines()[-1])


def print_peak(size: str) -> None:
    """Trains at a size, and prints this process's peak resident memory, GB."""
    users, items = SIZES[size]
    windows = Windows(timelines(users, items), length=0, batch_size=BATCH)
    ours(users, items, windows, 40)()
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--data", type=Path, help="prepared data for multimodal_overhead")
    parser.add_argument("--peak", choices=SIZES, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.peak:
        print_peak(arguments.peak)
        return
    result: dict[str, float] = {}
    if "2m" in arguments.sizes:
        # First: a child's peak begins at what its parent had when it was started.
        result["memory_gb_2m"] = peak_of("2m") - peak_of("10k")
    for size in arguments.sizes:
        users, items = SIZES[size]
        windows = Windows(timelines(users, items), length=0, batch_size=BATCH)
        timed: dict[str, Timed] = {
            "limit": limit(400),
            "ours_limit": limit(400, in_batch_softmax),
            "ours": ours(users, items, windows, 400),
        }
        if size == "2m":
            small = Windows(timelines(*SIZES["10k"]), length=0, batch_size=BATCH)
            timed["ours_10k"] = ours(*SIZES["10k"], small, 400)
            result["tables_gb_2m"] = 2 * (users + items) * DIMENSION * 4 / 2**30
        if size == "500k":
            timed["tfrs"] = tfrs_model(users, items, windows, 400)
            timed["stock"] = stock(users, items, windows, 20)
        found = medians(timed, arguments.repeats)
        for name, value in found.items():
            print(f"{size:>5} {name:<10} {value * 1e3:8.2f} ms a step {BATCH / value:12,.0f}/s")
        if size == "2m":
            result["flat_2m"] = found["ours"] / found["ours_10k"]
        result[f"roofline_{size}"] = found["limit"] / found["ours"]
        result[f"own_roofline_{size}"] = found["ours_limit"] / found["ours"]
        if size == "500k":
            result["ratio_500k"] = found["tfrs"] / found["ours"]
            result["ratio_stock_keras3"] = found["stock"] / found["ours"]
        del timed, windows
        keras.backend.clear_session()
        gc.collect()
    if arguments.data:
        timed = {name: epoch_of(arguments.data, name) for name in ("ids", "multimodal")}
        found = medians(timed, arguments.repeats)
        print(f"      epoch of ids {found['ids']:.2f} s, of multimodal {found['multimodal']:.2f} s")
        result["multimodal_overhead"] = found["multimodal"] / found["ids"]
        result["time_to_quality"] = time_to_quality(arguments.data)["time_to_quality"]
    print(json.dumps({name: round(value, 4) for name, value in result.items()}))


if __name__ == "__main__":
    main()
