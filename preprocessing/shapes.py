"""Shapes of prepared media, known without TensorFlow."""

from __future__ import annotations

import math

from tfrec.config import FeatureConfig
from tfrec.config.dataset import MEDIA

__all__ = ["media_bytes", "media_shape", "shard_starts"]

# A shard of items is read at once by a trainer, so it stays well below a gigabyte.
_SHARD_BYTES = 128 << 20
_SHARD_ITEMS = 50_000


def media_shape(config: FeatureConfig, size: tuple[int, int] | None = None) -> tuple[int, ...]:
    """The shape of one prepared value.

    Args:
        config: An image, audio or video feature.
        size: Height and width, when an encoder wants others than the description says.
    """
    height, width = size or config.size
    if config.modality == "image":
        return (height, width, 3)
    if config.modality == "video":
        return (config.frames, height, width, 3)
    return (round(config.sample_rate * config.seconds),)


def media_bytes(config: FeatureConfig) -> int:
    """Bytes of one prepared value; 0 for a feature that is no media."""
    if config.modality not in MEDIA:
        return 0
    return math.prod(media_shape(config)) * (2 if config.modality == "audio" else 1)


def shard_starts(features: dict[str, FeatureConfig], items: int) -> list[int]:
    """The first item of each shard of a catalogue."""
    each = sum(media_bytes(config) for config in features.values()) + 4096
    # Eight runs of a small catalogue keep several workers busy.
    step = min(_SHARD_ITEMS, max(1, _SHARD_BYTES // each), max(256, -(-items // 8)))
    return list(range(0, items, step))
