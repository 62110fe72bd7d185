"""Popularity: of all time, of late, and among users like this one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from tfrec.baselines.baseline import Baseline, Scores, interaction_matrix
from tfrec.input import ItemTable, Timelines

__all__ = ["Popularity", "RecentPopularity", "SegmentPopularity"]

_DAY = 86_400.0


class Popularity(Baseline):
    """How many users met an item with a positive event in the train part."""

    name = "popularity"

    def fit(self, train: Timelines, items: ItemTable) -> None:
        """Counts users."""
        matrix = interaction_matrix(train, len(items))
        self._counts = np.asarray(matrix.sum(axis=0), np.float32).ravel()

    def score(self, histories: Timelines) -> Scores:
        """The same counts for everyone, [users, items]."""
        return np.broadcast_to(self._counts, (len(histories), len(self._counts)))


class RecentPopularity(Baseline):
    """Positive events, each worth half as much every `half_life` days before the train part's end.

    Args:
        half_life: Days.
    """

    name = "recent popularity"
    grid = tuple({"half_life": float(days)} for days in (1, 3, 7, 14, 30, 90, 180, 365, 1000))

    def __init__(self, half_life: float = 30.0) -> None:
        self.half_life = half_life

    def fit(self, train: Timelines, items: ItemTable) -> None:
        """Sums decayed events."""
        positive = train.positive
        times = train.timestamp[positive]
        age = (times.max(initial=0) - times) / _DAY
        worth = np.exp2(-age / self.half_life)
        sums = np.bincount(train.item_index[positive], worth, minlength=len(items))
        self._sums = sums.astype(np.float32)

    def score(self, histories: Timelines) -> Scores:
        """The same sums for everyone, [users, items]."""
        return np.broadcast_to(self._sums, (len(histories), len(self._sums)))


class SegmentPopularity(Baseline):
    """Popularity among the users who share a profile value, leaning on overall popularity.

    An item scores its count in the segment + `strength` × its overall share, so that a small
    segment follows the crowd.

    Args:
        feature: A categorical profile feature; `None` takes the first.
        strength: How many events of the crowd are added to a segment's own.
    """

    name = "segment popularity"
    grid: ClassVar[tuple[dict[str, Any], ...]] = (
        {"strength": 100.0},
        {"strength": 1000.0},
        {"strength": 10_000.0},
    )

    def __init__(self, feature: str | None = None, strength: float = 1000.0) -> None:
        self.feature = feature
        self.strength = strength

    @classmethod
    def applies(cls, train: Timelines, items: ItemTable) -> bool:
        """Needs a categorical profile feature."""
        return bool(_categorical(train))

    def fit(self, train: Timelines, items: ItemTable) -> None:
        """Counts by segment."""
        if self.feature is None:
            self.feature = next(iter(_categorical(train)))
        segment = train.profile[self.feature].astype(np.int64)
        matrix = interaction_matrix(train, len(items))
        overall = np.asarray(matrix.sum(axis=0), np.float64).ravel()
        crowd = self.strength * overall / max(overall.sum(), 1)
        table = np.tile(crowd, (int(segment.max(initial=0)) + 1, 1))
        for value in np.unique(segment):
            table[value] += np.asarray(matrix[segment == value].sum(axis=0)).ravel()
        # One scale for all: the order within a segment is what counts.
        self._table = table.astype(np.float32)

    def score(self, histories: Timelines) -> Scores:
        """Each user's segment, [users, items]; unknown values follow the missing one."""
        assert self.feature is not None
        segment = histories.profile[self.feature].astype(np.int64)
        return self._table[np.where(segment < len(self._table), segment, 0)]


def _categorical(timelines: Timelines) -> dict[str, NDArray[Any]]:
    features: Iterable[tuple[str, NDArray[Any]]] = timelines.profile.items()
    return {
        name: values
        for name, values in features
        if values.ndim == 1 and np.issubdtype(values.dtype, np.integer)
    }
