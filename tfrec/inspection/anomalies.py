"""Find what looks wrong in prepared data, alone and against an earlier directory.

*Skew* is the distance between the train and the test part of one directory, *drift* that between
two directories; both by `tfrec.inspection.distances`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from tfrec.inspection.distances import jensen_shannon, l_infinity
from tfrec.inspection.profile import EVENTS_A_USER, OTHER, Distribution, Profile

__all__ = [
    "Anomaly",
    "Distance",
    "compare",
    "distances_between",
    "find_anomalies",
    "shared_bins",
    "skew_distances",
]

# Buckets of TFDV's standard histogram.
_BUCKETS = 10
_MUCH_MISSING, _MISSING_CHANGE = 0.5, 0.05
_MUCH_OTHER = 0.2
_COUNT_CHANGE = 0.2
_MUCH_REFUSED = 0.01


@dataclass(frozen=True)
class Anomaly:
    """Something to look at.

    Attributes:
        level: `warning`, or `note` for what may well be meant.
        where: The feature, part or source.
        what: What was found, a sentence.
        remedy: What to do or to check.
    """

    level: Literal["warning", "note"]
    where: str
    what: str
    remedy: str


@dataclass(frozen=True)
class Distance:
    """How far apart two distributions of one feature are.

    Attributes:
        key: Group and name.
        kind: `L-infinity` or `Jensen-Shannon`.
        value: From 0 to 1.
        at: The value with the largest difference, of categorical ones.
    """

    key: str
    kind: str
    value: float
    at: str = ""


def shared_bins(*numbers: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Edges of equal buckets over the range of several arrays, [buckets + 1]."""
    values = [part for part in numbers if len(part)]
    low = min((float(part.min()) for part in values), default=0.0)
    high = max((float(part.max()) for part in values), default=1.0)
    return np.linspace(low, high if high > low else low + 1.0, _BUCKETS + 1)


def compare(first: Distribution, second: Distribution) -> Distance | None:
    """The distance of two distributions; `None` when they hold nothing to compare."""
    if first.counts is not None and second.counts is not None:
        value, at = l_infinity(first.counts, second.counts)
        return Distance(first.key, "L-infinity", value, at)
    if first.numbers is not None and second.numbers is not None:
        edges = shared_bins(first.numbers, second.numbers)
        counts = [np.histogram(numbers, edges)[0] for numbers in (first.numbers, second.numbers)]
        return Distance(first.key, "Jensen-Shannon", jensen_shannon(*counts))
    return None


def distances_between(
    first: dict[str, Distribution], second: dict[str, Distribution]
) -> list[Distance]:
    """Distances of all features that both have, the largest first."""
    found = [compare(first[key], second[key]) for key in first if key in second]
    known = [distance for distance in found if distance is not None]
    return sorted(known, key=lambda distance: (-distance.value, distance.key))


def skew_distances(profile: Profile) -> list[Distance]:
    """Distances between the train and the test part, the largest first."""
    train, test = profile.events["train"], profile.events["test"]
    # The parts span different times, so a user's number of events says nothing.
    comparable = {key: d for key, d in train.items() if d.name != EVENTS_A_USER}
    return distances_between(comparable, test)


def find_anomalies(
    profile: Profile, against: Profile | None = None, threshold: float = 0.1
) -> list[Anomaly]:
    """Looks for anomalies.

    Args:
        profile: The directory.
        against: An earlier one, for drift.
        threshold: Distances above it are told.

    Returns:
        Warnings first.
    """
    found = [*_alone(profile), *_skew(profile, threshold)]
    if against is not None:
        found += [*_changes(profile, against), *_drift(profile, against, threshold)]
    return sorted(found, key=lambda anomaly: anomaly.level != "warning")


def _alone(profile: Profile) -> Iterator[Anomaly]:
    manifest = profile.manifest
    for split, events in manifest.events.items():
        if events == 0:
            yield Anomaly("warning", split, "the part is empty", "Choose other cuts in `split`")
        elif manifest.positives[split] == 0:
            yield Anomaly(
                "warning", split, "no event of the part is a positive", "Check the `label` rule"
            )
    for source, counts in {**manifest.sources, **manifest.media}.items():
        if counts.rejected > _MUCH_REFUSED * counts.read:
            yield Anomaly(
                "warning" if counts.rejected > 5 * _MUCH_REFUSED * counts.read else "note",
                source,
                f"{counts.rejected:,} of {counts.read:,} were refused"
                f" ({counts.rejected / counts.read:.1%})",
                "Look into rejected/",
            )
    for distribution in profile.entities.values():
        yield from _of_distribution(distribution)
    for distribution in profile.events["train"].values():
        yield from _of_distribution(distribution)
    for distribution in profile.events["test"].values():
        other = (distribution.counts or {}).get(OTHER, 0)
        if other > _MUCH_OTHER * max(1, sum((distribution.counts or {}).values())):
            yield Anomaly(
                "warning",
                f"test: {distribution.key}",
                f"{other / sum((distribution.counts or {}).values()):.0%} of the values were not"
                " seen in the train part",
                "Expect less of this feature, or train on later data",
            )
    cold = 1 - manifest.warm_items / manifest.items
    if cold > 0.5:
        yield Anomaly(
            "note",
            "items",
            f"{cold:.0%} have no positive in the train part",
            "They are recommended by content alone: see that they have some",
        )


