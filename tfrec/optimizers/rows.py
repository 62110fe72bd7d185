"""The base of sparse optimizers: gather the used rows, apply the rule to them, write them back.

Keras 3's own optimizers turn an embedding's gradient dense and touch every row: at 500k rows of 64
a step costs ten times what its arithmetic does. Here the gradient stays `IndexedSlices`, and the
rows of table and slots are read by `ResourceGather` and written by `ResourceScatterUpdate`, so a
step costs the same whatever the table's size. (A read of the whole variable that is pending, as
`keras.ops.take` leaves one, would make the write copy the table.)
"""

from __future__ import annotations

from typing import Any, ClassVar

import keras
import tensorflow as tf

__all__ = ["RowOptimizer", "sum_by_row"]

_AVERAGE, _AVERAGE_STEP = "average", "average_step"


def sum_by_row(gradient: tf.IndexedSlices, *, static: bool) -> tuple[Any, Any]:
    """Sums the gradients of equal rows.

    Args:
        gradient: Values [n, …] of rows [n], rows in any order, some of them equal.
        static: Whether shapes must be static, as XLA and TPUs need. Then every one of the n
            positions stays and carries its row's whole sum, so that equal rows are written equal
            values; otherwise each row comes once.

    Returns:
        Rows and summed values, [n] and [n, …], or [unique] and [unique, …].
    """
    rows, values = gradient.indices, gradient.values
    if not static:
        unique, place = tf.unique(rows)
        shape = tf.concat([[tf.size(unique)], tf.shape(values)[1:]], 0)
        # Half the time of `unsorted_segment_sum`, which walks each row by itself.
        return unique, tf.scatter_nd(place[:, None], values, shape)
    order = tf.argsort(rows)
    rows = tf.gather(rows, order)
    first = tf.concat([[0], tf.cast(rows[1:] != rows[:-1], tf.int32)], 0)
    place = tf.cumsum(first)
    sums = tf.math.unsorted_segment_sum(
        tf.gather(values, order), place, rows.shape[0] or tf.size(rows)
    )
    return rows, tf.gather(sums, place)


