"""Transforms of numbers that preprocessing and the served graph share."""

from __future__ import annotations

import math
from typing import Any

import tensorflow as tf

__all__ = ["transform_numbers"]


def transform_numbers(numbers: Any, transform: str, period: float | None = None) -> tf.Tensor:
    """Applies a numeric feature's transform.

    Args:
        numbers: float32 [n].
        transform: `none`, `log1p`, `sin` or `cos`.
        period: Of the last two.

    Returns:
        float32 [n]; NaN where there is no result, as for the logarithm of -1 and less.

    Example:
        >>> transform_numbers(tf.constant([6.0]), "sin", 24.0).numpy().tolist()
        [1.0]
    """
    numbers = tf.convert_to_tensor(numbers, tf.float32)
    if transform == "none":
        return numbers
    # In double precision: the vector instructions that TensorFlow takes for the bulk of a batch
    # round the last digit otherwise than the scalar ones for its rest, and rounding to single
    # precision takes that digit away. So a request of one item gets the tensors of training.
    exact = tf.cast(numbers, tf.float64)
    if transform == "log1p":
        result = tf.where(exact > -1.0, tf.math.log1p(exact), tf.constant(math.nan, tf.float64))
    else:
        whole = tf.constant(period, tf.float64)
        angle = tf.math.floormod(exact, whole) * (2.0 * math.pi / whole)
        result = tf.sin(angle) if transform == "sin" else tf.cos(angle)
    return tf.cast(result, tf.float32)
