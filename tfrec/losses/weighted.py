"""The mean of examples' losses by weight."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

__all__ = ["weighted_mean"]


def weighted_mean(losses: Any, weights: Any | None = None) -> Any:
    """Σ w l / Σ w; 0 when all weights are 0, also where a loss of weight 0 is not finite.

    Args:
        losses: float [batch].
        weights: float [batch], not negative; 1 each unless given.

    Returns:
        float32 scalar.

    Example:
        >>> float(weighted_mean(tf.constant([1.0, 4.0]), tf.constant([3.0, 1.0])))
        1.75
    """
    losses = tf.cast(losses, tf.float32)
    if weights is None:
        return tf.reduce_mean(losses)
    weights = tf.cast(weights, tf.float32)
    total = tf.reduce_sum(tf.where(weights > 0, weights * losses, 0.0))
    return tf.math.divide_no_nan(total, tf.reduce_sum(weights))
