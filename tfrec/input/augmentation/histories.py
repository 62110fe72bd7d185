"""Crop, mask and reorder histories, int32 [b, L], right-aligned, -1 is padding.

Xie et al., "Contrastive learning for sequential recommendation" (CL4SRec), 2022, section 3.2. Each
function returns the place that every entry comes from, too, so that ages and event types follow:
`tf.gather(ages, places, axis=1, batch_dims=1)`.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

__all__ = ["crop_history", "mask_history", "reorder_history"]

_PADDING = -1


def crop_history(history: tf.Tensor, seed: Any, *, share: float = 0.6) -> tuple[Any, Any]:
    """Keeps a random span of each history, moved to the right end.

    Args:
        history: int32 [b, L].
        seed: int32 [2].
        share: Of the events that are kept, at least one.

    Returns:
        int32 [b, L], and int32 [b, L], the place that each came from.
    """
    length, width = _lengths(history), tf.shape(history)[1]
    kept = tf.maximum(1, tf.cast(tf.cast(length, tf.float32) * share, tf.int32))
    kept = tf.minimum(kept, length)
    draws = tf.random.stateless_uniform(tf.shape(length), seed)
    # How many of the latest events are left out.
    skipped = tf.cast(draws * tf.cast(length - kept + 1, tf.float32), tf.int32)
    place = tf.range(width)[None] - skipped[:, None]
    inside = tf.range(width)[None] >= (width - kept)[:, None]
    place = tf.where(inside, place, 0)
    items = tf.where(inside, tf.gather(history, place, axis=1, batch_dims=1), _PADDING)
    return items, place


def mask_history(history: tf.Tensor, seed: Any, *, share: float = 0.3) -> tuple[Any, Any]:
    """Replaces a random share of each history's events by padding, in place.

    Args:
        history: int32 [b, L].
        seed: int32 [2].
        share: Chance of each event; the latest one stays.

    Returns:
        int32 [b, L], and int32 [b, L], the place that each came from.
    """
    width = tf.shape(history)[1]
    draws = tf.random.stateless_uniform(tf.shape(history), seed)
    masked = (draws < share) & (tf.range(width)[None] < width - 1)
    place = tf.broadcast_to(tf.range(width)[None], tf.shape(history))
    return tf.where(masked, _PADDING, history), place


def reorder_history(history: tf.Tensor, seed: Any, *, share: float = 0.3) -> tuple[Any, Any]:
    """Shuffles a random span of each history.

    Args:
        history: int32 [b, L].
        seed: int32 [2].
        share: Length of the span, of the events.

    Returns:
        int32 [b, L], and int32 [b, L], the place that each came from.
    """
    length, width = _lengths(history), tf.shape(history)[1]
    seeds = tf.random.split(seed, 2)
    span = tf.cast(tf.math.ceil(tf.cast(length, tf.float32) * share), tf.int32)
    draws = tf.random.stateless_uniform(tf.shape(length), seeds[0])
    offset = tf.cast(draws * tf.cast(length - span + 1, tf.float32), tf.int32)
    start = width - length + offset
    index = tf.broadcast_to(tf.range(width)[None], tf.shape(history))
    inside = (index >= start[:, None]) & (index < (start + span)[:, None])
    order = tf.cast(index, tf.float32)
    # Within the span a random order, outside it the old one.
    mixed = (
        tf.cast(start, tf.float32)[:, None]
        + tf.random.stateless_uniform(tf.shape(history), seeds[1])
        * tf.cast(tf.maximum(span, 1), tf.float32)[:, None]
        * 0.999
    )
    place = tf.argsort(tf.where(inside, mixed, order), axis=1, stable=True)
    # The span's own places sort among themselves alone.
    place = tf.where(inside, place, index)
    return tf.gather(history, place, axis=1, batch_dims=1), place


def _lengths(history: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(tf.cast(history != _PADDING, tf.int32), 1)
