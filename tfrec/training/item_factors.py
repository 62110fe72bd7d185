"""What behaviour says about items, as a few numbers each: a target for content to predict."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix
from scipy.sparse.linalg import svds

from tfrec.input import Timelines

__all__ = ["item_factors"]


def item_factors(timelines: Timelines, items: int, rank: int, seed: int) -> npt.NDArray[np.float32]:
    """Truncated SVD of users × items, each positive weighted by (user's count × item's count)^-½.

    The weighting takes popularity out, as the normalised Laplacian does, so that near items are
    those with the same public and not those with the same fame. The first component, which is
    the root of the counts and tells nothing else, is left out.

    Args:
        timelines: The train part.
        items: Catalogue size.
        rank: Components.
        seed: Of the start vector.

    Returns:
        float32 [items, rank'], rank' ≤ rank, of unit length; zeros for items without a positive.
    """
    positives = timelines.positives()
    rows, columns = positives.rows, positives.item_index
    shape = (len(positives), items)
    matrix = csr_matrix((np.ones(len(rows), np.float64), (rows, columns)), shape)
    matrix.data[:] = 1.0
    users = np.asarray(matrix.sum(1)).ravel()
    counts = np.asarray(matrix.sum(0)).ravel()
    left = 1 / np.sqrt(np.maximum(users, 1))
    right = 1 / np.sqrt(np.maximum(counts, 1))
    matrix = matrix.multiply(left[:, None]).multiply(right[None, :]).tocsr()
    rank = min(rank + 1, min(shape) - 1)
    if rank < 2:
        return np.zeros((items, 1), np.float32)
    start = np.random.default_rng(seed).standard_normal(min(shape))
    _, values, vectors = svds(matrix, k=rank, v0=start)
    factors = (vectors.T * values)[:, ::-1][:, 1:]
    # Repeated components differ by rotation only; their signs are fixed all the same.
    factors *= np.sign(factors[np.abs(factors).argmax(0), np.arange(factors.shape[1])] + 1e-300)
    length = np.linalg.norm(factors, axis=1, keepdims=True)
    return np.where(length > 1e-9, factors / np.maximum(length, 1e-9), 0.0).astype(np.float32)
