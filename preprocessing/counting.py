"""Add up what tasks tell of the train part, in the order of the tasks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from preprocessing.fitting import FeatureFit
from preprocessing.items import ItemSummary
from preprocessing.timelines import TimelineSummary
from tfrec import schema
from tfrec.config import FeatureConfig
from tfrec.schema import SPLITS, FeatureSpec

__all__ = ["EVENT_CONFIG", "Group", "TrainStatistics"]

Group = Literal["items", "users", "context"]
EVENT_CONFIG = FeatureConfig(modality="categorical")
# Items, users and events may have features of one name, whose vocabularies are different files.
_PREFIXES: dict[Group, str] = {"items": "", "users": "user.", "context": "context."}


class TrainStatistics:
    """Popularity, vocabularies and moments of the train part.

    Args:
        items: Catalogue size.

    Attributes:
        trained: bool [items], those with any event in the train part.
        popularity: train_count, train_last (int64) and train_weight (float64), [items] each.
        events, positives: By split.
        event_types: Counts of event types.
        fits: By group and feature.
    """

    def __init__(self, items: int) -> None:
        self.trained = np.zeros(items, bool)
        self.popularity: dict[str, npt.NDArray[Any]] = {
            schema.TRAIN_COUNT: np.zeros(items, np.int64),
            schema.TRAIN_LAST: np.zeros(items, np.int64),
            schema.TRAIN_WEIGHT: np.zeros(items, np.float64),
        }
        self.events: dict[str, int] = dict.fromkeys(SPLITS, 0)
        self.positives: dict[str, int] = dict.fromkeys(SPLITS, 0)
        self.event_types = FeatureFit()
        self.fits: dict[Group, dict[str, FeatureFit]] = {"items": {}, "users": {}, "context": {}}

    def add_timelines(self, summary: TimelineSummary) -> None:
        """Adds a partition of users."""
        for split, events, positives in zip(SPLITS, summary.events, summary.positives, strict=True):
            self.events[split] += events
            self.positives[split] += positives
        self.trained[summary.seen] = True
        self.popularity[schema.TRAIN_COUNT][summary.items] += summary.counts
        last = self.popularity[schema.TRAIN_LAST]
        last[summary.items] = np.maximum(last[summary.items], summary.last)
        self.popularity[schema.TRAIN_WEIGHT][summary.items] += summary.weights
        self.event_types.merge(summary.event_types)
        self._merge("context", summary.context)
        self._merge("users", summary.profile)

    def add_items(self, summary: ItemSummary) -> None:
        """Adds a run of items."""
        self._merge("items", summary.fits)

    def resolve(
        self, group: Group, features: Mapping[str, FeatureConfig]
    ) -> tuple[FeatureSpec, ...]:
        """The features as the manifest tells them, in the order of the description."""
        return tuple(
            self.fits[group].get(name, FeatureFit()).spec(name, config, _PREFIXES[group] + name)
            for name, config in features.items()
        )

    def _merge(self, group: Group, fits: Mapping[str, FeatureFit]) -> None:
        for name, fit in fits.items():
            self.fits[group].setdefault(name, FeatureFit()).merge(fit)