class RowOptimizer(keras.optimizers.Optimizer):
    """A Keras 3 optimizer for embedding tables; for subclasses with a rule.

    Rows that a batch didn't use are left alone, and so are their slots: momentum doesn't decay
    while a row rests ("lazy"). On rows that every step uses, each rule equals its dense Keras
    counterpart. A dense gradient is applied to all rows.

    Args:
        learning_rate: Number or schedule.
        row_weight_decay: Share of a used row that is taken off a step, times the learning rate,
            before the rule (as AdamW does, but for used rows alone).
        static_shapes: Whether the step must compile under XLA.
        average: Decay a step of a moving average of the weights (see `averages`); 0 keeps none.
        **kwargs: Keras' own: name, clipnorm, and so on.
    """

    # Names of the slots, and whether each has one number a row instead of one a weight.
    slots: ClassVar[dict[str, bool]] = {}

    def __init__(
        self,
        learning_rate: Any = 0.01,
        *,
        row_weight_decay: float = 0.0,
        static_shapes: bool = False,
        average: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate=learning_rate, **kwargs)
        self.average = average
        self.row_weight_decay = row_weight_decay
        self.static_shapes = static_shapes

    def initial(self, slot: str) -> float:
        """What a slot holds at first; for subclasses."""
        return 0.0

    def rule(
        self, values: Any, slots: dict[str, Any], gradient: Any, learning_rate: Any, step: Any
    ) -> tuple[Any, dict[str, Any]]:
        """The new values and slots of some rows; for subclasses.

        Args:
            values: float [rows, width].
            slots: By name, float [rows, width] or [rows, 1].
            gradient: float [rows, width].
            learning_rate: Scalar.
            step: Scalar, 1 in the first step.
        """
        raise NotImplementedError

    def build(self, variables: Any) -> None:
        """Makes the slots."""
        if self.built:
            return
        super().build(variables)
        self._slot_variables = {
            name: [self._slot(variable, name, a_row) for variable in variables]
            for name, a_row in self._all_slots.items()
        }

    @property
    def _all_slots(self) -> dict[str, bool]:
        return {**self.slots, _AVERAGE: False, _AVERAGE_STEP: True} if self.average else self.slots

    def averages(self, variables: Any) -> list[Any]:
        """The moving average of each variable after the last step.

        avg ← d avg + (1 - d) w after each step, the first step's weights at first, as Keras'
        `use_ema` has it. A row's average is brought up to date when the row is used, and here:
        while it rests its weights stand still, so that d^rest says all.

        Args:
            variables: Those that the optimizer was built with, or some.

        Returns:
            float32 tensors of the variables' shapes.

        Raises:
            ValueError: `average` is 0.
        """
        if not self.average:
            raise ValueError("`average` must be positive to keep averages. Received: 0")
        found = []
        for variable in variables:
            index = self._get_variable_index(variable)
            slots = {name: group[index].value for name, group in self._slot_variables.items()}
            values = tf.convert_to_tensor(variable.value)
            step = tf.cast(self.iterations.value, values.dtype)
            found.append(self._rested(values, slots, step))
        return found

    def _rested(self, values: Any, slots: dict[str, Any], step: Any) -> Any:
        """The averages at `step` of rows that rested since they were last used."""
        last = slots[_AVERAGE_STEP]
        share = tf.pow(tf.cast(self.average, values.dtype), step - last)
        moved = share * slots[_AVERAGE] + (1 - share) * values
        return tf.where(last > 0, moved, values)

    def _slot(self, variable: Any, name: str, a_row: bool) -> Any:
        shape = (variable.shape[0], *(1 for _ in variable.shape[1:])) if a_row else variable.shape
        return self.add_variable(
            shape=shape,
            initializer=keras.initializers.Constant(self.initial(name)),
            dtype=variable.dtype,
            name=f"{variable.name}_{name}",
        )

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Applies one variable's gradient."""
        table = variable.value if isinstance(variable, keras.Variable) else variable
        index = self._get_variable_index(variable)
        slots = {name: group[index].value for name, group in self._slot_variables.items()}
        rate = tf.cast(learning_rate, table.dtype)
        step = tf.cast(self.iterations.value + 1, table.dtype)
        if not isinstance(gradient, tf.IndexedSlices):
            values, new = self._apply(
                tf.convert_to_tensor(table),
                {name: tf.convert_to_tensor(slot) for name, slot in slots.items()},
                tf.cast(gradient, table.dtype),
                rate,
                step,
            )
            table.assign(values)
            for name, value in new.items():
                slots[name].assign(value)
            return
        rows, summed = sum_by_row(gradient, static=self.static_shapes)
        values, new = self._apply(
            tf.gather(table, rows),
            {name: tf.gather(slot, rows) for name, slot in slots.items()},
            tf.cast(summed, table.dtype),
            rate,
            step,
        )
        table.scatter_update(tf.IndexedSlices(values, rows))
        for name, value in new.items():
            slots[name].scatter_update(tf.IndexedSlices(value, rows))

    def _apply(
        self, values: Any, slots: dict[str, Any], gradient: Any, rate: Any, step: Any
    ) -> tuple[Any, dict[str, Any]]:
        before = values
        if self.row_weight_decay:
            values = values * (1 - rate * self.row_weight_decay)
        new_values, new = self.rule(values, slots, gradient, rate, step)
        if self.average:
            share = tf.where(step > 1, tf.cast(self.average, values.dtype), 0.0)
            rested = self._rested(before, slots, step - 1)
            new[_AVERAGE] = share * rested + (1 - share) * new_values
            new[_AVERAGE_STEP] = tf.zeros_like(slots[_AVERAGE_STEP]) + step
        return new_values, new

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {
            **super().get_config(),
            "row_weight_decay": self.row_weight_decay,
            "static_shapes": self.static_shapes,
            "average": self.average,
        }
