"""Matrix factorisation of implicit feedback by alternating least squares."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tfrec.baselines.baseline import Baseline, Scores, interaction_matrix
from tfrec.input import ItemTable, Timelines

__all__ = ["IALS"]

Factors = NDArray[np.float32]


class IALS(Baseline):
    """Factors that minimise Σ c_ui (p_ui - x_u·y_i)² + `ridge` (Σ|x_u|² + Σ|y_i|²).

    p is 1 where the user has a positive event and 0 elsewhere; c is 1 + `confidence` there and 1
    elsewhere (Hu, Koren & Volinsky, ICDM 2008, eq. 3 to 5). A user's factors are solved from the
    history at hand, so that a new user needs no new fit.

    Args:
        factors: Width of the vectors.
        ridge: λ of the paper.
        confidence: α of the paper.
        iterations: Rounds of users then items.
        seed: Of the first item factors.
    """

    name = "iALS"
    grid = tuple(
        {"factors": factors, "ridge": ridge, "confidence": confidence}
        for factors in (32, 64)
        for ridge in (2.0, 5.0)
        for confidence in (5.0,)
    )

    def __init__(
        self,
        factors: int = 64,
        ridge: float = 10.0,
        confidence: float = 10.0,
        iterations: int = 15,
        seed: int = 0,
    ) -> None:
        self.factors = factors
        self.ridge = ridge
        self.confidence = confidence
        self.iterations = iterations
        self.seed = seed

    def fit(self, train: Timelines, items: ItemTable) -> None:
        """Alternates."""
        matrix = interaction_matrix(train, len(items))
        columns = matrix.T.tocsr()
        generator = np.random.default_rng(self.seed)
        shape = (len(items), self.factors)
        self.item_factors: Factors = (generator.standard_normal(shape) * 0.1).astype(np.float32)
        for _ in range(self.iterations):
            users = self.solve(matrix, self.item_factors)
            self.item_factors = self.solve(columns, users)

    def solve(self, matrix: Any, fixed: Factors) -> Factors:
        """The best factors of each row of a CSR matrix, those of its columns being fixed.

        Args:
            matrix: CSR [rows, columns], 1 at positives.
            fixed: float32 [columns, factors].

        Returns:
            float32 [rows, factors]; 0 for an empty row.
        """
        shared = fixed.T @ fixed
        shared[np.diag_indices(len(shared))] += self.ridge
        found = np.zeros((matrix.shape[0], fixed.shape[1]), np.float32)
        for row in np.flatnonzero(np.diff(matrix.indptr)):
            ours = fixed[matrix.indices[matrix.indptr[row] : matrix.indptr[row + 1]]]
            left = shared + self.confidence * (ours.T @ ours)
            found[row] = np.linalg.solve(left, (1 + self.confidence) * ours.sum(axis=0))
        return found

    def score(self, histories: Timelines) -> Scores:
        """Factors solved from the histories, times item factors, [users, items]."""
        matrix = interaction_matrix(histories, len(self.item_factors))
        return self.solve(matrix, self.item_factors) @ self.item_factors.T
