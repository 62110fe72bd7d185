"""Rules on what preprocessing fitted: statistics, vocabularies and moments are the train part's.

Each is computed again from the train part's records and compared, so a value that only a later
part has, counted by mistake, shows whatever the code that fitted it.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from tfrec.evaluation.audit.audited import Audited
from tfrec.evaluation.audit.finding import Finding, fault, ok, skipped
from tfrec.input import Timelines
from tfrec.schema import FIRST_VALUE_INDEX, FeatureSpec

__all__ = ["ids", "item_statistics", "moments", "vocabularies"]

# Tags kept of a cell unless configured: a full row may have lost some.
_TAGS_KEPT = 32
# What float32 loses of a standardised number beyond the mean's own rounding.
_ROUNDING = 1e-4


def ids(data: Audited) -> Finding:
    """The catalogue's ids are the items file's, the users' are those of the events: no more."""
    rule = "ids"
    item_ids = data.layout.vocabulary("item_id").read_text(encoding="utf-8").splitlines()
    user_ids = data.layout.vocabulary("user_id").read_text(encoding="utf-8").splitlines()
    if item_ids != data.items.ids.tolist():
        return fault(rule, "vocabulary/item_id.txt is not the catalogue of items/")
    for split, part in data.parts.items():
        wrong = [u for u, i in zip(part.user_ids, part.user_index, strict=True) if user_ids[i] != u]
        if wrong:
            return fault(rule, f"user {wrong[0]!r} of the {split} part has another's index")
    known = len(data.train)
    return ok(
        rule,
        f"{len(item_ids):,} items are the items file's; {len(user_ids) - known:,} of"
        f" {len(user_ids):,} users have no train event, and so no trained row",
    )


def item_statistics(data: Audited) -> Finding:
    """Popularity, latest moment and weight of each item, counted again from the train part."""
    rule = "item statistics"
    train = data.train.positives()
    count = np.bincount(train.item_index, minlength=len(data.items))
    last = np.zeros(len(data.items), np.int64)
    np.maximum.at(last, train.item_index, train.timestamp)
    weight = np.bincount(
        train.item_index, train.weight.astype(np.float64), minlength=len(data.items)
    )
    for name, ours, theirs in (
        ("train_count", count, data.items.train_count),
        ("train_last", last, data.items.train_last),
    ):
        wrong = np.flatnonzero(ours != theirs)
        if len(wrong):
            item = wrong[0]
            return fault(
                rule,
                f"{name} of {len(wrong):,} items is not the train part's; item"
                f" {data.items.ids[item]!r} has {theirs[item]}, the train part says {ours[item]}",
            )
    if not np.allclose(weight, data.items.train_weight, rtol=1e-5, atol=1e-6):
        return fault(rule, "train_weight is not the train part's")
    return ok(rule, f"train_count, train_last, train_weight of {len(count):,} items recomputed")


def vocabularies(data: Audited) -> Finding:
    """Every value of a vocabulary occurs in the train part, in the order of its frequency there."""
    rule = "vocabularies"
    checked = 0
    for name, spec, column in _categorical(data):
        if spec is None:
            size, least, capped = len(data.manifest.events_vocabulary), 1, False
            values = list(data.manifest.events_vocabulary)
        else:
            size = (spec.vocabulary_size or FIRST_VALUE_INDEX) - FIRST_VALUE_INDEX
            least = spec.config.min_count
            limit = spec.config.max_length or _TAGS_KEPT
            capped = column.ndim == 2 and bool(((column > 0).sum(axis=1) >= limit).any())
            values = _values(data, spec)
        if len(values) != size:
            return fault(rule, f"the vocabulary of {name} has {len(values)} lines, not {size}")
        counts = np.bincount(column.ravel(), minlength=size + FIRST_VALUE_INDEX)[FIRST_VALUE_INDEX:]
        checked += size
        if len(counts) > size:
            return fault(rule, f"{name} has an index beyond its vocabulary")
        if capped:
            # Cells were cut, so a value may stand in a vocabulary and in no record.
            continue
        rare = np.flatnonzero(counts < least)
        if len(rare):
            return fault(
                rule,
                f"{name} knows {values[rare[0]]!r}, which the train part has"
                f" {counts[rare[0]]} times; at least {least} are needed"
                f" ({len(rare):,} such values)",
            )
        order = sorted(range(size), key=lambda i: (-counts[i], values[i]))
        if order != list(range(size)):
            place = next(i for i in range(size) if order[i] != i)
            return fault(
                rule,
                f"{name} is not in the order of the train part's counts from"
                f" {values[place]!r} on: it was counted on more than the train part",
            )
    return ok(rule, f"{checked:,} values all occur in the train part, in its order of frequency")


