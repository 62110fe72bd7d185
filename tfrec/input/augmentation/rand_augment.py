"""RandAugment: a few random operations on each picture, all of one strength."""

from __future__ import annotations

import math
from typing import Any

import tensorflow as tf

__all__ = ["rand_augment"]

_GREY = (0.299, 0.587, 0.114)
# Of colours, then of places: at full strength 30 degrees, and 0.3 of a side.
_COLOURS, _PLACES = 6, 4
_MOST_DEGREES, _MOST_SHARE = 30.0, 0.3


def rand_augment(
    pictures: tf.Tensor, seed: Any, *, operations: int = 2, magnitude: float = 0.3
) -> tf.Tensor:
    """Cubuk et al., "RandAugment: practical automated data augmentation", 2020, section 3.

    Each round draws for each picture one of: nothing, brightness, contrast, saturation, posterize,
    solarize, rotate, shear, and a shift across or down; the sign is drawn too. What comes in from
    outside repeats the border.

    Args:
        pictures: uint8 [b, h, w, 3].
        seed: int32 [2].
        operations: Rounds.
        magnitude: Strength, 0 to 1.

    Returns:
        uint8 [b, h, w, 3].
    """
    values = tf.cast(pictures, tf.float32)
    count = tf.shape(pictures)[0]
    for own in tf.unstack(tf.random.split(seed, operations), operations):
        seeds = tf.random.split(own, 2)
        kind = tf.random.stateless_uniform([count], seeds[0], 0, _COLOURS + _PLACES, tf.int32)
        sign = tf.sign(tf.random.stateless_uniform([count], seeds[1], -1.0, 1.0))
        values = _move(_recolour(values, kind, sign, magnitude), kind - _COLOURS, sign, magnitude)
    return tf.cast(tf.clip_by_value(tf.round(values), 0.0, 255.0), tf.uint8)


def _recolour(values: Any, kind: Any, sign: Any, magnitude: float) -> Any:
    factor = 1.0 + 0.9 * magnitude * sign[:, None, None, None]
    grey = tf.reduce_sum(values * _GREY, -1, keepdims=True)
    mean = tf.reduce_mean(grey, [1, 2], keepdims=True)
    step = 2.0 ** round(4 * magnitude)
    changed = (
        values * factor,
        mean + (values - mean) * factor,
        grey + (values - grey) * factor,
        tf.floor(values / step) * step,
        tf.where(values >= 256.0 * (1.0 - magnitude), 255.0 - values, values),
    )
    for place, other in enumerate(changed, 1):
        values = tf.where((kind == place)[:, None, None, None], other, values)
    return tf.clip_by_value(values, 0.0, 255.0)


def _move(values: Any, kind: Any, sign: Any, magnitude: float) -> Any:
    height, width = tf.shape(values)[1], tf.shape(values)[2]
    angle = tf.where(kind == 0, sign * magnitude * math.radians(_MOST_DEGREES), 0.0)
    shear = tf.where(kind == 1, sign * magnitude * _MOST_SHARE, 0.0)
    across = tf.where(kind == 2, sign * magnitude * _MOST_SHARE, 0.0)
    down = tf.where(kind == 3, sign * magnitude * _MOST_SHARE, 0.0)
    tall, wide = tf.cast(height, tf.float32), tf.cast(width, tf.float32)
    rows = (tf.range(tall) - (tall - 1.0) / 2.0)[None, :, None]
    columns = (tf.range(wide) - (wide - 1.0) / 2.0)[None, None, :]
    cosine, sine = (f(angle)[:, None, None] for f in (tf.cos, tf.sin))
    row = cosine * rows - sine * columns + (down * tall)[:, None, None]
    column = sine * rows + cosine * columns + shear[:, None, None] * rows
    column += (across * wide)[:, None, None]
    row, column = row + (tall - 1.0) / 2.0, column + (wide - 1.0) / 2.0
    row = tf.clip_by_value(tf.cast(tf.round(row), tf.int32), 0, height - 1)
    column = tf.clip_by_value(tf.cast(tf.round(column), tf.int32), 0, width - 1)
    return tf.gather_nd(values, tf.stack([row, column], -1), batch_dims=1)
