"""Chance: the floor that shows what a figure of a small candidate set is worth."""

from __future__ import annotations

import numpy as np

from tfrec.baselines.baseline import Baseline, Scores
from tfrec.input import ItemTable, Timelines

__all__ = ["RandomOrder"]


class RandomOrder(Baseline):
    """A random order of the catalogue for each user, the same in every run.

    Args:
        seed: Another seed, other orders.
    """

    name = "random"
    reaches_cold = True

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    def fit(self, train: Timelines, items: ItemTable) -> None:
        """Learns the catalogue's size."""
        self._items = len(items)

    def score(self, histories: Timelines) -> Scores:
        """Uniform numbers that depend on seed and user alone, [users, items]."""
        rows = [
            np.random.default_rng([self.seed, user]).random(self._items, np.float32)
            for user in histories.user_index
        ]
        return np.stack(rows) if rows else np.zeros((0, self._items), np.float32)
