"""One training step: towers, objective, dense and sparse updates."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfrec import schema
from tfrec.config.model import LossConfig
from tfrec.input import TARGET_PLACE, TARGET_WEIGHT
from tfrec.model import PROPAGATED, TwoTower
from tfrec.optimizers import RowOptimizer
from tfrec.training.balancing import ModalityBalance
from tfrec.training.catalogue import Catalogue
from tfrec.training.history_contrast import HistoryContrast
from tfrec.training.objectives import Objective
from tfrec.training.replicas import total
from tfrec.training.user_item_graph import UserItemGraph

__all__ = ["Trainer"]


class Trainer(keras.Model):
    """A two-tower model with what it takes to train it by Keras' `fit`.

    `compile(optimizer=…)` takes the optimizer of dense weights; embedding tables, the weights
    called `table`, go to `table_optimizer` with their sparse gradients, or, where a graph spreads
    them, with gradients of all rows, which it applies to all. Under a strategy a step's
    loss is the mean over all replicas' rows, as one of the whole batch would have it.

    Args:
        model: Its weights made.
        catalogue: The items' features.
        loss: The objective, its type settled.
        counts: float [N], how often each item is a target in an epoch.
        table_optimizer: Of embedding tables.
        users: Known users, for mined negatives.
        batch_size: Examples a step, over all replicas and micro-batches; for the logQ correction
            of negatives that don't come from the batch.
        micro_batches: Equal parts that a batch is computed in before the weights move.
        seed: Of sampled negatives.
        balance: Multiplies the steps of modalities' own weights.
        graph: Spreads the ids, if any does; a step asks it once (with micro-batches, once for
            each).
    """

    def __init__(
        self,
        model: TwoTower,
        catalogue: Catalogue,
        loss: LossConfig,
        counts: npt.NDArray[np.floating[Any]],
        table_optimizer: RowOptimizer,
        *,
        users: int = 0,
        batch_size: int = 0,
        micro_batches: int = 1,
        seed: int = 0,
        balance: ModalityBalance | None = None,
        graph: UserItemGraph | None = None,
    ) -> None:
        super().__init__(name="trainer")
        self.model = model
        self.balance = balance
        self.graph = graph
        self.table_optimizer = table_optimizer
        self.micro_batches = micro_batches
        self.objective = Objective(
            model,
            catalogue,
            loss,
            counts,
            users=users,
            batch_size=batch_size // micro_batches,
            seed=seed,
            name="objective",
        )
        self.contrast: HistoryContrast | None = None
        if loss.history_contrast:
            self.contrast = HistoryContrast(
                loss.history_contrast, loss.temperature, seed=seed, name="history_contrast"
            )
        self.loss_mean = keras.metrics.Mean(name="loss")
        counter: dict[str, Any] = {
            "shape": (),
            "dtype": "int64",
            "trainable": False,
            "aggregation": "only_first_replica",
        }
        self._steps = self.add_weight(initializer="zeros", name="steps", **counter)
        self._bad_step = self.add_weight(
            initializer=keras.initializers.Constant(-1), name="bad_step", **counter
        )
        tables = [v for v in model.trainable_variables if v.path.endswith("/table")]
        named = {id(variable) for variable in tables}
        self._tables = tables
        self._dense = [v for v in model.trainable_variables if id(v) not in named]
        self._dense += self.objective.trainable_variables
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
            *self.objective.variables,
            *(self.contrast.variables if self.contrast is not None else ()),
            *(self.balance.variables if self.balance is not None else ()),
            self._steps,
        ]

    @property
    def first_bad_step(self) -> int:
        """The first step whose loss was no number; -1 when there was none."""
        return int(self._bad_step.numpy())

    def settle(self) -> None:
        """Lets vectors outside of training follow the weights, where a graph spreads these."""
        if self.graph is not None:
            self.graph.settle()

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Within the block the model has the moving averages of its weights, if they are kept.

        Its vectors are settled.
        """
        dense = getattr(self.optimizer, "inner_optimizer", self.optimizer)
        groups: list[tuple[Any, list[Any]]] = [
            (dense, self._dense),
            (self.table_optimizer, self._tables),
        ]
        kept = []
        for optimizer, variables in groups:
            if variables and getattr(optimizer, "average", None):
                for variable, value in zip(variables, optimizer.averages(variables), strict=True):
                    # A copy: what `numpy` gives may share the memory that is written next.
                    kept.append((variable, np.array(variable.numpy())))
                    variable.assign(value)
        try:
            self.settle()
            yield
        finally:
            for variable, value in kept:
                variable.assign(value)

    def call(self, inputs: dict[str, Any], training: bool | None = None) -> Any:
        """Scores of rows' own query and item, float32 [batch]."""
        queries = self.model.query_tower(inputs, training=training)
        items = self.objective.items(inputs[schema.ITEM_INDEX], inputs)
        return tf.reduce_sum(queries * items, -1)

    def train_step(self, data: dict[str, Any]) -> dict[str, Any]:
        """Learns from one batch of `Windows` or `Spans`."""
        variables = [variable.value for variable in (*self._dense, *self._tables)]
        whole = total(tf.reduce_sum(data[TARGET_WEIGHT]))
        loss, gradients = tf.zeros([]), [None] * len(variables)
        for part in self._parts(data):
            # The next part waits for this one's gradients, so that only one is in memory.
            with tf.control_dependencies([g for g in gradients if g is not None]):
                part = {name: tf.identity(value) for name, value in part.items()}
            own, found = self._gradients(part, whole, variables)
            loss += own
            gradients = [_sum(a, b) for a, b in zip(gradients, found, strict=True)]
        loss = total(loss)
        trained, kept = [*self._dense, *self._tables], []
        if self.balance is not None:
            self.balance.measure(data)
            gradients = self.balance.noised(gradients, trained)
            kept = self.balance.before(gradients, trained)
        dense, sparse = gradients[: len(self._dense)], gradients[len(self._dense) :]
        known = [(tf.convert_to_tensor(g), v) for g, v in _known(dense, self._dense)]
        if known:
            self.optimizer.apply(*zip(*known, strict=True))
        known = _known(self._unscaled(sparse), self._tables)
        if known:
            self.table_optimizer.apply(*zip(*known, strict=True))
        if self.balance is not None:
            self.balance.after(kept, trained)
        self._count(loss)
        self.loss_mean.update_state(loss)
        if isinstance(tf.distribute.get_strategy(), tf.distribute.MultiWorkerMirroredStrategy):
            # Keras averages over workers along an axis, which a scalar has not, and adds up what
            # has one: so not the loss, which `loss_mean` has, but something that isn't read.
            return {"replicas": tf.ones([1])}
        return {"loss": self.loss_mean.result()}

    def _maybe_symbolic_build(self, iterator: Any = None, data_batch: Any = None) -> None:
        """Nothing is left to build; Keras would reduce a batch over workers, which fails on ids."""

    def _parts(self, data: dict[str, Any]) -> list[dict[str, Any]]:
        if self.micro_batches == 1:
            return [data]
        columns = {name: tf.split(value, self.micro_batches) for name, value in data.items()}
        return [
            {name: column[place] for name, column in columns.items()}
            for place in range(self.micro_batches)
        ]

    def _gradients(self, data: dict[str, Any], whole: Any, variables: list[Any]) -> Any:
        """A part's share of the batch's loss, and its gradients."""
        with tf.GradientTape() as tape:
            if self.graph is not None:
                data = {**data, PROPAGATED: self.graph.propagated()}
            given = data
            queries, data = self._asked(given)
            share = tf.math.divide_no_nan(tf.reduce_sum(data[TARGET_WEIGHT]), whole)
            loss = self.objective(queries, data) * share
            if self.contrast is not None:
                loss += self.contrast(given, tower=self.model.query_tower) * share
            scaled = loss
            if isinstance(self.optimizer, keras.optimizers.LossScaleOptimizer):
                scaled = self.optimizer.scale_loss(loss)
        return loss, tape.gradient(scaled, variables)

    def _asked(self, data: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        """Queries and what the objective reads, a row a target."""
        if TARGET_PLACE not in data:
            return self.model.query_tower(data, training=True), data
        queries = self.model.query_tower.at_places(data, training=True)
        row = data[TARGET_PLACE] // data["history"].shape[1]
        user = tf.gather(data[schema.USER_INDEX], row)
        return queries, {**data, schema.USER_INDEX: user}

    def _unscaled(self, gradients: list[Any]) -> list[Any]:
        """Tables' gradients without the loss scale of float16; zeros in a step that overflowed."""
        if not isinstance(self.optimizer, keras.optimizers.LossScaleOptimizer):
            return gradients
        scale = self.optimizer.dynamic_scale.value
        found: list[Any] = []
        for gradient in gradients:
            if gradient is None:
                found.append(None)
                continue
            sparse = isinstance(gradient, tf.IndexedSlices)
            values = (gradient.values if sparse else tf.convert_to_tensor(gradient)) / scale
            finite = tf.reduce_all(tf.math.is_finite(values))
            values = tf.where(finite, values, tf.zeros_like(values))
            found.append(
                tf.IndexedSlices(values, gradient.indices, gradient.dense_shape)
                if sparse
                else values
            )
        return found

    def _count(self, loss: Any) -> None:
        steps, bad = self._steps.value, self._bad_step.value
        first = (bad < 0) & ~tf.math.is_finite(loss)
        bad.assign(tf.where(first, steps, bad))
        steps.assign_add(1)


def _known(gradients: list[Any], variables: list[Any]) -> list[tuple[Any, Any]]:
    return [(g, v) for g, v in zip(gradients, variables, strict=True) if g is not None]


def _sum(first: Any, second: Any) -> Any:
    """The sum of two gradients; rows of sparse ones stand side by side."""
    if first is None or second is None:
        return second if first is None else first
    if isinstance(first, tf.IndexedSlices) and isinstance(second, tf.IndexedSlices):
        return tf.IndexedSlices(
            tf.concat([first.values, second.values], 0),
            tf.concat([first.indices, second.indices], 0),
            first.dense_shape,
        )
    return tf.convert_to_tensor(first) + tf.convert_to_tensor(second)
