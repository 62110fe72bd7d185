"""Crops, flips and colours of pictures, uint8 [b, h, w, 3] in and out."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

__all__ = ["flip_pictures", "jitter_colours", "resize_crops"]


def resize_crops(
    pictures: tf.Tensor, seed: Any, *, least_area: float = 0.5, ratio: float = 4 / 3
) -> tf.Tensor:
    """Random resized crops (Szegedy et al., "Going deeper with convolutions", 2015, section 6).

    Args:
        pictures: uint8 [b, h, w, 3].
        seed: int32 [2].
        least_area: Smallest share of the area that is kept.
        ratio: A crop's sides are stretched by up to so much, or its inverse.

    Returns:
        uint8 [b, h, w, 3], bilinearly resized.
    """
    count, height, width = tf.shape(pictures)[0], tf.shape(pictures)[1], tf.shape(pictures)[2]
    seeds = tf.random.split(seed, 4)
    area = tf.random.stateless_uniform([count], seeds[0], least_area, 1.0)
    logs = tf.random.stateless_uniform([count], seeds[1], -1.0, 1.0) * tf.math.log(ratio)
    tall = tf.minimum(tf.sqrt(area / tf.exp(logs)), 1.0)
    wide = tf.minimum(tf.sqrt(area * tf.exp(logs)), 1.0)
    top = tf.random.stateless_uniform([count], seeds[2]) * (1.0 - tall)
    left = tf.random.stateless_uniform([count], seeds[3]) * (1.0 - wide)
    # As `tf.image.crop_and_resize` has it, which XLA can't compile.
    crops = _sample(tf.cast(pictures, tf.float32), top, tall, height, 1)
    crops = _sample(crops, left, wide, width, 2)
    return tf.cast(tf.clip_by_value(tf.round(crops), 0.0, 255.0), tf.uint8)


def _sample(values: tf.Tensor, start: Any, share: Any, length: Any, axis: int) -> tf.Tensor:
    """Linear interpolation along an axis, from `start` over `share` of its length."""
    last = tf.cast(length - 1, tf.float32)
    steps = tf.cast(tf.range(length), tf.float32) / tf.maximum(last, 1.0)
    place = (start[:, None] + share[:, None] * steps[None]) * last
    low = tf.clip_by_value(tf.cast(tf.floor(place), tf.int32), 0, length - 1)
    high = tf.minimum(low + 1, length - 1)
    part = (place - tf.cast(low, tf.float32))[..., None, None]
    part = tf.transpose(part, [0, 2, 1, 3]) if axis == 2 else part
    below, above = (tf.gather(values, at, axis=axis, batch_dims=1) for at in (low, high))
    return below + (above - below) * part


def flip_pictures(pictures: tf.Tensor, seed: Any, *, share: float = 0.5) -> tf.Tensor:
    """Mirrors a random share of the pictures, left to right.

    Args:
        pictures: uint8 [b, h, w, 3].
        seed: int32 [2].
        share: How many, on average.
    """
    chosen = tf.random.stateless_uniform([tf.shape(pictures)[0]], seed) < share
    return tf.where(chosen[:, None, None, None], pictures[:, :, ::-1], pictures)


def jitter_colours(
    pictures: tf.Tensor,
    seed: Any,
    *,
    brightness: float = 0.2,
    contrast: float = 0.2,
    saturation: float = 0.2,
) -> tf.Tensor:
    """Changes brightness, contrast and saturation of each picture by random factors around 1.

    Args:
        pictures: uint8 [b, h, w, 3].
        seed: int32 [2].
        brightness: Largest change of the factor; 0.2 is 0.8 to 1.2. Likewise the others.
        contrast: Around the picture's mean grey.
        saturation: Around each pixel's grey.

    Returns:
        uint8 [b, h, w, 3].
    """
    values = tf.cast(pictures, tf.float32)
    seeds = tf.random.split(seed, 3)

    def factor(place: int, spread: float) -> tf.Tensor:
        shape = [tf.shape(pictures)[0], 1, 1, 1]
        return tf.random.stateless_uniform(shape, seeds[place], 1.0 - spread, 1.0 + spread)

    values = values * factor(0, brightness)
    grey = tf.reduce_sum(values * [0.299, 0.587, 0.114], -1, keepdims=True)
    mean = tf.reduce_mean(grey, [1, 2], keepdims=True)
    values = mean + (values - mean) * factor(1, contrast)
    grey = tf.reduce_sum(values * [0.299, 0.587, 0.114], -1, keepdims=True)
    values = grey + (values - grey) * factor(2, saturation)
    return tf.cast(tf.clip_by_value(tf.round(values), 0.0, 255.0), tf.uint8)
