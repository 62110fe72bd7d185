"""Item content as one matrix, for the baselines that place items nobody has met."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any
from zlib import crc32

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from tfrec.input import ItemTable

__all__ = ["content_matrix", "has_content"]

_HASHED = 1 << 14
_WIDTH = 256
_WORD = re.compile(r"\w\w+")


def has_content(items: ItemTable) -> bool:
    """Whether any feature can be turned into a vector without training a network."""
    return any(_usable(items, name) for name in items.present)


def content_matrix(items: ItemTable) -> NDArray[np.float32]:
    """One row an item: each feature's block standardised, cut to unit rows, and put side by side.

    Frozen encodings and embeddings stand as they are; categories and tags as 0/1 columns; numbers
    as they are; text without an encoding as hashed TF-IDF projected to 256 random
    dimensions. Pictures, sounds and clips without an encoding are left out.

    Args:
        items: The catalogue, N items.

    Returns:
        float32 [N, columns]; a missing value is 0 in all columns of its block.

    Raises:
        ValueError: No feature is usable; ask `has_content` first.
    """
    blocks = []
    for name in items.present:
        if not _usable(items, name):
            continue
        block = _block(items, name)
        present = items.present[name]
        known = block[present & items.warm]
        if not len(known):
            continue
        deviation = known.std(axis=0)
        block = np.where(deviation > 1e-6, (block - known.mean(axis=0)) / (deviation + 1e-6), 0)
        length = np.linalg.norm(block, axis=1, keepdims=True)
        blocks.append(block / np.maximum(length, 1e-6) * present[:, None])
    if not blocks:
        raise ValueError("content needs a feature that can be a vector. Received: none")
    return np.concatenate(blocks, axis=1).astype(np.float32)


def _usable(items: ItemTable, name: str) -> bool:
    if name in items.encoded:
        return True
    modality = items.specs[name].modality
    return modality in ("text", "categorical", "tags", "numeric", "embedding")


def _block(items: ItemTable, name: str) -> NDArray[np.float32]:
    if name in items.encoded:
        return items.encoded[name]
    values = items.features[name]
    modality = items.specs[name].modality
    if modality == "text":
        return _hashed_words(values)
    if modality == "embedding":
        return values.astype(np.float32)
    if modality == "numeric":
        return values.astype(np.float32)[:, None]
    column = values if values.ndim == 2 else values[:, None]
    rows = np.repeat(np.arange(len(column)), column.shape[1])
    flat = column.ravel().astype(np.int64)
    width = items.specs[name].vocabulary_size or int(flat.max(initial=0)) + 1
    table = sp.csr_matrix((np.ones(len(flat), np.float32), (rows, flat)), (len(column), width))
    if width > 2 * _WIDTH:
        return _projected(table)
    dense = table.toarray()
    # Column 0 is padding.
    dense[:, 0] = 0
    return np.minimum(dense, 1)


def _hashed_words(texts: NDArray[Any]) -> NDArray[np.float32]:
    rows, columns, counts = [], [], []
    for row, text in enumerate(texts):
        # crc32, not hash(): equal in every process.
        words = Counter(crc32(word.encode()) % _HASHED for word in _WORD.findall(text.lower()))
        rows += [row] * len(words)
        columns += list(words)
        counts += list(words.values())
    shape = (len(texts), _HASHED)
    table = sp.csr_matrix((np.log1p(np.array(counts, np.float32)), (rows, columns)), shape)
    return _projected(table)


def _projected(table: Any) -> NDArray[np.float32]:
    """TF-IDF weights, unit rows, then a fixed random projection (Johnson & Lindenstrauss)."""
    documents = np.bincount(table.indices, minlength=table.shape[1])
    rarity = np.log((1 + table.shape[0]) / (1 + documents)).astype(np.float32)
    weighted = table @ sp.diags(rarity)
    length = np.sqrt(np.asarray(weighted.multiply(weighted).sum(axis=1))).ravel()
    unit = sp.diags(1 / np.maximum(length, 1e-6)) @ weighted
    directions = np.random.default_rng(0).standard_normal((table.shape[1], _WIDTH))
    return np.asarray(unit @ (directions / np.sqrt(_WIDTH)), np.float32)
