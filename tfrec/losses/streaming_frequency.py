"""How often an item comes, estimated while training goes on."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

__all__ = ["StreamingFrequency"]


@keras.saving.register_keras_serializable("tfrec")
class StreamingFrequency(keras.layers.Layer):
    """Estimates the logarithm of the chance that an item is in a batch.

    For each item, the moving average B of the number of steps between two batches that hold it:
    B ← (1 − α) B + α (t − A), A ← t; the chance is 1 / B. Yi et al., 2019, algorithm 2. For streams
    and catalogues whose counts nobody has; where the manifest has them, they are exact.

    Args:
        size: Items.
        rate: α, the share of a new gap in the average.
        start: B before an item has come twice, in steps.
        **kwargs: Keras' own.

    Example:
        >>> frequency = StreamingFrequency(4, rate=0.5, start=8.0)
        >>> for _ in range(40):
        ...     estimate = frequency(tf.constant([2]), training=True)
        >>> round(float(tf.exp(estimate[0])), 3)  # it is in every batch
        1.0
    """

    def __init__(
        self, size: int, *, rate: float = 0.01, start: float = 100.0, **kwargs: Any
    ) -> None:
        super().__init__(autocast=False, **kwargs)
        if size < 1 or not 0 < rate <= 1 or start < 1:
            raise ValueError(
                "`size` must be positive, `rate` in (0, 1] and `start` at least 1."
                f" Received: size={size}, rate={rate}, start={start}"
            )
        self.size = size
        self.rate = rate
        self.start = start
        # int64 and float32 of their own: a step counter in half precision stops at 2,048.
        self.last = self.add_weight(
            shape=(size,), initializer="zeros", dtype="int64", trainable=False, name="last"
        )
        self.gap = self.add_weight(
            shape=(size,),
            initializer=keras.initializers.Constant(start),
            dtype="float32",
            trainable=False,
            name="gap",
        )
        self.step = self.add_weight(
            shape=(), initializer="zeros", dtype="int64", trainable=False, name="step"
        )
        self.built = True

    def call(self, ids: Any, training: bool | None = None) -> Any:
        """Counts a batch, when training, and tells the logarithm of each item's chance.

        Args:
            ids: int [batch], 0 … size − 1; one that comes twice counts once.
            training: Whether the batch is counted.

        Returns:
            float32 [batch].
        """
        gap, last = self.gap.value, self.last.value
        if training:
            now = self.step.value.assign_add(1)
            known = tf.gather(last, ids)
            waited = tf.cast(now - known, tf.float32)
            old = tf.gather(gap, ids)
            # Before an item has come once, there is no gap to learn from.
            new = tf.where(known > 0, (1 - self.rate) * old + self.rate * waited, old)
            gap.scatter_update(tf.IndexedSlices(new, ids))
            last.scatter_update(tf.IndexedSlices(tf.fill(tf.shape(ids), now), ids))
        return -tf.math.log(tf.maximum(tf.gather(gap, ids), 1.0))

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {
            **super().get_config(),
            "size": self.size,
            "rate": self.rate,
            "start": self.start,
        }
