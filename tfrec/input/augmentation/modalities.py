"""Modality dropout: a model that has met missing parts in training can do without them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

__all__ = ["drop_modalities"]


def drop_modalities(
    present: Mapping[str, tf.Tensor], seed: Any, *, share: float = 0.1
) -> dict[str, tf.Tensor]:
    """Hides each present feature of each item with some chance, but never an item's last one.

    Args:
        present: bool [b] by feature.
        seed: int32 [2].
        share: Chance of each.

    Returns:
        bool [b] by feature.
    """
    names = list(present)
    flags = tf.stack([present[name] for name in names], 1)
    draws = tf.random.stateless_uniform(tf.shape(flags), seed)
    # The present feature with the highest draw stays, whatever its draw.
    best = tf.argmax(tf.where(flags, draws, -1.0), 1)
    spared = tf.one_hot(best, len(names), True, False, dtype=tf.bool)
    kept = flags & ((draws >= share) | spared)
    return {name: kept[:, place] for place, name in enumerate(names)}
