"""EASE, its cut to a two-tower, kernel ridge: the linear algebra of the teachers, in float32."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from scipy.linalg import lapack

from tfrec.errors import DataError

__all__ = [
    "SMOOTHING",
    "cut_to_rank",
    "ease_weights",
    "exponential_kernel",
    "kernel_ridge",
    "squared_distance",
]

Array = npt.NDArray[np.float32]

SMOOTHING = 1e-4


def ease_weights(gram: Array, ridge: float, content: Sequence[tuple[float, Array]] = ()) -> Array:
    """Item-item weights of a linear autoencoder with zero diagonal (EASE, Steck, WWW 2019, eq. 8).

    Content enters as a prior on which items go together: the matrix that is inverted is
    `gram + ridge * (I + sum of rho * X @ X.T)`.

    Args:
        gram: [N, N], positive semi-definite.
        ridge: λ, in events.
        content: Pairs of ρ and unit rows X [N, d].

    Returns:
        B [N, N]; a user's scores are the history's row times B.

    Raises:
        DataError: The matrix is not positive definite.
    """
    matrix = np.array(gram, np.float32, order="F")
    for rho, block in content:
        if rho:
            matrix += np.float32(ridge * rho) * (block @ block.T)
    matrix[np.diag_indices(len(matrix))] += np.float32(ridge)
    factor, info = lapack.spotrf(matrix, lower=1, overwrite_a=1)
    if info:
        raise DataError(
            "closed-form view",
            "the item-item matrix must be positive definite",
            received=f"ridge {ridge}",
            remedy="Raise the ridge, or train without the view: `--set closed_form.enabled=false`",
        )
    inverse, _ = lapack.spotri(factor, lower=1, overwrite_c=1)
    inverse = np.tril(inverse)
    diagonal = np.diag(inverse).copy()
    inverse += np.tril(inverse, -1).T
    inverse /= -diagonal[None]
    np.fill_diagonal(inverse, 0)
    return np.asarray(inverse, np.float32)


def cut_to_rank(
    weights: Array, histories: Any, rank: int, *, seed: int, max_rows: int = 8_192
) -> tuple[Array, Array]:
    """Splits item-item weights into two tables whose product keeps what users' scores span.

    With V the first right singular vectors of the scores `H @ B` (rows scaled to unit history),
    `in = B @ V` and `out = V`: the best rank-r answer for these users.

    Args:
        weights: B [N, N].
        histories: CSR [U, N].
        rank: r, cut to what the matrix has.
        seed: Of the randomised SVD and of the users drawn when there are more than `max_rows`.
        max_rows: Users at most.

    Returns:
        `in` [N, r] and `out` [N, r].
    """
    rows = np.flatnonzero(np.diff(histories.indptr))
    generator = np.random.default_rng(seed)
    if len(rows) > max_rows:
        rows = np.sort(generator.choice(rows, max_rows, replace=False))
    chosen = histories[rows]
    norms = np.sqrt(np.asarray(chosen.multiply(chosen).sum(1)).ravel())
    scores = np.asarray((sp.diags(1 / np.maximum(norms, 1e-12)) @ chosen) @ weights, np.float32)
    rank = max(1, min(rank, min(scores.shape) - 1))
    right = _right_singular_vectors(scores, rank, generator)
    return np.ascontiguousarray(weights @ right), np.ascontiguousarray(right)


def _right_singular_vectors(
    matrix: Array, rank: int, generator: np.random.Generator, oversampling: int = 10
) -> Array:
    """The first right singular vectors: by the smaller side's Gram matrix, or randomised.

    Up to 2,500 rows the Gram matrix is exact enough in float64 and several times quicker than the
    randomised range finder (Halko et al., SIAM Review 2011, alg. 4.4) that serves above.
    """
    if len(matrix) <= 2_500:
        wide = matrix.astype(np.float64)
        values, left = np.linalg.eigh(wide @ wide.T)
        values, left = values[::-1][:rank], left[:, ::-1][:, :rank]
        right = matrix.T @ (left / np.sqrt(np.maximum(values, 1e-12))).astype(np.float32)
    else:
        width = min(rank + oversampling, min(matrix.shape))
        basis = matrix.T @ generator.standard_normal((len(matrix), width)).astype(np.float32)
        for _ in range(3):
            basis, _ = np.linalg.qr(matrix @ basis)
            basis, _ = np.linalg.qr(matrix.T @ basis)
        _, _, inner = np.linalg.svd(matrix @ basis, full_matrices=False)
        right = (basis @ inner.T)[:, :rank]
    # A singular vector's sign is free: fix it, so that equal seeds give equal tables everywhere.
    right = right * np.sign(right[np.abs(right).argmax(0), np.arange(right.shape[1])])
    return np.asarray(right, np.float32)


def squared_distance(left: Array, right: Array) -> Array:
    """[n, d] and [m, d] to squared Euclidean distances [n, m]."""
    distance = (left**2).sum(1)[:, None] + (right**2).sum(1)[None] - 2 * left @ right.T
    return np.maximum(distance, 0, out=distance)


def exponential_kernel(distance: Array) -> Array:
    """`exp(-sqrt(d² + 1e-4))`, nearly the Matérn kernel of smoothness 1/2, from squared distances.

    Rounded off at 0: a root would turn rounding errors of 1e-7 there into 3e-4.
    """
    return np.asarray(np.exp(-np.sqrt(distance + SMOOTHING)), np.float32)


def kernel_ridge(kernel: Array, targets: Array, ridge: float) -> Array:
    """Solves `(K + ridge I) A = Y` by Cholesky: [n, n], [n, d] to [n, d].

    Raises:
        DataError: The kernel matrix is not positive definite.
    """
    matrix = np.array(kernel, np.float32, order="F")
    matrix[np.diag_indices(len(matrix))] += np.float32(ridge)
    factor, info = lapack.spotrf(matrix, lower=1, overwrite_a=1)
    if info:
        raise DataError(
            "closed-form view", "the content kernel must be positive definite", received=ridge
        )
    solution, _ = lapack.spotrs(factor, np.asfortranarray(targets, np.float32), lower=1)
    return np.ascontiguousarray(solution, np.float32)
