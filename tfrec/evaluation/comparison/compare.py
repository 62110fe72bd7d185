"""Measures the first system against each other one, slice by slice, on the same users."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pydantic import BaseModel, ConfigDict

from tfrec.errors import DescriptionError, RunError
from tfrec.evaluation.comparison.groups import RunGroup, SliceTable
from tfrec.evaluation.uncertainty import (
    bootstrap_intervals,
    minimum_detectable_effect,
    paired_difference,
)

__all__ = ["Comparison", "Measured", "Pair", "SlicePair", "compare", "sentence"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Measured(_Frozen):
    """A system's mean in a slice.

    Attributes:
        value, low, high: Mean over users (of the mean over seeds) and its 95 % interval.
        by_seed: The mean of each seed.
    """

    value: float
    low: float
    high: float
    by_seed: tuple[float, ...]


class Pair(_Frozen):
    """A metric of two systems.

    Attributes:
        metric: For example `ndcg@20`.
        ours, theirs: Means.
        difference, low, high: Ours minus theirs, and its 95 % interval over resampled users.
        p_value: Of a paired randomisation test.
        detectable: Smallest difference that as many users show with 80 % power.
    """

    metric: str
    ours: Measured
    theirs: Measured
    difference: float
    low: float
    high: float
    p_value: float
    detectable: float | None


class SlicePair(_Frozen):
    """A slice of two systems: `users` are those that both measured there."""

    name: str
    title: str
    users: int
    ours: str
    theirs: str
    metrics: tuple[Pair, ...]


class Comparison(_Frozen):
    """`compare.json`.

    Attributes:
        format_version: Raised when a field changes its meaning.
        split, fingerprint, primary: As in `metrics.json`.
        users: In every run; `users_left_out` are in some only.
        systems: By label, the run directories.
        seeds: By label.
        verdicts: A sentence for each other system: the whole catalogue, the primary metric.
        slices: The first system against each other one; empty with a single system.
    """

    format_version: int = 1
    split: str
    fingerprint: str
    primary: str
    users: int
    users_left_out: int
    systems: dict[str, tuple[str, ...]]
    seeds: dict[str, tuple[int, ...]]
    verdicts: tuple[str, ...]
    slices: tuple[SlicePair, ...]


def compare(groups: Sequence[RunGroup]) -> Comparison:
    """Compares.

    Args:
        groups: Systems; the first is measured against each other one.

    Raises:
        DescriptionError: There is one group only; or two have one label.
        RunError: The runs have no user in common.
    """
    labels = [group.label for group in groups]
    if len(groups) < 2:
        raise DescriptionError(
            "RUN",
            "a comparison takes runs of at least two configurations",
            received=f"{', '.join(map(str, groups[0].runs)) if groups else 'none'}",
            remedy="Name another run; seeds of one configuration are grouped into one system",
        )
    if len(set(labels)) < len(labels):
        labels = [str(group.runs[0]) for group in groups]
    everyone = [values.users for group in groups for values in group.values]
    shared = everyone[0]
    for users in everyone[1:]:
        shared = np.intersect1d(shared, users)
    if not len(shared):
        raise RunError(
            str(groups[0].runs[0]),
            "runs to compare have evaluated users in common",
            received="none",
            remedy="Evaluate all with the same --max-users",
        )
    slices = []
    for other, label in zip(groups[1:], labels[1:], strict=True):
        for part in groups[0].values[0].slices:
            ours = groups[0].table(part.name, shared)
            theirs = other.table(part.name, shared)
            if ours is not None and theirs is not None:
                slices.append(_measure(labels[0], label, ours, theirs))
    first = groups[0].values[0]
    whole = [part for part in slices if part.name == first.slices[0].name]
    return Comparison(
        split=first.split,
        fingerprint=first.fingerprint,
        primary=first.primary,
        users=len(shared),
        users_left_out=len(np.unique(np.concatenate(everyone))) - len(shared),
        systems={
            label: tuple(map(str, group.runs)) for label, group in zip(labels, groups, strict=True)
        },
        seeds={label: group.seeds for label, group in zip(labels, groups, strict=True)},
        verdicts=tuple(sentence(part, _of(part, first.primary)) for part in whole),
        slices=tuple(slices),
    )


def _of(part: SlicePair, metric: str) -> Pair:
    return next(pair for pair in part.metrics if pair.metric == metric)


def sentence(part: SlicePair, pair: Pair) -> str:
    """What may be said of two systems: "better" only when the interval leaves 0 out.

    Args:
        part: The slice.
        pair: A metric of it.
    """
    shown = f"{pair.difference:+.4f} [{pair.low:+.4f}, {pair.high:+.4f}], p {pair.p_value:.3f}"
    if pair.low > 0:
        return f"{part.ours} is better than {part.theirs}: {pair.metric} {shown}"
    if pair.high < 0:
        return f"{part.theirs} is better than {part.ours}: {pair.metric} {shown}"
    line = f"{part.ours} and {part.theirs} are not surely different: {pair.metric} {shown}"
    if pair.detectable is None:
        return line
    return f"{line}; {part.users:,} users would show one of {pair.detectable:.4f}"


def _measure(label: str, other: str, ours: SliceTable, theirs: SliceTable) -> SlicePair:
    users = np.intersect1d(ours.users, theirs.users)
    mine, yours = np.isin(ours.users, users), np.isin(theirs.users, users)
    pairs = []
    for metric in (name for name in ours.values if name in theirs.values):
        a, b = ours.values[metric][:, mine], theirs.values[metric][:, yours]
        means = a.mean(axis=0), b.mean(axis=0)
        found = paired_difference(*means)
        smallest = minimum_detectable_effect(*means)
        pairs.append(
            Pair(
                metric=metric,
                ours=_measured(a),
                theirs=_measured(b),
                difference=found.value,
                low=found.low,
                high=found.high,
                p_value=found.p_value,
                detectable=smallest if np.isfinite(smallest) else None,
            )
        )
    return SlicePair(
        name=ours.name,
        title=ours.title,
        users=len(users),
        ours=label,
        theirs=other,
        metrics=tuple(pairs),
    )


def _measured(values: np.ndarray) -> Measured:
    interval = bootstrap_intervals(values.mean(axis=0)[:, None])[0]
    return Measured(
        value=interval.value,
        low=interval.low,
        high=interval.high,
        by_seed=tuple(values.mean(axis=1).tolist()),
    )
