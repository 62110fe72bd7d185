"""Baselines that read items' content, and so reach items that nobody has met."""

from __future__ import annotations

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from tfrec.baselines.baseline import Baseline, Scores, interaction_matrix
from tfrec.baselines.content import content_matrix, has_content
from tfrec.baselines.ials import IALS
from tfrec.input import ItemTable, Timelines

__all__ = ["ContentKNN", "ContentRidge"]


class ContentKNN(Baseline):
    """Cosine of an item's content and the mean content of the user's history."""

    name = "content-kNN"
    reaches_cold = True

    @classmethod
    def applies(cls, train: Timelines, items: ItemTable) -> bool:
        """Needs content that is a vector without training."""
        return has_content(items)

    def fit(self, train: Timelines, items: ItemTable) -> None:
        """Reads content only."""
        content = content_matrix(items)
        length = np.linalg.norm(content, axis=1, keepdims=True)
        self._content = content / np.maximum(length, 1e-6)

    def score(self, histories: Timelines) -> Scores:
        """Mean cosine to the history's items, [users, items]."""
        matrix = interaction_matrix(histories, len(self._content))
        size = np.maximum(np.asarray(matrix.sum(axis=1)), 1)
        return np.asarray((matrix @ self._content / size) @ self._content.T, np.float32)


class ContentRidge(Baseline):
    """iALS, and for items without behaviour factors that ridge regression reads off their content.

    The map from content to factors is fitted on warm items, each weighted alike (as Gantner et al.,
    ICDM 2010, learn it). New items are thus scored as if they had been met.

    Args:
        ridge: Of the regression.
        factors, als_ridge, confidence: Of `IALS`.
    """

    name = "content ridge"
    reaches_cold = True

    def __init__(
        self,
        ridge: float = 10.0,
        factors: int = 64,
        als_ridge: float = 10.0,
        confidence: float = 10.0,
    ) -> None:
        self.ridge = ridge
        self._als = IALS(factors=factors, ridge=als_ridge, confidence=confidence)

    @classmethod
    def applies(cls, train: Timelines, items: ItemTable) -> bool:
        """Needs content that is a vector without training."""
        return has_content(items)

    def fit(self, train: Timelines, items: ItemTable) -> None:
        """Factorises, then regresses."""
        self._als.fit(train, items)
        content = content_matrix(items).astype(np.float64)
        content = np.concatenate([content, np.ones((len(items), 1))], axis=1)
        warm = items.warm
        left = content[warm].T @ content[warm]
        left[np.diag_indices(len(left))] += self.ridge
        right = content[warm].T @ self._als.item_factors[warm]
        weights = cho_solve(cho_factor(left), right)
        self._vectors = self._als.item_factors.copy()
        self._vectors[~warm] = content[~warm] @ weights

    def score(self, histories: Timelines) -> Scores:
        """User factors from the history, times known or predicted item factors, [users, items]."""
        matrix = interaction_matrix(histories, len(self._vectors))
        return self._als.solve(matrix, self._als.item_factors) @ self._vectors.T
