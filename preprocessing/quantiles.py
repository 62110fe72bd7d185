"""Quantiles that merge: exact for some thousands of different numbers, close beyond.

A sketch is the different numbers in order, each with its count. When there are too many, neighbours
are joined to as many points of equal weight, each at the middle of its numbers by weight; a rank is
then wrong by at most one such weight a merge.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["QuantileSketch"]

_MOST = 16_384


@dataclass
class QuantileSketch:
    """Numbers and how often each occurs.

    Attributes:
        values: float64 [n], ascending.
        counts: float64 [n].

    Example:
        >>> QuantileSketch.of(np.array([1.0, 2.0, 3.0, 4.0, 100.0])).quantiles([0.5, 1.0])
        [3.0, 100.0]
    """

    values: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    counts: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))

    @classmethod
    def of(cls, numbers: npt.NDArray[Any]) -> QuantileSketch:
        """The sketch of some numbers."""
        values, counts = np.unique(np.asarray(numbers, np.float64), return_counts=True)
        return cls(values, counts.astype(np.float64))._compressed()

    def merge(self, other: QuantileSketch) -> None:
        """Takes over the numbers of another one."""
        if not len(other.values):
            return
        both = np.concatenate([self.values, other.values])
        self.values, places = np.unique(both, return_inverse=True)
        counts = np.bincount(places, np.concatenate([self.counts, other.counts]))
        self.counts = counts.astype(np.float64)
        small = self._compressed()
        self.values, self.counts = small.values, small.counts

    def quantiles(self, shares: Sequence[float]) -> list[float]:
        """The numbers below which these shares lie, by NumPy's linear interpolation.

        Args:
            shares: From 0 to 1.
        """
        if not len(self.values):
            return [0.0] * len(shares)
        ends = np.cumsum(self.counts)
        ranks = np.asarray(shares) * (ends[-1] - 1)
        low = self.values[np.searchsorted(ends, np.floor(ranks), "right")]
        places = np.minimum(np.floor(ranks) + 1, ends[-1] - 1)
        high = self.values[np.searchsorted(ends, places, "right")]
        return [float(x) for x in low + (high - low) * (ranks - np.floor(ranks))]

    def _compressed(self) -> QuantileSketch:
        if len(self.values) <= _MOST:
            return self
        middle = np.cumsum(self.counts) - self.counts / 2
        cells = np.minimum((middle / self.counts.sum() * _MOST).astype(np.int64), _MOST - 1)
        weights = np.bincount(cells, self.counts, _MOST)
        means = np.bincount(cells, self.counts * self.values, _MOST)
        has = weights > 0
        return QuantileSketch(means[has] / weights[has], weights[has].astype(np.float64))
