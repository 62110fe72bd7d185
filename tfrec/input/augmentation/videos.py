"""Jitter and mirrors of videos, uint8 [b, f, h, w, 3] in and out."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

__all__ = ["flip_videos", "jitter_frames"]


def jitter_frames(videos: tf.Tensor, seed: Any, *, most: int = 1) -> tf.Tensor:
    """Exchanges each frame for one of its neighbours, in the order of time.

    Args:
        videos: uint8 [b, f, h, w, 3].
        seed: int32 [2].
        most: Largest distance in frames.
    """
    count, frames = tf.shape(videos)[0], tf.shape(videos)[1]
    shift = tf.random.stateless_uniform([count, frames], seed, -most, most + 1, tf.int32)
    place = tf.clip_by_value(tf.range(frames)[None] + shift, 0, frames - 1)
    return tf.gather(videos, tf.sort(place, axis=1), axis=1, batch_dims=1)


def flip_videos(videos: tf.Tensor, seed: Any, *, share: float = 0.5) -> tf.Tensor:
    """Mirrors a random share of the videos, every frame of one alike.

    Args:
        videos: uint8 [b, f, h, w, 3].
        seed: int32 [2].
        share: How many, on average.
    """
    chosen = tf.random.stateless_uniform([tf.shape(videos)[0]], seed) < share
    return tf.where(chosen[:, None, None, None, None], videos[:, :, :, ::-1], videos)
