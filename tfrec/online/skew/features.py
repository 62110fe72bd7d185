"""Features of requests against those that the model learnt from, by TFDV's distances."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict

from tfrec.inspection.anomalies import compare
from tfrec.inspection.profile import Distribution
from tfrec.online.skew.served import HISTORY_ITEMS, HISTORY_LENGTH, Served

__all__ = ["FeatureSkew", "compare_features", "training_distributions"]


class FeatureSkew(BaseModel):
    """One feature.

    Attributes:
        feature: Group and name, as `users/country`.
        distance: From 0 to 1; `null` when nothing of it can be compared.
        kind: `L-infinity` (categories) or `Jensen-Shannon` (numbers).
        at: The category with the largest difference.
        served, trained: How many values were compared.
        served_missing, trained_missing: Shares without a value.
        alert: Whether the distance, or the difference of the shares missing, is above the
            threshold.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    feature: str
    distance: float | None
    kind: str
    at: str
    served: int
    trained: int
    served_missing: float
    trained_missing: float
    alert: bool


def training_distributions(
    profile: Mapping[str, Distribution], train: Any, item_ids: Any, history_length: int
) -> dict[str, Distribution]:
    """What the model learnt from, by the keys that requests are read under.

    Args:
        profile: Distributions over users and events of the train part, by key: those of
            `tfrec.inspection.profile_data`.
        train: Timelines of the train part.
        item_ids: The catalogue's, object [N] of str.
        history_length: Events that the model reads; longer histories count as that long.
    """
    liked = train.positives()
    met = np.bincount(liked.item_index, minlength=len(item_ids))
    lengths = np.diff(liked.offsets)
    kept = np.minimum(lengths[lengths > 0], history_length).astype(np.float32)
    found = dict(profile)
    items = {str(item_ids[item]): int(met[item]) for item in np.flatnonzero(met)}
    found[HISTORY_ITEMS] = Distribution(
        "history", "items", "categorical", liked.events, 0, counts=items
    )
    found[HISTORY_LENGTH] = Distribution("history", "length", "numeric", len(kept), 0, numbers=kept)
    return found


def compare_features(
    served: Served, trained: Mapping[str, Distribution], history_length: int, threshold: float
) -> list[FeatureSkew]:
    """The distance of every feature that requests held, the largest first.

    Args:
        served: Of the logs.
        trained: Of the train part.
        history_length: As for `training_distributions`.
        threshold: Distances above it are an alert.
    """
    found = []
    for key, ours in served.distributions.items():
        if key not in trained:
            continue
        if key == HISTORY_LENGTH and ours.numbers is not None:
            ours = replace(ours, numbers=np.minimum(ours.numbers, np.float32(history_length)))
        theirs = trained[key]
        distance = compare(ours, theirs) if _size(ours) and _size(theirs) else None
        gap = abs(ours.missing_share - theirs.missing_share)
        value = None if distance is None else distance.value
        found.append(
            FeatureSkew(
                feature=key,
                distance=value,
                kind="" if distance is None else distance.kind,
                at="" if distance is None else distance.at,
                served=_size(ours),
                trained=_size(theirs),
                served_missing=ours.missing_share,
                trained_missing=theirs.missing_share,
                alert=gap > threshold or (value is not None and value > threshold),
            )
        )
    return sorted(found, key=lambda one: (-(one.distance or 0.0), one.feature))


def _size(distribution: Distribution) -> int:
    if distribution.counts is not None:
        return sum(distribution.counts.values())
    return 0 if distribution.numbers is None else len(distribution.numbers)
