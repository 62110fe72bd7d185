"""Shift, noise and masks of sounds."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

__all__ = ["add_noise", "mask_spectrogram", "shift_sounds"]


def shift_sounds(sounds: tf.Tensor, seed: Any, *, most: float = 0.1) -> tf.Tensor:
    """Shifts each sound in time, silence coming in.

    Args:
        sounds: int16 [b, samples].
        seed: int32 [2].
        most: Largest shift either way, as a share of the length.
    """
    count, length = tf.shape(sounds)[0], tf.shape(sounds)[1]
    bound = tf.cast(tf.cast(length, tf.float32) * most, tf.int32)
    shift = tf.random.stateless_uniform([count], seed, -bound, bound + 1, tf.int32)
    place = tf.range(length)[None] - shift[:, None]
    inside = (place >= 0) & (place < length)
    moved = tf.gather(sounds, tf.clip_by_value(place, 0, length - 1), axis=1, batch_dims=1)
    return tf.where(inside, moved, tf.zeros_like(moved))


def add_noise(sounds: tf.Tensor, seed: Any, *, decibels: float = 20.0) -> tf.Tensor:
    """Adds white noise, so many decibels below each sound's own power.

    Args:
        sounds: int16 [b, samples].
        seed: int32 [2].
        decibels: Ratio of signal to noise.
    """
    values = tf.cast(sounds, tf.float32)
    power = tf.reduce_mean(values**2, 1, keepdims=True)
    scale = tf.sqrt(power * 10.0 ** (-decibels / 10.0))
    noisy = values + scale * tf.random.stateless_normal(tf.shape(values), seed)
    return tf.cast(tf.clip_by_value(tf.round(noisy), -32768.0, 32767.0), tf.int16)


def mask_spectrogram(
    spectrograms: tf.Tensor, seed: Any, *, most_time: int = 10, most_frequency: int = 8
) -> tf.Tensor:
    """SpecAugment's masks: a span of frames and a span of bands become the spectrogram's mean.

    Park et al., "SpecAugment", 2019, section 2, one mask of each kind, without time warping.

    Args:
        spectrograms: float32 [b, frames, bands].
        seed: int32 [2].
        most_time: Longest span of frames.
        most_frequency: Longest span of bands.
    """
    seeds = tf.random.split(seed, 2)
    frames = _span(spectrograms, 1, most_time, seeds[0])
    bands = _span(spectrograms, 2, most_frequency, seeds[1])
    masked = frames[:, :, None] | bands[:, None, :]
    return tf.where(masked, tf.reduce_mean(spectrograms, [1, 2], keepdims=True), spectrograms)


def _span(values: tf.Tensor, axis: int, most: int, seed: Any) -> tf.Tensor:
    """A random span of each row, bool [b, length of the axis], of at most `most` places."""
    count, length = tf.shape(values)[0], tf.shape(values)[axis]
    seeds = tf.random.split(seed, 2)
    bound = tf.minimum(most, length)
    width = tf.random.stateless_uniform([count], seeds[0], 0, bound + 1, tf.int32)
    room = tf.cast(length - width + 1, tf.float32)
    start = tf.cast(tf.random.stateless_uniform([count], seeds[1]) * room, tf.int32)
    place = tf.range(length)[None]
    return (place >= start[:, None]) & (place < (start + width)[:, None])