def _of_distribution(distribution: Distribution) -> Iterator[Anomaly]:
    if distribution.rows and distribution.missing == distribution.rows:
        yield Anomaly(
            "warning", distribution.key, "missing everywhere", "Check its column or path pattern"
        )
    elif distribution.missing_share > _MUCH_MISSING:
        yield Anomaly(
            "note",
            distribution.key,
            f"missing in {distribution.missing_share:.0%} of {distribution.rows:,}",
            "Leave it out if this isn't meant",
        )
    numbers = distribution.numbers
    if distribution.modality == "numeric" and numbers is not None and len(numbers) > 1:
        constant = float(np.ptp(numbers)) == 0.0
        if constant:
            yield Anomaly(
                "note", distribution.key, f"always {numbers[0]:g}", "A constant tells nothing"
            )
    counts = distribution.counts
    other = (counts or {}).get(OTHER, 0)
    if counts and other > _MUCH_OTHER * sum(counts.values()):
        yield Anomaly(
            "note",
            distribution.key,
            f"{other / sum(counts.values()):.0%} of its values are not in the vocabulary",
            "Lower `min_count`, raise `max_vocabulary`, or clean the values",
        )


def _skew(profile: Profile, threshold: float) -> Iterator[Anomaly]:
    for distance in skew_distances(profile):
        if distance.value > threshold:
            yield Anomaly(
                "note",
                distance.key,
                f"train and test differ: {_told(distance)}",
                "Judge whether the metrics of the test part will hold",
            )


def _drift(profile: Profile, against: Profile, threshold: float) -> Iterator[Anomaly]:
    groups = [("", profile.entities, against.entities)]
    groups += [("train: ", profile.events["train"], against.events["train"])]
    for prefix, new, old in groups:
        for distance in distances_between(new, old):
            if distance.value > threshold:
                yield Anomaly(
                    "warning",
                    prefix + distance.key,
                    f"has drifted: {_told(distance)}",
                    "Look whether the source or the world has changed; retrain",
                )


def _changes(profile: Profile, against: Profile) -> Iterator[Anomaly]:
    new, old = profile.entities, against.entities
    for key in new.keys() | old.keys():
        if key not in new or key not in old:
            what = "is new" if key in new else "is gone"
            yield Anomaly("warning", key, what, "A model of the other data can't read it; retrain")
            continue
        change = new[key].missing_share - old[key].missing_share
        if abs(change) > _MISSING_CHANGE:
            yield Anomaly(
                "warning" if change > 0 else "note",
                key,
                f"missing in {new[key].missing_share:.1%}, before in {old[key].missing_share:.1%}",
                "Look whether its source is complete",
            )
    for spec in profile.manifest.item_features:
        before = {s.name: s.encoder_fingerprint for s in against.manifest.item_features}
        if spec.name in before and before[spec.name] != spec.encoder_fingerprint:
            yield Anomaly(
                "warning",
                f"items/{spec.name}",
                "was encoded by another encoder",
                "Vectors of the two don't compare; retrain",
            )
    counts = {"items": "items", "users": "users"}
    for name, field in counts.items():
        yield from _count_change(
            name, getattr(profile.manifest, field), getattr(against.manifest, field)
        )
    for split, events in profile.manifest.events.items():
        yield from _count_change(f"{split} events", events, against.manifest.events[split])


def _count_change(name: str, new: int, old: int) -> Iterator[Anomaly]:
    if abs(new - old) > _COUNT_CHANGE * max(old, 1):
        level: Literal["warning", "note"] = "warning" if new < old else "note"
        yield Anomaly(level, name, f"{new:,}, before {old:,}", "Look whether the source is whole")


def _told(distance: Distance) -> str:
    at = f", most at `{distance.at}`" if distance.at else ""
    return f"{distance.kind} {distance.value:.3f}{at}"
