"""When and how: age and type of an event as vectors that are added to the item's."""

from __future__ import annotations

import math
from typing import Any

import keras
import tensorflow as tf

__all__ = ["AGE_BUCKETS", "TimeAndEvent", "age_buckets"]

ops = keras.ops

# Half powers of two of days: the last begins at 5.6 years.
AGE_BUCKETS = 24


def age_buckets(ages: Any) -> Any:
    """Buckets days logarithmically: 2 log2(1 + days), cut off at the last bucket.

    Args:
        ages: float [batch, length], not negative.

    Returns:
        int32 of the same shape, 0 … AGE_BUCKETS - 1.
    """
    scaled = ops.log(1.0 + ages) * (2.0 / math.log(2.0))
    return ops.cast(ops.clip(ops.floor(scaled), 0, AGE_BUCKETS - 1), "int32")


@keras.saving.register_keras_serializable("tfrec")
class TimeAndEvent(keras.layers.Layer):
    """Adds an embedding of the age's bucket and one of the event's type to each present item.

    Args:
        dimension: Width of the vectors.
        ages: Whether ages are given.
        events: Size of the event types' vocabulary; 0 for none.
        **kwargs: Keras' own.
    """

    def __init__(self, dimension: int, ages: bool, events: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dimension = dimension
        self.ages = ages
        self.events = events

    def add_weight(self, *args: Any, **options: Any) -> Any:
        """A weight that stays in float32: Keras would read it in half precision, a table whole."""
        return super().add_weight(*args, **{"autocast": False, **options})

    def build(self, *shapes: Any) -> None:
        """Makes the tables, small at first, so that items speak louder."""
        small = keras.initializers.RandomNormal(stddev=0.02)
        options = {"initializer": small, "dtype": "float32"}
        if self.ages:
            self.age_table = self.add_weight(
                shape=(AGE_BUCKETS, self.dimension), name="ages", **options
            )
        if self.events:
            self.event_table = self.add_weight(
                shape=(self.events, self.dimension), name="events", **options
            )
        self.built = True

    def call(self, vectors: Any, present: Any, ages: Any, events: Any) -> Any:
        """Adds; padding stays zero."""
        flags = ops.cast(present, vectors.dtype)[:, :, None]
        if self.ages and ages is not None:
            rows = tf.gather(self.age_table.value, age_buckets(ages))
            vectors = vectors + ops.cast(rows, vectors.dtype) * flags
        if self.events and events is not None:
            kinds = tf.clip_by_value(ops.cast(events, "int32"), 0, self.events - 1)
            rows = tf.gather(self.event_table.value, kinds)
            vectors = vectors + ops.cast(rows, vectors.dtype) * flags
        return vectors

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {
            **super().get_config(),
            "dimension": self.dimension,
            "ages": self.ages,
            "events": self.events,
        }
