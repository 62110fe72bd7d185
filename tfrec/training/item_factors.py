"""What behaviour says about items, as a few numbers each, from one sparse matrix."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix
from scipy.sparse.linalg import LinearOperator, eigsh

from tfrec.input import Timelines

__all__ = ["behaviour_factors", "item_factors"]

Factors = npt.NDArray[np.float64]


def item_factors(timelines: Timelines, items: int, rank: int, seed: int) -> npt.NDArray[np.float32]:
    """Directions that tell which items have the same public: a target for content to predict.

    `behaviour_factors` with the power ½, which takes popularity out as the normalised Laplacian
    does, so that near items are those with the same public and not those with the same fame. The
    first component, which is the root of the counts and tells nothing else, is left out.

    Args:
        timelines: The train part.
        items: Catalogue size.
        rank: Components.
        seed: Of the start vector.

    Returns:
        float32 [items, rank'], rank' ≤ rank, of unit length; zeros for items without a positive.
    """
    factors = behaviour_factors(timelines, items, rank + 1, seed, power=0.5)[0][:, 1:]
    if not factors.shape[1]:
        return np.zeros((items, 1), np.float32)
    length = np.linalg.norm(factors, axis=1, keepdims=True)
    return np.where(length > 1e-9, factors / np.maximum(length, 1e-9), 0.0).astype(np.float32)


def behaviour_factors(
    timelines: Timelines, items: int, rank: int, seed: int, *, power: float
) -> tuple[Factors, Factors]:
    """Truncated SVD of users × items, M ≈ U S Vᵀ.

    Each positive is weighted by (user's count × item's count)^-power. (PureSVD, Cremonesi, Koren &
    Turrin 2010, with the power 0.)

    Args:
        timelines: The train part.
        items: Catalogue size.
        rank: Components; fewer where the matrix has no more.
        seed: Of the start vector.
        power: 0 leaves popularity in, ½ takes it out.

    Returns:
        V S [items, rank'] and U S [timelines, rank'], the largest component first; zeros for items
        and users without a positive.
    """
    positives = timelines.positives()
    rows, columns = positives.rows, positives.item_index
    shape = (len(positives), items)
    matrix = csr_matrix((np.ones(len(rows), np.float64), (rows, columns)), shape)
    matrix.data[:] = 1.0
    rank = min(rank, min(shape) - 1)
    if rank < 1 or not matrix.nnz:
        return np.zeros((items, 0)), np.zeros((shape[0], 0))
    left, right = (np.maximum(np.asarray(matrix.sum(axis)).ravel(), 1) ** -power for axis in (1, 0))
    matrix = matrix.multiply(left[:, None]).multiply(right[None, :]).tocsr()
    # Of the smaller side's Gram matrix: what is left of `svds` would be the SVD of a dense matrix
    # as tall as the larger side, which took three times as long.
    wide = shape[0] <= shape[1]
    tall = matrix.T.tocsr() if wide else matrix
    size = min(shape)
    gram = LinearOperator((size, size), lambda x: tall.T @ (tall @ x), dtype=np.float64)
    start = np.random.default_rng(seed).standard_normal(size)
    _, vectors = eigsh(gram, k=rank, v0=start)
    vectors = vectors[:, ::-1]
    larger = tall @ vectors
    smaller = vectors * np.linalg.norm(larger, axis=0)
    of_users, of_items = (smaller, larger) if wide else (larger, smaller)
    # Repeated components differ by rotation only; their signs are fixed all the same.
    places = np.abs(of_items).argmax(0), np.arange(of_items.shape[1])
    signs = np.sign(of_items[places] + 1e-300)
    return of_items * signs, of_users * signs
