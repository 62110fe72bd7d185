"""EASE: a linear autoencoder in closed form (Steck, WWW 2019)."""

from __future__ import annotations

import numpy as np
from scipy.linalg import lapack

from tfrec.baselines.baseline import Baseline, Scores, interaction_matrix
from tfrec.input import ItemTable, Timelines

__all__ = ["EASE"]


class EASE(Baseline):
    """Item-item weights B = I - P diag(1 / diag P), where P = (X'X + ridge I)^-1.

    Args:
        ridge: λ of the paper, in events.
    """

    name = "EASE"
    grid = tuple({"ridge": ridge} for ridge in (50.0, 200.0, 500.0))
    # A dense items × items matrix: 400 MB here, and a cubic solve.
    max_items = 10_000

    def __init__(self, ridge: float = 200.0) -> None:
        self.ridge = ridge

    @classmethod
    def applies(cls, train: Timelines, items: ItemTable) -> bool:
        """Needs a catalogue whose warm items allow a dense item-item matrix."""
        return int(items.warm.sum()) <= cls.max_items

    def fit(self, train: Timelines, items: ItemTable) -> None:
        """Solves for the weights of items with behaviour; the others have none."""
        matrix = interaction_matrix(train, len(items))
        self._warm = np.flatnonzero(np.diff(matrix.tocsc().indptr))
        self._items = len(items)
        matrix = matrix[:, self._warm]
        gram = np.asfortranarray((matrix.T @ matrix).toarray(), np.float32)
        gram[np.diag_indices(len(gram))] += self.ridge
        # X'X + ridge I is positive definite for any data as long as the ridge is positive.
        factor, _ = lapack.spotrf(gram, lower=1, overwrite_a=1)
        inverse, _ = lapack.spotri(factor, lower=1, overwrite_c=1)
        inverse = np.tril(inverse) + np.tril(inverse, -1).T
        weights = inverse / -np.diag(inverse)
        np.fill_diagonal(weights, 0)
        self._weights = np.asarray(weights, np.float32)

    def score(self, histories: Timelines) -> Scores:
        """History times weights, [users, items]; items without behaviour score 0."""
        matrix = interaction_matrix(histories, self._items)[:, self._warm]
        scores = np.zeros((len(histories), self._items), np.float32)
        scores[:, self._warm] = matrix @ self._weights
        return scores
