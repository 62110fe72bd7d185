"""Baselines that read items' content, and so reach items that nobody has met."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tfrec.baselines.baseline import Baseline, Scores, interaction_matrix
from tfrec.baselines.content import content_matrix, has_content
from tfrec.baselines.ials import IALS
from tfrec.input import ItemTable, Timelines
from tfrec.teachers.closed_form import exponential_kernel, kernel_ridge, squared_distance
from tfrec.teachers.histories import ndcg

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
    """iALS, and for items without behaviour factors that kernel ridge regression reads off content.

    The map is learnt on warm items, each weighted alike (as Gantner et al., ICDM 2010, learn a
    linear one), with the kernel `exp(-scale · |x - x'|)` over `content_matrix`. New items are then
    scored as if they had been met. `scale` and `ridge` are chosen on items that are hidden from a
    factorisation of their own and ranked among themselves; no validation or test event is read.

    On MovieLens small a linear map of the same content to the same factors had an NDCG@20 of 0.185
    on new films where this one has 0.226; hidden films say so too, 0.187 against 0.212.

    Args:
        ridges: Strengths of the regression to choose from.
        scales: Scales of the kernel to choose from.
        draws: Sets of hidden items; their mean decides.
        share: Of the warm items, in one draw.
        max_fit: Warm items that the map is learnt from at most, the most popular first.
        factors, als_ridge, confidence: Of `IALS`.
        seed: Of the draws.

    Attributes:
        chosen: Ridge and scale, after `fit`.
    """

    name = "content ridge"
    reaches_cold = True

    def __init__(
        self,
        ridges: Sequence[float] = (0.03, 0.1, 0.3),
        scales: Sequence[float] = (0.2, 0.4, 0.8, 1.6),
        draws: int = 2,
        share: float = 0.15,
        max_fit: int = 6_000,
        factors: int = 64,
        als_ridge: float = 10.0,
        confidence: float = 10.0,
        seed: int = 0,
    ) -> None:
        self._grid = [(ridge, scale) for scale in scales for ridge in ridges]
        self._draws, self._share, self._max_fit, self._seed = draws, share, max_fit, seed
        self._factors, self._als_ridge, self._confidence = factors, als_ridge, confidence
        self.chosen = self._grid[0]

    @classmethod
    def applies(cls, train: Timelines, items: ItemTable) -> bool:
        """Needs content that is a vector without training."""
        return has_content(items)

    def fit(self, train: Timelines, items: ItemTable) -> None:
        """Chooses on hidden items, factorises, then regresses."""
        content = content_matrix(items)
        warm = np.flatnonzero(items.warm)
        generator = np.random.default_rng(self._seed)
        hidden = max(1, int(self._share * len(warm)))
        if len(self._grid) > 1 and len(warm) > hidden:
            quality = np.mean(
                [
                    self._try(train, items, content, generator.permutation(warm)[:hidden])
                    for _ in range(self._draws)
                ],
                axis=0,
            )
            self.chosen = self._grid[int(quality.argmax())]
        self._als = self._ials()
        self._als.fit(train, items)
        cold = np.flatnonzero(~items.warm)
        self._vectors = self._als.item_factors.copy()
        known = self._landmarks(items.train_count)
        ridge, scale = self.chosen
        inner, outer = _distances(content, known, cold)
        self._vectors[cold] = _predict(inner, outer, self._vectors[known], ridge, scale)

    def score(self, histories: Timelines) -> Scores:
        """User factors from the history, times known or predicted item factors, [users, items]."""
        matrix = interaction_matrix(histories, len(self._vectors))
        return self._als.solve(matrix, self._als.item_factors) @ self._vectors.T

    def _ials(self) -> IALS:
        return IALS(factors=self._factors, ridge=self._als_ridge, confidence=self._confidence)

    def _landmarks(self, count: NDArray[np.int64]) -> NDArray[np.int64]:
        order = np.argsort(-count, kind="stable")[: self._max_fit]
        return np.sort(order[count[order] > 0])

    def _try(
        self,
        train: Timelines,
        items: ItemTable,
        content: NDArray[np.float32],
        hidden: NDArray[np.int64],
    ) -> NDArray[np.float64]:
        """NDCG@20 of the hidden items among themselves, for each point of the grid."""
        away = np.isin(train.item_index, hidden)
        rest, asked = train.where(~away), train.where(away & train.positive)
        als = self._ials()
        als.fit(rest, items)
        count = np.bincount(rest.item_index[rest.positive], minlength=len(items))
        known = self._landmarks(count)
        relevant = interaction_matrix(asked, len(items))[:, hidden].tocsr()
        history = interaction_matrix(rest, len(items))
        users = np.flatnonzero((np.diff(relevant.indptr) > 0) & (np.diff(history.indptr) > 0))
        if not len(users) or not len(known):
            return np.zeros(len(self._grid))
        queries = als.solve(history[users], als.item_factors)
        inner, outer = _distances(content, known, hidden)
        targets = als.item_factors[known]
        return np.array(
            [
                ndcg(
                    queries @ _predict(inner, outer, targets, ridge, scale).T,
                    None,
                    relevant[users],
                )
                for ridge, scale in self._grid
            ]
        )


def _distances(
    content: NDArray[np.float32], known: NDArray[np.int64], asked: NDArray[np.int64]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Squared, among known items, and from asked to known ones."""
    return (
        squared_distance(content[known], content[known]),
        squared_distance(content[asked], content[known]),
    )


def _predict(
    inner: NDArray[np.float32],
    outer: NDArray[np.float32],
    targets: NDArray[np.float32],
    ridge: float,
    scale: float,
) -> NDArray[np.float32]:
    """Kernel ridge regression of targets [known, factors], for the asked items."""
    mean = targets.mean(axis=0)
    square = np.float32(scale * scale)
    solved = kernel_ridge(exponential_kernel(square * inner), targets - mean, ridge)
    return np.asarray(exponential_kernel(square * outer) @ solved + mean, np.float32)
