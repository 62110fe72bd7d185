"""What items are, in a few numbers each: the content vectors that histories read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from tfrec.input import ItemTable
from tfrec.schema import MISSING_INDEX

__all__ = ["history_content"]

Array = npt.NDArray[np.float32]

# Rarer values of a vocabulary tell little about a taste, and each costs a column.
_COLUMNS = 2_000


def history_content(
    items: ItemTable, names: tuple[str, ...], width: int, vectors: Mapping[str, Array]
) -> Array:
    """Principal components of items' features, each feature of unit length where it is present.

    Args:
        items: The catalogue.
        names: Features to read; those without a vector (raw media) are passed over.
        width: Components.
        vectors: By feature, float32 [N, d] to use in its place.

    Returns:
        float32 [N, width], of root mean square length 1 over the catalogue; columns beyond the
        features' rank are zero. Singular vectors' signs are fixed, so that it is reproducible.
    """
    blocks = []
    for name in names:
        present = items.present[name]
        value = vectors.get(name)
        block = _block(items, name) if value is None else _standardised(value, present)
        if block is not None and present.any():
            blocks.append(np.where(present[:, None], block, 0.0).astype(np.float32))
    out = np.zeros((len(items), width), np.float32)
    if not blocks:
        return out
    joined = np.concatenate(blocks, 1)
    # Of the Gram matrix: items may be many, columns are some thousands at most.
    values, directions = np.linalg.eigh(joined.T.astype(np.float64) @ joined)
    chosen = directions[:, ::-1][:, : min(width, int((values > 1e-9 * values[-1]).sum()))]
    signs = np.sign(chosen[np.abs(chosen).argmax(0), np.arange(chosen.shape[1])])
    scores = joined @ (chosen * signs).astype(np.float32)
    scores /= max(float(np.sqrt((scores**2).sum(1).mean())), 1e-9)
    out[:, : scores.shape[1]] = scores
    return out


def _block(items: ItemTable, name: str) -> Array | None:
    spec = items.specs[name]
    present = items.present[name]
    if name in items.encoded or spec.modality == "embedding":
        return _standardised(items.value(name), present)
    if spec.modality in ("categorical", "tags"):
        value = items.features[name]
        return _one_hot(value if value.ndim == 2 else value[:, None])
    if spec.modality == "numeric":
        return np.clip(items.features[name], -3, 3)[:, None].astype(np.float32) / 3
    return None


def _standardised(value: npt.NDArray[Any], present: npt.NDArray[np.bool_]) -> Array:
    known = value[present].astype(np.float32)
    centred = value - known.mean(0)
    centred = centred / (known.std(0) + 1e-6)
    length = np.linalg.norm(centred, axis=1, keepdims=True)
    return (centred / np.maximum(length, 1e-9)).astype(np.float32)


def _one_hot(value: npt.NDArray[np.int32]) -> Array:
    counts = np.bincount(value[value != MISSING_INDEX], minlength=1)
    kept = np.argsort(-counts, kind="stable")[: min(_COLUMNS, int((counts > 0).sum()))]
    column = np.full(len(counts), -1)
    column[kept] = np.arange(len(kept))
    out = np.zeros((len(value), max(len(kept), 1)), np.float32)
    for tags in value.T:
        places = column[np.minimum(tags, len(counts) - 1)]
        rows = np.flatnonzero((tags != MISSING_INDEX) & (places >= 0))
        out[rows, places[rows]] = 1
    length = np.linalg.norm(out, axis=1, keepdims=True)
    return out / np.maximum(length, 1.0)
