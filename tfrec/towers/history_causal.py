"""The base of encoders that have a state at every position of a history."""

from __future__ import annotations

from typing import Any, Literal

import keras

from tfrec.towers.history import HistoryTower

__all__ = ["CausalHistory"]

ops = keras.ops


class CausalHistory(HistoryTower):
    """The state at the latest event; no state reads a later one.

    Subclasses write `states`. What is read of an event must not depend on when the question is
    asked, if one pass is to answer at every position. An `age` does: it is counted back from the
    question. A `gap` doesn't: it is the time from an event to the next, and for the latest to the
    question. The ages follow from the gaps, so nothing is lost.

    Ages 9, 4 and 1 days, the question at position 2, after which come gaps 5, 3 and 1; asked at
    position 1, at the time of the third event, ages are 8 and 3, and gaps still 5 and 3.

    Args:
        dimension: Width of the items' vectors and of the result.
        events: Size of the event types' vocabulary; 0 when there are no types.
        time: What is read of an event's time, where ages are given: its `age`, or the `gap` to
            the next event.
        **kwargs: Keras' own.

    Example:
        >>> import tensorflow as tf
        >>> from tfrec.towers import GruHistory
        >>> tower, vectors, some = GruHistory(2), tf.ones((1, 3, 2)), tf.ones((1, 3), tf.bool)
        >>> last, every = tower(vectors, some), tower.at_every_position(vectors, some)
        >>> every.shape, bool(tf.reduce_all(every[:, -1] == last))
        (TensorShape([1, 3, 2]), True)
    """

    def __init__(
        self,
        dimension: int,
        *,
        events: int = 0,
        time: Literal["age", "gap"] = "age",
        **kwargs: Any,
    ) -> None:
        super().__init__(dimension, events=events, **kwargs)
        if time not in ("age", "gap"):
            raise ValueError(f"`time` must be age or gap. Received: time={time}")
        self.time = time

    def states(self, vectors: Any, present: Any, training: bool | None) -> Any:
        """The state at each position, [batch, length, dimension]; for subclasses."""
        raise NotImplementedError

    def encode(
        self, vectors: Any, present: Any, ages: Any, events: Any, training: bool | None
    ) -> Any:
        """The state at the latest event."""
        return self.states(vectors, present, training)[:, -1]

    def at_every_position(
        self,
        vectors: Any,
        present: Any,
        ages: Any = None,
        events: Any = None,
        training: bool | None = None,
    ) -> Any:
        """Encodes each history up to every position; arguments as of a call.

        Args:
            vectors: float [batch, length, dimension], oldest first, padding at the start.
            present: bool [batch, length], False for padding.
            ages: float [batch, length], days before the question after the last position, or None.
            events: int [batch, length], types of events, or None.
            training: Whether this is a training step.

        Returns:
            float [batch, length, dimension]; at the last position what a call gives, and before
            the first event what it gives for an empty history.

        Raises:
            ValueError: Ages are given and read as such: an earlier position would read how long
                after it the last question comes.
        """
        if ages is not None and self.time == "age":
            raise ValueError("`time` must be gap where ages are given. Received: time=age")
        vectors, present, _ = self._read(vectors, present, ages, events)
        output = self.states(vectors, present, training)
        some = ops.cumsum(ops.cast(present, "int32"), 1) > 0
        return ops.where(some[:, :, None], output, ops.cast(self.empty, output.dtype))

    def _clean(self, vectors: Any, present: Any, ages: Any) -> tuple[Any, ...]:
        vectors, present, ages = super()._clean(vectors, present, ages)
        if ages is not None and self.time == "gap":
            following = ops.pad(ages[:, 1:], [[0, 0], [0, 1]])
            ages = ops.where(present, ops.maximum(ages - following, 0.0), ops.zeros_like(ages))
        return vectors, present, ages

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {**super().get_config(), "time": self.time}
