"""How long until a model recommends well? TFRS's plain retrieval model beside ours, from one file.

The peer is TFRS's tutorial: an embedding a user, one an item, `tfrs.tasks.Retrieval`, Keras 2's
Adagrad; batch 1,024, dimension 64. It is trained with each of a few learning rates until its
validation NDCG@20 has not risen for three epochs; what the best rate took to its best epoch is the
peer's time, and the trials of the other rates are not counted. Ours is `ids.yaml` as it comes: the
wall time, reading the records included on both sides, until an epoch's NDCG@20 is at least that.
The figure is measured by the same code for both: full catalogue, seen items left out.

    python benchmarks/time_to_quality.py DATA

The last line is a JSON object; `time_to_quality` is the peer's seconds over ours.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

# First: it chooses Keras 2 for `tf.keras`, and leaves `import keras` what it is.
from tfrec.training import Validation, train  # isort: skip

import numpy as np
import tensorflow as tf
import tensorflow_recommenders as tfrs

from tfrec.config.loading import load_config
from tfrec.config.model import ModelConfig
from tfrec.config.presets import find_model_config
from tfrec.input import Timelines, Windows
from tfrec.schema import DataLayout

# From below the best to above it: a grid whose best is at its edge tunes nothing.
RATES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
PATIENCE, EPOCHS = 3, 60


class ReachedError(Exception):
    """Ours is as good as the peer."""


def peer(data: Path, rate: float) -> tuple[float, float]:
    """Best NDCG@20 of TFRS's plain model, and seconds until the epoch that had it."""
    started = time.perf_counter()
    manifest = DataLayout(data).read_manifest()
    past, later = Timelines.load(data, "train"), Timelines.load(data, "validation")
    windows = Windows(past, length=0, batch_size=1024, repeats=False)
    validation = Validation(past, later, items=manifest.items, length=1)

    class Model(tfrs.Model):
        def __init__(self) -> None:
            super().__init__()
            self.users = tf.keras.layers.Embedding(manifest.users, 64)
            self.items = tf.keras.layers.Embedding(manifest.items, 64)
            self.task = tfrs.tasks.Retrieval(remove_accidental_hits=True)

        def compute_loss(self, features: Any, training: bool = False) -> Any:
            return self.task(
                self.users(features["user_index"]),
                self.items(features["item_index"]),
                candidate_ids=features["item_index"],
                compute_metrics=False,
            )

    tf.keras.utils.set_random_seed(0)
    model = Model()
    steps = windows.steps_per_epoch
    model.compile(optimizer=tf.keras.optimizers.Adagrad(rate), steps_per_execution=min(32, steps))
    best, seconds, at = -1.0, 0.0, 0
    for epoch in range(EPOCHS):
        model.fit(windows.dataset(epoch * steps, steps), verbose=0)
        queries = model.users(tf.constant(validation.inputs["user_index"])).numpy()
        vectors = model.items(tf.range(manifest.items)).numpy()
        value = validation.measure(queries, vectors, "ndcg@20")
        if value > best:
            best, seconds, at = value, time.perf_counter() - started, epoch
        elif epoch - at >= PATIENCE:
            break
    return best, seconds


def ours(data: Path, wanted: float) -> tuple[float, float]:
    """NDCG@20 of `ids.yaml` when it was first as good, and seconds until then."""
    config = load_config(find_model_config("ids"), ModelConfig)
    found: list[tuple[float, float]] = []
    started = time.perf_counter()

    def watch(row: dict[str, Any]) -> None:
        found.append((row["ndcg@20"], time.perf_counter() - started))
        if row["ndcg@20"] >= wanted:
            raise ReachedError

    with tempfile.TemporaryDirectory() as scratch:
        try:
            train(data, Path(scratch) / "run", config, watch=watch, progress=False)
        except ReachedError:
            return found[-1]
    # Never as good: no ratio is claimed.
    return max(found)[0], float("inf")


def time_to_quality(data: Path) -> dict[str, float]:
    """Measures both, the peer's rates first.

    Args:
        data: Prepared data.
    """
    trials = {rate: peer(data, rate) for rate in RATES}
    for rate, (value, seconds) in trials.items():
        print(f"tfrs  rate {rate:<5g} NDCG@20 {value:.4f} after {seconds:6.1f} s", flush=True)
    wanted, theirs = max(trials.values())
    again = [ours(data, wanted) for _ in range(3)]
    value, seconds = sorted(again, key=lambda pair: pair[1])[1]
    print(f"ours             NDCG@20 {value:.4f} after {seconds:6.1f} s", flush=True)
    return {
        "time_to_quality": theirs / seconds,
        "tfrs_seconds": theirs,
        "ours_seconds": seconds,
        "ndcg": float(np.float64(wanted)),
    }


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="prepared data")
    found = time_to_quality(parser.parse_args().data)
    print(json.dumps({name: round(value, 4) for name, value in found.items()}))


if __name__ == "__main__":
    main()
