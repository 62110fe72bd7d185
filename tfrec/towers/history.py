"""The base of history encoders: a user's past items, in time order, to one vector."""

from __future__ import annotations

from typing import Any

import keras

from tfrec.towers.history_time import TimeAndEvent

__all__ = ["HistoryTower"]

ops = keras.ops
Tensor = Any


class HistoryTower(keras.layers.Layer):
    """Encodes vectors of past items, padded at the start, into [batch, dimension].

    Subclasses write `encode` on vectors whose padding is zero. A user without any history gets a
    learned vector, which is zero at first.

    Args:
        dimension: Width of the items' vectors and of the result.
        events: Size of the event types' vocabulary; 0 when there are no types.
        **kwargs: Keras' own.
    """

    # Whether age and event type are added to the vectors before `encode`.
    adds_time_and_event = True

    def __init__(self, dimension: int, *, events: int = 0, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)
        if dimension < 1:
            raise ValueError(f"`dimension` must be positive. Received: dimension={dimension}")
        self.dimension = dimension
        self.events = events

    def add_weight(self, *args: Any, **options: Any) -> Any:
        """A weight that stays in float32: Keras would read it in half precision, a table whole."""
        return super().add_weight(*args, **{"autocast": False, **options})

    def build(
        self,
        vectors_shape: Any,
        present_shape: Any = None,
        ages_shape: Any = None,
        events_shape: Any = None,
    ) -> None:
        """Builds the weights."""
        if vectors_shape[-1] != self.dimension:
            raise ValueError(
                f"the items' vectors must be {self.dimension} wide. Received: {vectors_shape[-1]}"
            )
        self.time_and_event = TimeAndEvent(
            self.dimension,
            ages=ages_shape is not None and self.adds_time_and_event,
            events=self.events if events_shape is not None and self.adds_time_and_event else 0,
            dtype=self.dtype_policy,
        )
        self.time_and_event.build()
        self.empty = self.add_weight(
            shape=(self.dimension,), initializer="zeros", name="empty", dtype="float32"
        )
        self.build_encoder(ages_shape is not None, events_shape is not None)
        self.built = True

    def build_encoder(self, ages: bool, events: bool) -> None:
        """Makes the weights of `encode`; for subclasses."""

    def encode(
        self, vectors: Tensor, present: Tensor, ages: Tensor, events: Tensor, training: bool | None
    ) -> Tensor:
        """Encodes; for subclasses.

        Args:
            vectors: [batch, length, dimension] in the layer's precision, zero for padding.
            present: bool [batch, length].
            ages: float32 [batch, length] days, or None.
            events: int [batch, length], or None.
            training: Whether this is a training step.

        Returns:
            [batch, dimension].
        """
        raise NotImplementedError

    def call(
        self,
        vectors: Tensor,
        present: Tensor,
        ages: Tensor = None,
        events: Tensor = None,
        training: bool | None = None,
    ) -> Tensor:
        """Encodes a batch of histories.

        Args:
            vectors: float [batch, length, dimension], oldest first, padding at the start.
            present: bool [batch, length], False for padding.
            ages: float [batch, length], days before the query, or None.
            events: int [batch, length], types of events, or None.
            training: Whether this is a training step.

        Returns:
            float [batch, dimension].
        """
        vectors, present, ages = self._read(vectors, present, ages, events)
        output = self.encode(vectors, present, ages, events, training)
        some = ops.any(present, 1)[:, None]
        return ops.where(some, output, ops.cast(self.empty, output.dtype))

    def _read(
        self, vectors: Tensor, present: Tensor, ages: Tensor, events: Tensor
    ) -> tuple[Tensor, ...]:
        """What an encoder is given: vectors with their times and types, which are there, ages."""
        vectors, present, ages = self._clean(vectors, present, ages)
        return self.time_and_event(vectors, present, ages, events), present, ages

    def _clean(self, vectors: Tensor, present: Tensor, ages: Tensor) -> tuple[Tensor, ...]:
        vectors = ops.cast(vectors, self.compute_dtype)
        present = ops.cast(present, "bool")
        vectors = ops.where(present[:, :, None], vectors, ops.zeros_like(vectors))
        if ages is not None:
            ages = ops.cast(ages, "float32")
            ages = ops.where(present, ops.maximum(ages, 0.0), ops.zeros_like(ages))
        return vectors, present, ages

    def compute_output_shape(self, vectors_shape: Any, *others: Any) -> tuple[Any, int]:
        """One vector for each history."""
        return (vectors_shape[0], self.dimension)

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {**super().get_config(), "dimension": self.dimension, "events": self.events}
