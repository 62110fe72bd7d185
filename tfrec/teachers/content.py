"""Blocks of item content, made comparable: centred, scaled to unit deviation, rows of length 1."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["ContentBlock", "Standardizer", "fit_standardizers", "standardize"]

Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class ContentBlock:
    """What one feature says of each item.

    Attributes:
        values: float32 [N, d]; rows that aren't present don't matter.
        present: bool [N].
    """

    values: Array
    present: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Standardizer:
    """Mean and inverse deviation of a block's columns, float32 [d]."""

    mean: Array
    scale: Array


def fit_standardizers(
    blocks: Mapping[str, ContentBlock], rows: npt.NDArray[np.bool_]
) -> dict[str, Standardizer]:
    """Fits each block on those of `rows` (bool [N]) that have it; a constant column scales by 0."""
    fitted = {}
    for name, block in blocks.items():
        chosen = block.values[rows & block.present]
        width = block.values.shape[1]
        if not len(chosen):
            fitted[name] = Standardizer(np.zeros(width, np.float32), np.zeros(width, np.float32))
            continue
        deviation = chosen.std(0, dtype=np.float64)
        scale = np.where(deviation > 1e-6, 1 / np.maximum(deviation, 1e-6), 0.0)
        mean = chosen.mean(0, dtype=np.float64)
        fitted[name] = Standardizer(mean.astype(np.float32), scale.astype(np.float32))
    return fitted


def standardize(block: ContentBlock, fitted: Standardizer) -> Array:
    """Unit rows [N, d]; a row that isn't present is 0."""
    values = (block.values - fitted.mean) * fitted.scale
    values /= np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-9)
    return np.asarray(values * block.present[:, None], np.float32)
