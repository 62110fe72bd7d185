"""Measures systems on one question: figures with intervals, slices, comparison, verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from tfrec.baselines import content_matrix, has_content
from tfrec.evaluation import beyond_accuracy
from tfrec.evaluation.calibration import read_calibration
from tfrec.evaluation.figures import (
    Calibration,
    Compared,
    Contribution,
    Evaluation,
    Figure,
    Slice,
    System,
)
from tfrec.evaluation.gate import MODEL, GateConfig, judge
from tfrec.evaluation.held_out import HeldOut
from tfrec.evaluation.metrics import RankedLists, Values
from tfrec.evaluation.rankings import Rankings, candidates_of
from tfrec.evaluation.slices import Part, parts_of
from tfrec.evaluation.uncertainty import (
    Interval,
    bootstrap_intervals,
    minimum_detectable_effect,
    paired_difference,
)

__all__ = ["DEFAULT_KS", "evaluate", "primary_metric"]

DEFAULT_KS = (5, 10, 20, 50)
_CATALOGUE_K = 10
_GROUPS = 5


def primary_metric(ks: Sequence[int]) -> str:
    """The metric that verdicts look at: NDCG at 20, or at the depth nearest to it."""
    return f"ndcg@{min(ks, key=lambda k: (abs(k - 20), k))}"


def evaluate(
    held_out: HeldOut,
    rankings: Sequence[Rankings],
    *,
    model: str,
    data: str,
    fingerprint: str,
    ks: Sequence[int] = DEFAULT_KS,
    gate: GateConfig | None = None,
    last: Evaluation | None = None,
    modalities: Mapping[str, NDArray[np.bool_]] | None = None,
    latency: Mapping[str, float] | None = None,
    contributions: Sequence[Contribution] = (),
) -> Evaluation:
    """Measures every system's lists in every slice.

    Args:
        held_out: The question.
        rankings: Of the model, named `model`, and of baselines.
        model: Name of the model's configuration.
        data: Name of the data set.
        fingerprint: Of the data.
        ks: Depths, up to 100.
        gate: Rules of the verdict.
        last: Figures of the last blessed run, for a gate that looks at it.
        modalities: Presence by item feature, for slices.
        latency: What `measure_latency` found of the model.
        contributions: What `measure_contributions` found.

    Returns:
        What `metrics.json` holds.
    """
    primary = primary_metric(ks)
    slices = tuple(
        _measure(part, rankings, held_out, ks, primary) for part in parts_of(held_out, modalities)
    )
    catalogue = _catalogue(rankings, held_out)
    calibration = _calibration(rankings, held_out, primary)
    if calibration is not None:
        depth = primary.rpartition("@")[2]
        catalogue[MODEL][f"calibration_error@{depth}"] = calibration.error
    catalogue[MODEL].update(latency or {})
    return Evaluation(
        split=held_out.split,
        model=model,
        data=data,
        fingerprint=fingerprint,
        users=len(held_out),
        users_total=held_out.users_total,
        ks=tuple(ks),
        primary=primary,
        verdict=judge(gate or GateConfig(), slices, catalogue, primary, last),
        slices=slices,
        catalogue=catalogue,
        options={ranked.name: dict(ranked.options) for ranked in rankings if ranked.options},
        exposure=_exposure(rankings, held_out),
        contributions=tuple(contributions),
        calibration=calibration,
    )


def _measure(
    part: Part,
    rankings: Sequence[Rankings],
    held_out: HeldOut,
    ks: Sequence[int],
    primary: str,
) -> Slice:
    users = np.flatnonzero(part.relevant.counts)
    relevant = part.relevant.take(users)
    systems, values = {}, {}
    for ranked in rankings:
        if part.ranked not in ranked.lists:
            continue
        lists = RankedLists(ranked.lists[part.ranked][users], relevant, items=len(held_out.items))
        measured = lists.all(ks)
        if not part.full:
            k = primary.rpartition("@")[2]
            measured = {name: measured[name] for name in (primary, f"recall@{k}")}
        intervals = bootstrap_intervals(np.stack(list(measured.values()), axis=1))
        systems[ranked.name] = System(
            metrics={
                name: _figure(interval) for name, interval in zip(measured, intervals, strict=True)
            }
        )
        values[ranked.name] = measured[primary]
    candidates = candidates_of(held_out, part.ranked)
    return Slice(
        name=part.name,
        title=part.title,
        group=part.group,
        users=len(users),
        relevant=len(relevant.indices),
        candidates=len(held_out.items) if candidates is None else len(candidates),
        full=part.full,
        systems=systems,
        compared=_compared(values, primary),
    )


def _compared(values: Mapping[str, Values], primary: str) -> Compared | None:
    others = {name: values[name].mean() for name in values if name != MODEL}
    if MODEL not in values or not others:
        return None
    best = max(others, key=lambda name: others[name])
    found = paired_difference(values[MODEL], values[best])
    return Compared(
        baseline=best,
        metric=primary,
        value=found.value,
        low=found.low,
        high=found.high,
        p_value=found.p_value,
        detectable=_number(minimum_detectable_effect(values[MODEL], values[best])),
    )


def _figure(interval: Interval) -> Figure:
    return Figure(
        value=_number(interval.value), low=_number(interval.low), high=_number(interval.high)
    )


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _catalogue(
    rankings: Sequence[Rankings], held_out: HeldOut
) -> dict[str, dict[str, float | None]]:
    items, k = held_out.items, _CATALOGUE_K
    content = content_matrix(items) if has_content(items) and items.warm.any() else None
    users = int((np.diff(held_out.train.offsets) > 0).sum())
    found: dict[str, dict[str, float | None]] = {}
    for ranked in rankings:
        lists = ranked.lists["all"][:, :k]
        counts = beyond_accuracy.exposure(lists, len(items))[held_out.listed]
        figures = {
            "coverage": beyond_accuracy.coverage(counts),
            "gini": beyond_accuracy.gini(counts),
            "novelty": float(np.nanmean(beyond_accuracy.novelty(lists, items.train_count, users))),
            "popularity_rank": beyond_accuracy.popularity_rank(lists, items.train_count),
            "popularity_lift": beyond_accuracy.popularity_lift(
                lists, items.train_count, held_out.seen
            ),
            "cold_share": float((~held_out.warm[lists[lists >= 0]]).mean()),
        }
        if content is not None:
            diversity = beyond_accuracy.intra_list_diversity(lists, content)
            valid = diversity[~np.isnan(diversity)]
            figures["diversity"] = float(valid.mean()) if len(valid) else float("nan")
        found[ranked.name] = {f"{name}@{k}": _number(value) for name, value in figures.items()}
    return found


def _calibration(
    rankings: Sequence[Rankings], held_out: HeldOut, primary: str
) -> Calibration | None:
    ours = next(ranked for ranked in rankings if ranked.name == MODEL)
    if ours.scores is None:
        return None
    k = int(primary.rpartition("@")[2])
    return read_calibration(
        ours.scores[:, :k], held_out.relevant.contains(ours.lists["all"][:, :k])
    )


def _exposure(rankings: Sequence[Rankings], held_out: HeldOut) -> dict[str, tuple[float, ...]]:
    """Shares by popularity group, each group having a fifth of the train part's positives."""
    count = held_out.items.train_count
    order = np.argsort(count, kind="stable")
    before = np.cumsum(count[order]) - count[order]
    group = np.zeros(len(count), np.int64)
    group[order] = np.minimum(before * _GROUPS // max(int(count.sum()), 1), _GROUPS - 1)

    def shares(items: NDArray[np.integer]) -> tuple[float, ...]:
        counts = np.bincount(group[items], minlength=_GROUPS)
        return tuple((counts / max(counts.sum(), 1)).tolist())

    found = {"history": shares(held_out.past.item_index)}
    for ranked in rankings:
        lists = ranked.lists["all"][:, :_CATALOGUE_K]
        found[ranked.name] = shares(lists[lists >= 0])
    return found
