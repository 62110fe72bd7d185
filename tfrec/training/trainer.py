"""One training step: towers, objective, dense and sparse updates."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfrec import schema
from tfrec.config.model import LossConfig
from tfrec.input import TARGET_WEIGHT
from tfrec.losses import bce_loss, bpr_loss, full_softmax, in_batch_softmax
from tfrec.losses.retrieval_task import retrieval_task
from tfrec.model import TwoTower
from tfrec.optimizers import RowOptimizer
from tfrec.training.catalogue import Catalogue

__all__ = ["Trainer"]


class Trainer(keras.Model):
    """A two-tower model with what it takes to train it by Keras' `fit`.

    `compile(optimizer=…)` takes the optimizer of dense weights; embedding tables, the weights
    called `table`, go to `table_optimizer` with their sparse gradients.

    Args:
        model: Its weights made.
        catalogue: The items' features.
        loss: The objective, its type settled.
        counts: int64 [N], how often each item is a target in an epoch.
        table_optimizer: Of embedding tables.
        seed: Of sampled negatives.
    """

    def __init__(
        self,
        model: TwoTower,
        catalogue: Catalogue,
        loss: LossConfig,
        counts: npt.NDArray[np.int64],
        table_optimizer: RowOptimizer,
        *,
        seed: int = 0,
    ) -> None:
        super().__init__(name="trainer")
        self.model = model
        self.table_optimizer = table_optimizer
        self.loss_config = loss
        self._catalogue = catalogue
        objectives: dict[str, Callable[[Any, dict[str, Any]], Any]] = {
            "full": self._full,
            "in_batch": self._in_batch,
            "tfrs": self._tfrs,
            "bpr": functools.partial(self._sampled, bpr_loss),
            "bce": functools.partial(self._sampled, bce_loss),
        }
        self._objective = objectives[loss.type or "full"]
        share = np.maximum(counts, 1) / max(int(counts.sum()), 1)
        self._log_q = tf.constant(np.log(share), tf.float32)
        # A softmax over the catalogue is over what is ever a target: an item that never is would
        # only learn to be bad.
        self._targets = np.flatnonzero(counts > 0).astype(np.int32)
        self._place = tf.constant(np.cumsum(counts > 0) - 1, tf.int32)
        if loss.type == "full":
            self._target_inputs = catalogue.gather(tf.constant(self._targets))
        self._seed = keras.random.SeedGenerator(seed)
        self.loss_mean = keras.metrics.Mean(name="loss")
        self._steps = self.add_weight(
            shape=(), initializer="zeros", dtype="int64", trainable=False, name="steps"
        )
        self._bad_step = self.add_weight(
            shape=(),
            initializer=keras.initializers.Constant(-1),
            dtype="int64",
            trainable=False,
            name="bad_step",
        )
        if loss.type == "tfrs":
            self._task = retrieval_task(
                temperature=loss.temperature, remove_accidental_hits=loss.remove_accidental_hits
            )
        tables = [v for v in model.trainable_variables if v.path.endswith("/table")]
        named = {id(variable) for variable in tables}
        self._tables = tables
        self._dense = [v for v in model.trainable_variables if id(v) not in named]
        if tables:
            table_optimizer.build(tables)
        self.built = True

    @property
    def metrics(self) -> list[Any]:
        """The mean loss of the epoch."""
        return [self.loss_mean]

    @property
    def dense_variables(self) -> list[Any]:
        """Trained weights that are no embedding tables."""
        return self._dense

    def state(self) -> list[Any]:
        """Every variable that training reads or changes: weights, slots, counters, seeds."""
        return [
            *self.model.variables,
            *self.optimizer.variables,
            *self.table_optimizer.variables,
            self._seed.state,
            self._steps,
        ]

    @property
    def first_bad_step(self) -> int:
        """The first step whose loss was no number; -1 when there was none."""
        return int(self._bad_step.numpy())

    def call(self, inputs: dict[str, Any], training: bool | None = None) -> Any:
        """Scores of rows' own query and item, float32 [batch]."""
        queries = self.model.query_tower(inputs, training=training)
        items = self._items(inputs[schema.ITEM_INDEX], training)
        return tf.reduce_sum(queries * items, -1)

    def train_step(self, data: dict[str, Any]) -> dict[str, Any]:
        """Learns from one batch of `Windows`."""
        with tf.GradientTape() as tape:
            queries = self.model.query_tower(data, training=True)
            loss = self._objective(queries, data)
            scaled = loss
            if isinstance(self.optimizer, keras.optimizers.LossScaleOptimizer):
                scaled = self.optimizer.scale_loss(loss)
        variables = [variable.value for variable in (*self._dense, *self._tables)]
        gradients = tape.gradient(scaled, variables)
        dense, sparse = gradients[: len(self._dense)], gradients[len(self._dense) :]
        known = [(_dense(g), v) for g, v in zip(dense, self._dense, strict=True) if g is not None]
        if known:
            self.optimizer.apply(*zip(*known, strict=True))
        known = [(g, v) for g, v in zip(sparse, self._tables, strict=True) if g is not None]
        if known:
            self.table_optimizer.apply(*zip(*known, strict=True))
        self._count(loss)
        self.loss_mean.update_state(loss)
        return {"loss": self.loss_mean.result()}

    def _count(self, loss: Any) -> None:
        steps, bad = self._steps.value, self._bad_step.value
        first = (bad < 0) & ~tf.math.is_finite(loss)
        bad.assign(tf.where(first, steps, bad))
        steps.assign_add(1)

    def _items(self, rows: Any, training: bool | None) -> Any:
        return self.model.item_tower(self._catalogue.gather(rows), training=training)

    def _full(self, queries: Any, data: dict[str, Any]) -> Any:
        return full_softmax(
            queries,
            tf.gather(self._place, data[schema.ITEM_INDEX]),
            self.model.item_tower(self._target_inputs, training=True),
            weights=data[TARGET_WEIGHT],
            temperature=self.loss_config.temperature,
        )

    def _in_batch(self, queries: Any, data: dict[str, Any]) -> Any:
        config = self.loss_config
        rows = data[schema.ITEM_INDEX]
        log_q = tf.gather(self._log_q, rows) if config.log_q else None
        more: dict[str, Any] = {}
        together = rows
        if config.negatives:
            drawn = self._draw(config.negatives)
            together = tf.concat([rows, drawn], 0)
            # An expected count: the batch draws by frequency, beside it each item alike.
            if config.log_q:
                batch = tf.cast(tf.shape(rows)[0], tf.float32)
                uniform = config.negatives / self._catalogue.size
                all_q = tf.math.log(batch * tf.exp(tf.gather(self._log_q, together)) + uniform)
                log_q, more["other_log_q"] = all_q[: rows.shape[0]], all_q[rows.shape[0] :]
            more["other_ids"] = drawn
        items = self._items(together, True)
        if config.negatives:
            more["others"] = items[rows.shape[0] :]
            items = items[: rows.shape[0]]
        return in_batch_softmax(
            queries,
            items,
            item_ids=rows if config.remove_accidental_hits else None,
            log_q=log_q,
            weights=data[TARGET_WEIGHT],
            temperature=config.temperature,
            **more,
        )

    def _tfrs(self, queries: Any, data: dict[str, Any]) -> Any:
        rows, weights = data[schema.ITEM_INDEX], data[TARGET_WEIGHT]
        total = self._task(
            queries,
            self._items(rows, True),
            sample_weight=weights,
            candidate_sampling_probability=tf.exp(tf.gather(self._log_q, rows))
            if self.loss_config.log_q
            else None,
            candidate_ids=rows,
            compute_metrics=False,
            compute_batch_metrics=False,
        )
        return tf.math.divide_no_nan(total, tf.reduce_sum(weights))

    def _sampled(self, loss: Any, queries: Any, data: dict[str, Any]) -> Any:
        rows = data[schema.ITEM_INDEX]
        drawn = self._draw(self.loss_config.negatives or int(rows.shape[0]))
        items = self._items(tf.concat([rows, drawn], 0), True)
        return loss(
            queries,
            items[: rows.shape[0]],
            items[rows.shape[0] :],
            collides=rows[:, None] == drawn[None, :],
            weights=data[TARGET_WEIGHT],
            temperature=self.loss_config.temperature,
        )

    def _draw(self, count: int) -> Any:
        """Items of the catalogue, int32 [count], each alike, with repeats."""
        return keras.random.randint((count,), 0, self._catalogue.size, seed=self._seed)


def _dense(gradient: Any) -> Any:
    return tf.convert_to_tensor(gradient)
