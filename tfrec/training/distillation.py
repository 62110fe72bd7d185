"""Train media towers item by item, before the two towers are trained event by event.

A picture is the same in each of the hundred events on its item. So a tower on raw media is first
trained alone: for each warm item it learns to predict, through a linear map, the item's factors of
behaviour (`item_factors`), by cosine. That costs items × passes, not events × passes. Its weights
are then fixed, its vector of every item is computed once, and the training of the two towers reads
these vectors as it reads a frozen encoding. A share of the items is held out to stop in time, and
tells what the modality is worth alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfrec.input import ItemTable, Timelines
from tfrec.input.augmentation import Augmenter
from tfrec.towers import Tower, prepared_kind
from tfrec.training.catalogue import prepare
from tfrec.training.item_factors import item_factors

__all__ = ["Distilled", "distill", "media_towers"]

Array = npt.NDArray[Any]

_RAW = frozenset({"text", "image", "audio", "video"})
_BATCH = 64
_HELD_OUT = 0.1


@dataclass(frozen=True)
class Distilled:
    """What became of one tower.

    Attributes:
        vectors: float32 [N, d], of every item; zeros where the feature is missing.
        cosine: Between predicted and true factors on held-out items, and for the best constant.
        constant: As `cosine`, of a prediction that is the same for all.
        passes: Passes over the items that were kept.
    """

    vectors: npt.NDArray[np.float32]
    cosine: float
    constant: float
    passes: int


def media_towers(items: ItemTable, towers: Mapping[str, Tower]) -> dict[str, Tower]:
    """The towers that read raw media or text."""
    return {n: tower for n, tower in towers.items() if prepared_kind(items.specs[n]) in _RAW}


def distill(
    items: ItemTable,
    timelines: Timelines,
    towers: Mapping[str, Tower],
    *,
    rank: int = 32,
    passes: int = 30,
    patience: int = 4,
    learning_rate: float = 3e-3,
    seed: int = 0,
    augment: Augmenter | None = None,
    told: Callable[[str, Distilled], None] | None = None,
) -> dict[str, Distilled]:
    """Trains towers on items' factors of behaviour, and fixes them.

    Args:
        items: The catalogue.
        timelines: The train part.
        towers: By feature; their weights are trained, then `trainable` is set to False.
        rank: Of the factors.
        passes: Over the items, at most.
        patience: Passes without a better cosine on held-out items before it stops.
        learning_rate: Of Adam at first; it falls to nothing over the passes.
        seed: Of factors, held-out items and order.
        augment: What is changed at random in each pass, but for held-out items and vectors.
        told: Called with each feature's name and result.

    Returns:
        By feature; none for a feature that fewer than ten warm items have.
    """
    if not towers:
        return {}
    factors = item_factors(timelines, len(items), rank, seed)
    known = np.linalg.norm(factors, axis=1) > 0
    results = {}
    for name, tower in towers.items():
        rows = np.flatnonzero(items.present[name] & known)
        if len(rows) < 10:
            continue
        value = prepare(tower, items.value(name))
        weights = np.log1p(items.train_count).astype(np.float32)
        fit = _Fit(tower, value, factors, weights, rows, seed, learning_rate, passes)
        if augment is not None and name in augment.features:
            fit.augment = partial(augment.one, name)
        cosine, kept = fit.run(passes, patience)
        tower.trainable = False
        vectors = _vectors(tower, value)
        vectors[~items.present[name]] = 0
        results[name] = Distilled(vectors, cosine, fit.constant(), kept)
        if told is not None:
            told(name, results[name])
    return results


class _Fit:
    """One tower's training."""

    def __init__(
        self,
        tower: Tower,
        value: Array,
        factors: Array,
        weights: Array,
        rows: Array,
        seed: int,
        learning_rate: float,
        passes: int,
    ) -> None:
        self._seed = seed
        self._random = np.random.default_rng([seed, len(rows)])
        shuffled = self._random.permutation(rows)
        held = max(1, int(len(rows) * _HELD_OUT))
        self._held, self._rows = np.sort(shuffled[:held]), shuffled[held:]
        self._tower = tower
        self.augment: Callable[[Any, Any], Any] | None = None
        self._value, self._factors, self._weights = value, factors, weights
        self._head = keras.layers.Dense(
            factors.shape[1], kernel_initializer=keras.initializers.GlorotUniform(seed), name="head"
        )
        self._head.build((None, tower.dimension))
        steps = passes * -(-len(self._rows) // _BATCH)
        schedule = keras.optimizers.schedules.CosineDecay(learning_rate, steps)
        self._optimizer = keras.optimizers.AdamW(schedule, weight_decay=1e-3)
        self._variables = [*tower.trainable_variables, *self._head.trainable_variables]
        self._optimizer.build(self._variables)
        self._strategy = tf.distribute.get_strategy()
        self._step = tf.function(self._on_replicas, reduce_retracing=True)

    def constant(self) -> float:
        """Weighted cosine of the mean direction on the held-out items."""
        mean = (self._factors[self._rows] * self._weights[self._rows, None]).sum(0)
        mean = mean / max(float(np.linalg.norm(mean)), 1e-9)
        return self._mean(self._factors[self._held] @ mean)

    def run(self, passes: int, patience: int) -> tuple[float, int]:
        """Trains until it gets no better; keeps the best weights."""
        best, best_weights, kept = -2.0, [], 0
        steps = 0
        for number in range(1, passes + 1):
            order = self._random.permutation(self._rows)
            for start in range(0, len(order), _BATCH):
                rows = order[start : start + _BATCH]
                self._step(
                    tf.constant(self._value[rows]),
                    tf.constant(self._factors[rows]),
                    tf.constant(self._weights[rows]),
                    tf.constant([self._seed, steps]),
                )
                steps += 1
            cosine = self._agreed(self._quality())
            if cosine > best:
                best, kept = cosine, number
                best_weights = [variable.numpy() for variable in self._variables]
            elif number - kept >= patience:
                break
        for variable, weight in zip(self._variables, best_weights, strict=True):
            variable.assign(weight)
        return best, kept

    def _on_replicas(self, *batch: Any) -> None:
        # Variables that replicas share have a gradient within one only. All take the whole batch:
        # it is small, and so no weight depends on how many there are.
        self._strategy.run(self._one_step, args=batch)

    def _agreed(self, cosine: float) -> float:
        """The mean over workers, so that none stops while another waits for it."""
        if self._strategy.num_replicas_in_sync == 1:
            return cosine
        every = self._strategy.run(tf.identity, args=(tf.constant(cosine, tf.float64),))
        return float(self._strategy.reduce(tf.distribute.ReduceOp.MEAN, every, axis=None))

    def _one_step(self, value: Any, target: Any, weight: Any, seed: Any) -> None:
        if self.augment is not None:
            value = self.augment(value, seed)
        with tf.GradientTape() as tape:
            predicted = tf.cast(self._head(self._tower(value, training=True)), tf.float32)
            cosine = tf.reduce_sum(tf.math.l2_normalize(predicted, -1, 1e-9) * target, -1)
            loss = tf.reduce_sum(weight * (1 - cosine)) / tf.reduce_sum(weight)
            # The optimizer adds what replicas found.
            loss /= self._strategy.num_replicas_in_sync
        variables = [variable.value for variable in self._variables]
        gradients = tape.gradient(loss, variables)
        self._optimizer.apply(
            [tf.convert_to_tensor(g) if g is not None else None for g in gradients],
            self._variables,
        )

    def _quality(self) -> float:
        predicted = self._head(_vectors(self._tower, self._value[self._held])).numpy()
        length = np.maximum(np.linalg.norm(predicted, axis=1, keepdims=True), 1e-9)
        return self._mean((predicted / length * self._factors[self._held]).sum(1))

    def _mean(self, cosines: Array) -> float:
        return float(np.average(cosines, weights=self._weights[self._held]))


def _vectors(tower: Tower, value: Array) -> npt.NDArray[np.float32]:
    parts = [
        tf.cast(tower(tf.constant(value[start : start + 256]), training=False), tf.float32).numpy()
        for start in range(0, len(value), 256)
    ]
    return np.concatenate(parts)
