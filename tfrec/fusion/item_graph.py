"""Graphs over items, and over users and items, for propagation: built once, in SciPy."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import scipy.sparse

__all__ = ["bipartite_graph", "combine_graphs", "knn_graph"]


def knn_graph(features: np.ndarray, k: int = 10, batch_size: int = 1024) -> scipy.sparse.csr_matrix:
    """Joins each item to its k nearest by cosine, all with equal weight, symmetrically normalised.

    The frozen item-item graph of Zhou & Shen, "A tale of two graphs: freezing and denoising graph
    structures for multimodal recommendation" (FREEDOM), 2023, equations 1 to 3. Exact, a block of
    similarities at a time: O(N²) work, batch_size · N memory.

    Args:
        features: float [items, width], one modality; a row of zeros is a missing one and has no
            neighbours.
        k: Neighbours, the item itself not among them.
        batch_size: Rows in a block.

    Returns:
        float32 [items, items], D^(-1/2) A D^(-1/2) with D the row sums of A.

    Example:
        >>> knn_graph(np.array([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [0.1, 1.0]]), k=1).toarray()
        array([[0., 1., 0., 0.],
               [1., 0., 0., 0.],
               [0., 0., 0., 1.],
               [0., 0., 1., 0.]], dtype=float32)
    """
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    unit = (features / np.maximum(lengths, 1e-12)).astype(np.float32)
    there = lengths[:, 0] > 0
    count = len(unit)
    k = min(k, max(int(there.sum()) - 1, 0))
    rows, columns = [], []
    for start in range(0, count, batch_size):
        chosen = np.flatnonzero(there[start : start + batch_size]) + start
        if k == 0 or len(chosen) == 0:
            continue
        scores = unit[chosen] @ unit.T
        scores[:, ~there] = -np.inf
        scores[np.arange(len(chosen)), chosen] = -np.inf
        nearest = np.argpartition(-scores, k - 1, axis=1)[:, :k]
        rows.append(np.repeat(chosen, k))
        columns.append(nearest.ravel())
    if not rows:
        return scipy.sparse.csr_matrix((count, count), dtype=np.float32)
    row, column = np.concatenate(rows), np.concatenate(columns)
    ones = np.ones(len(row), np.float32)
    return _normalized(scipy.sparse.csr_matrix((ones, (row, column)), shape=(count, count)))


def combine_graphs(
    graphs: Mapping[str, scipy.sparse.csr_matrix], weights: Mapping[str, float] | None = None
) -> scipy.sparse.csr_matrix:
    """The weighted sum of modalities' graphs (FREEDOM, equation 4).

    Args:
        graphs: By modality.
        weights: By modality, brought to sum 1; equal unless given.

    Returns:
        float32 [items, items].

    Raises:
        ValueError: The names differ, or the weights sum to nothing.
    """
    weights = dict.fromkeys(graphs, 1.0) if weights is None else dict(weights)
    if set(weights) != set(graphs) or sum(weights.values()) <= 0:
        raise ValueError(
            f"`weights` must name {', '.join(sorted(graphs))} and sum to more than 0."
            f" Received: {weights}"
        )
    total = sum(weights.values())
    summed = sum(graph * (weights[name] / total) for name, graph in graphs.items())
    return scipy.sparse.csr_matrix(summed, dtype=np.float32)


def bipartite_graph(
    users: np.ndarray, items: np.ndarray, user_count: int, item_count: int
) -> scipy.sparse.csr_matrix:
    """Joins users and the items they liked; users first, then items.

    He et al., "LightGCN", 2020, equations 7 and 8.

    Args:
        users: int [events], user of each event.
        items: int [events], its item. A pair that occurs twice counts once.
        user_count: Users.
        item_count: Items.

    Returns:
        float32 [users + items, users + items], D^(-1/2) A D^(-1/2).
    """
    size = user_count + item_count
    pairs = np.unique(np.stack([users, items + user_count]), axis=1)
    row = np.concatenate([pairs[0], pairs[1]])
    column = np.concatenate([pairs[1], pairs[0]])
    ones = np.ones(len(row), np.float32)
    return _normalized(scipy.sparse.csr_matrix((ones, (row, column)), shape=(size, size)))


def _normalized(graph: scipy.sparse.csr_matrix) -> scipy.sparse.csr_matrix:
    degree = np.asarray(graph.sum(1)).ravel()
    root = np.where(degree > 0, np.maximum(degree, 1e-12) ** -0.5, 0.0)
    scale = scipy.sparse.diags(root)
    return scipy.sparse.csr_matrix(scale @ graph @ scale, dtype=np.float32)
