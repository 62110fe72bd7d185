"""Vectors whose neighbours are known by brute force in NumPy."""

from __future__ import annotations

import numpy as np

from tfrec.index import Neighbours


def clustered(size: int, dimension: int = 16, clusters: int = 40, seed: int = 0) -> np.ndarray:
    """Unit vectors around as many centres; float32 [size, dimension]."""
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(7).standard_normal((clusters, dimension))
    rows = centres[random.integers(0, clusters, size)]
    rows = rows + 0.4 * random.standard_normal(rows.shape)
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def brute_force(
    vectors: np.ndarray, queries: np.ndarray, k: int, banned: list[set[int]] | None = None
) -> list[list[int]]:
    """Items by score, ties by place, without those that are banned."""
    found = []
    for row, query in enumerate(queries):
        scores = vectors @ query
        order = np.lexsort([np.arange(len(scores)), -scores])
        out = banned[row] if banned else set()
        found.append([int(item) for item in order if int(item) not in out][:k])
    return found


def recall(found: Neighbours, expected: list[list[int]]) -> float:
    """Share of the expected items that were found."""
    pairs = zip(found.items.numpy().tolist(), expected, strict=True)
    return float(np.mean([len(set(row) & set(true)) / len(true) for row, true in pairs]))
