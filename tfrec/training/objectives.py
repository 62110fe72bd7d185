"""Objectives of a training step, with the negatives that a configuration asks for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfrec import schema
from tfrec.config.model import LossConfig
from tfrec.input import TARGET_PLACE, TARGET_WEIGHT
from tfrec.losses import bce_loss, bpr_loss, full_softmax, in_batch_softmax
from tfrec.losses.retrieval_task import retrieval_task
from tfrec.model import PROPAGATED, TwoTower
from tfrec.training.catalogue import Catalogue
from tfrec.training.negatives import HardPool, NegativeCache
from tfrec.training.replicas import from_others, replica_count

__all__ = ["Objective"]

# Taken off the score of what is no negative; exp of it is 0.
_NEVER = 1e9


class Objective(keras.layers.Layer):
    """The loss of a batch's queries.

    Negatives of `in_batch` are the items of the whole batch, over all replicas; those drawn
    uniformly; those kept of former batches; and those mined. Each counts by the logarithm of how
    often a step is expected to have it, so that together they stand for the full softmax.

    Args:
        model: Its weights made.
        catalogue: The items' features.
        loss: Its type settled.
        counts: float [N], how often each item is a target in an epoch.
        users: Known users.
        batch_size: Over all replicas.
        seed: Of sampled negatives.
        **kwargs: Keras' own.

    Attributes:
        hard: The mined negatives, or None.
    """

    def __init__(
        self,
        model: TwoTower,
        catalogue: Catalogue,
        loss: LossConfig,
        counts: npt.NDArray[np.floating[Any]],
        *,
        users: int = 0,
        batch_size: int = 0,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(autocast=False, **kwargs)
        self._loss = loss
        # Called, not held: the model's weights are not this layer's too.
        self._tower: Callable[[dict[str, Any]], Any] = lambda inputs: model.item_tower(
            inputs, training=True
        )
        self._equal_vectors = not any(view.random_items for view in model.views.values())
        self._catalogue = catalogue
        self._batch_size = batch_size
        kinds: dict[str, Callable[[Any, dict[str, Any]], Any]] = {
            "full": self._full,
            "in_batch": self._in_batch,
            "tfrs": self._tfrs,
            "bpr": lambda queries, data: self._sampled(bpr_loss, queries, data),
            "bce": lambda queries, data: self._sampled(bce_loss, queries, data),
        }
        self._kind = kinds[loss.type or "full"]
        share = np.maximum(counts, 1) / max(float(counts.sum()), 1)
        self._share = tf.constant(share, tf.float32)
        # A softmax over the catalogue is over what is ever a target, and negatives are drawn from
        # that: an item that never is would only learn to be bad.
        self._place = tf.constant(np.cumsum(counts > 0) - 1, tf.int32)
        self._targets = tf.constant(np.flatnonzero(counts > 0), tf.int32)
        if loss.type == "full":
            self._target_inputs = catalogue.gather(self._targets)
        if loss.type == "tfrs":
            self._task = retrieval_task(
                temperature=loss.temperature, remove_accidental_hits=loss.remove_accidental_hits
            )
        self.draws = keras.random.SeedGenerator(seed)
        self.cache = self.hard = self.log_temperature = None
        if loss.cache:
            self.cache = NegativeCache(loss.cache, model.dimension, name="cache")
        if loss.hard_negatives:
            pool = min(loss.hard_pool, catalogue.size)
            self.hard = HardPool(max(users, 1), pool, name="hard")
        if loss.learn_temperature:
            self.log_temperature = self.add_weight(
                shape=(),
                initializer=keras.initializers.Constant(float(np.log(loss.temperature))),
                dtype="float32",
                name="log_temperature",
            )
        self.built = True

    @property
    def temperature(self) -> Any:
        """What scores are divided by: fixed, or learned between 0.01 and 100."""
        if self.log_temperature is None:
            return self._loss.temperature
        return tf.exp(tf.clip_by_value(self.log_temperature.value, -4.6, 4.6))

    def call(self, queries: Any, data: dict[str, Any]) -> Any:
        """The mean loss of the rows that this replica has.

        Args:
            queries: float [batch, D].
            data: A batch of `Windows`, or of `Spans` with a `user_index` a target; with a graph,
                `propagated` too (see `GraphView`).

        Returns:
            float32 scalar.
        """
        return self._kind(queries, data)

    def items(self, rows: Any, data: dict[str, Any]) -> Any:
        """Vectors of items of the catalogue, as in a training step on a batch."""
        return self._embedded(self._catalogue.gather(rows), data)

    def _embedded(self, inputs: dict[str, Any], data: dict[str, Any]) -> Any:
        inputs = self._catalogue.augmented(inputs, self.draws)
        if PROPAGATED in data:
            inputs = {**inputs, PROPAGATED: data[PROPAGATED]}
        return self._tower(inputs)

    def _full(self, queries: Any, data: dict[str, Any]) -> Any:
        return full_softmax(
            queries,
            tf.gather(self._place, data[schema.ITEM_INDEX]),
            self._embedded(self._target_inputs, data),
            weights=data[TARGET_WEIGHT],
            temperature=self.temperature,
        )

    def _in_batch(self, queries: Any, data: dict[str, Any]) -> Any:
        config, rows, weights = self._loss, data[schema.ITEM_INDEX], data[TARGET_WEIGHT]
        own_ids = self._draw_hard(data)
        drawn = self._draw(config.negatives) if config.negatives else rows[:0]
        items, uniform, hard = self._embed(rows, drawn, own_ids, data)
        others, ids, never = [uniform], [drawn], [tf.zeros_like(drawn, tf.float32)]
        # A span's targets are one user's: no negatives of each other.
        users = data[schema.USER_INDEX] if TARGET_PLACE in data else None
        groups = [tf.fill(tf.shape(drawn), -1)]
        if replica_count() > 1:
            others.append(from_others(items))
            ids.append(from_others(rows))
            if users is not None:
                groups.append(from_others(users))
            idle = tf.cast(weights <= 0, tf.float32)
            never.append(from_others(idle))
        if self.cache is not None:
            others.append(self.cache.vectors.value)
            ids.append(self.cache.ids.value)
            groups.append(tf.fill([self._loss.cache], -1))
            never.append(tf.cast(self.cache.ids.value < 0, tf.float32))
        more: dict[str, Any] = {}
        log_q = self._expected(rows) if config.log_q else tf.zeros_like(weights)
        if len(others) > 1 or config.negatives:
            ids_together = tf.concat(ids, 0)
            counted = self._expected(ids_together) if config.log_q else 0.0
            more = {
                "others": tf.concat(others, 0),
                "other_ids": ids_together,
                "other_log_q": counted + tf.concat(never, 0) * _NEVER,
                "other_groups": None if users is None else tf.concat(groups, 0),
            }
        if own_ids is not None:
            more["own_others"], more["own_ids"] = hard, own_ids
            if config.log_q:
                more["own_log_q"] = self._expected(own_ids, mined=True)
        loss = in_batch_softmax(
            queries,
            items,
            item_ids=rows if config.remove_accidental_hits else None,
            equal_vectors=self._equal_vectors,
            log_q=log_q if config.log_q or "others" in more else None,
            weights=weights,
            temperature=self.temperature,
            groups=users,
            **more,
        )
        if self.cache is not None:
            together = [items, *others[1:-1]], [rows, *ids[1:-1]]
            self.cache.push(*(tf.concat(part, 0) for part in together))
        return loss

    def _expected(self, ids: Any, *, mined: bool = False) -> Any:
        """Logarithm of how often a step is expected to have each item among its negatives."""
        config = self._loss
        count = (self._batch_size or 1) + config.cache
        expected = count * tf.gather(self._share, tf.maximum(ids, 0))
        expected += config.negatives / len(self._targets)
        if mined and self.hard is not None:
            expected += config.hard_negatives / self.hard.size
        return tf.math.log(expected)

    def _tfrs(self, queries: Any, data: dict[str, Any]) -> Any:
        rows, weights = data[schema.ITEM_INDEX], data[TARGET_WEIGHT]
        total = self._task(
            queries,
            self.items(rows, data),
            sample_weight=weights,
            candidate_sampling_probability=tf.gather(self._share, rows)
            if self._loss.log_q
            else None,
            candidate_ids=rows,
            compute_metrics=False,
            compute_batch_metrics=False,
        )
        return tf.math.divide_no_nan(total, tf.reduce_sum(weights))

    def _sampled(self, loss: Any, queries: Any, data: dict[str, Any]) -> Any:
        rows = data[schema.ITEM_INDEX]
        drawn = self._draw(self._loss.negatives or int(rows.shape[0]))
        own_ids = self._draw_hard(data)
        items, uniform, hard = self._embed(rows, drawn, own_ids, data)
        more: dict[str, Any] = {}
        if own_ids is not None:
            more["own_negatives"] = hard
            more["own_collides"] = (own_ids < 0) | (own_ids == rows[:, None])
        return loss(
            queries,
            items,
            uniform,
            collides=rows[:, None] == drawn[None, :],
            weights=data[TARGET_WEIGHT],
            temperature=self.temperature,
            **more,
        )

    def _embed(
        self, rows: Any, drawn: Any, own: Any | None, data: dict[str, Any]
    ) -> tuple[Any, Any, Any]:
        """Vectors of the rows' items, the drawn and the mined, by one call of the tower."""
        asked = [rows, drawn]
        if own is not None:
            asked.append(tf.maximum(tf.reshape(own, [-1]), 0))
        sizes = [part.shape[0] if part.shape[0] is not None else tf.size(part) for part in asked]
        parts = tf.split(self.items(tf.concat(asked, 0), data), sizes)
        hard = None
        if own is not None:
            hard = tf.reshape(parts[2], [-1, own.shape[1], parts[2].shape[1]])
        return parts[0], parts[1], hard

    def _draw(self, count: int) -> Any:
        """Items that are ever a target, int32 [count], each alike, with repeats."""
        places = keras.random.randint((count,), 0, len(self._targets), seed=self.draws)
        return tf.gather(self._targets, places)

    def _draw_hard(self, data: dict[str, Any]) -> Any | None:
        if self.hard is None:
            return None
        return self.hard.draw(data[schema.USER_INDEX], self._loss.hard_negatives, self.draws)