def moments(data: Audited) -> Finding:
    """Numbers, standardised, have mean 0 and deviation 1 over the train part."""
    rule = "means and deviations"
    checked = []
    for name, spec, values in _numeric(data):
        if not len(values):
            continue
        deviation = spec.deviation or 0.0
        rounding = _ROUNDING + 2.0**-21 * abs(spec.mean or 0.0) / (deviation or 1.0)
        mean, spread = float(values.mean()), float(values.std())
        expected = 1.0 if deviation else 0.0
        if abs(mean) > rounding or abs(spread - expected) > rounding:
            return fault(
                rule,
                f"{name} has mean {mean:.4f} and deviation {spread:.4f} over the train part"
                f" once standardised, not 0 and {expected:g}: it was fitted on more",
            )
        checked.append(name)
    if not checked:
        return skipped(rule, "the data has no numeric feature")
    return ok(rule, f"recomputed from the train part: {', '.join(checked)}")


def _values(data: Audited, spec: FeatureSpec) -> list[str]:
    path = data.layout.root / str(spec.vocabulary)
    return path.read_text(encoding="utf-8").split("\n")[:-1]


def _categorical(
    data: Audited,
) -> Iterator[tuple[str, FeatureSpec | None, NDArray[np.int64]]]:
    """Name, specification and indices in the train part; no specification for event types."""
    trained, train = data.trained_items, data.train
    users = np.diff(train.offsets) > 0
    for spec in data.manifest.item_features:
        if spec.modality in ("categorical", "tags") and spec.vocabulary:
            yield f"item feature {spec.name}", spec, data.items.features[spec.name][trained]
    for spec in data.manifest.user_features:
        if spec.modality in ("categorical", "tags") and spec.vocabulary:
            yield f"user feature {spec.name}", spec, train.profile[spec.name][users]
    for spec in data.manifest.context_features:
        if spec.modality == "categorical" and spec.vocabulary:
            yield f"context {spec.name}", spec, train.context[spec.name]
    if data.manifest.events_vocabulary:
        yield "event type", None, train.event.astype(np.int64)


def _numeric(data: Audited) -> Iterator[tuple[str, FeatureSpec, NDArray[np.float64]]]:
    trained, train = data.trained_items, data.train
    for spec in data.manifest.item_features:
        if spec.modality == "numeric" and spec.mean is not None:
            chosen = trained & data.items.present[spec.name]
            yield spec.name, spec, data.items.features[spec.name][chosen].astype(np.float64)
    yield from _of_users(data, train)
    for spec in data.manifest.context_features:
        if spec.modality == "numeric" and spec.mean is not None:
            values = train.context[spec.name].astype(np.float64)
            # A missing context is 0, and nothing tells it from a mean: those are left out.
            yield f"context {spec.name}", spec, values[values != 0]


def _of_users(
    data: Audited, train: Timelines
) -> Iterator[tuple[str, FeatureSpec, NDArray[np.float64]]]:
    users = np.diff(train.offsets) > 0
    for spec in data.manifest.user_features:
        if spec.modality == "numeric" and spec.mean is not None:
            chosen = users & train.profile_present[spec.name]
            yield f"user {spec.name}", spec, train.profile[spec.name][chosen].astype(np.float64)
