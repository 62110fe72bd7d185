"""Profile a prepared data directory: the distribution of every feature, in each part.

Records are read without their media, so that a profile costs what the numbers in it cost. Numbers
are told as they were before standardisation, values by name, so that two directories compare.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfrec import schema
from tfrec.input import Timelines
from tfrec.input.records import read_columns, read_lines
from tfrec.schema import SPLITS, DataLayout, FeatureSpec, Manifest

__all__ = ["EVENTS_A_USER", "OTHER", "Distribution", "Profile", "profile_data"]

OTHER = "(not in the vocabulary)"
EVENTS_A_USER = "events a user"
_TIME_BINS = 40


@dataclass(frozen=True)
class Distribution:
    """Values of one feature.

    Attributes:
        group: `items`, `users`, `context` or `events`.
        name: The feature.
        modality: What it is.
        rows: How many records or events could have it.
        missing: How many lack it.
        counts: By value; categorical and tags.
        numbers: Values; numeric, and lengths in characters of text.
    """

    group: str
    name: str
    modality: str
    rows: int
    missing: int
    counts: Mapping[str, int] | None = None
    numbers: npt.NDArray[np.float32] | None = None

    @property
    def key(self) -> str:
        """Group and name."""
        return f"{self.group}/{self.name}"

    @property
    def missing_share(self) -> float:
        """Share of the rows without it."""
        return self.missing / self.rows if self.rows else 0.0


@dataclass(frozen=True)
class Profile:
    """What a data directory holds.

    Attributes:
        root: The directory.
        manifest: Its manifest.
        entities: Distributions over items and over users, by key.
        events: Distributions over events by part, then key.
        bins: Unix seconds [bins + 1], equal spans from the first event to the last.
        over_time: Events of each part in each span, int64 [bins].
    """

    root: Path
    manifest: Manifest
    entities: dict[str, Distribution]
    events: dict[str, dict[str, Distribution]]
    bins: npt.NDArray[np.int64]
    over_time: dict[str, npt.NDArray[np.int64]]


def profile_data(data: str | Path) -> Profile:
    """Profiles a directory.

    Raises:
        DataError: It holds no finished data.
        CorruptDataError: A file is damaged.
    """
    layout = DataLayout(data)
    manifest = layout.read_manifest()
    entities = {d.key: d for d in _items(layout, manifest)}
    events: dict[str, dict[str, Distribution]] = {}
    times: dict[str, npt.NDArray[np.int64]] = {}
    profiles: dict[str, Timelines] = {}
    for split in SPLITS:
        timelines = Timelines.load(data, split)
        events[split] = {d.key: d for d in _events(layout, manifest, timelines)}
        times[split] = timelines.timestamp
        profiles[split] = timelines
    entities |= {d.key: d for d in _users(layout, manifest, list(profiles.values()))}
    every = np.concatenate(list(times.values()))
    low, high = (int(every.min()), int(every.max()) + 1) if len(every) else (0, 1)
    bins = np.unique(np.linspace(low, high, _TIME_BINS + 1).astype(np.int64))
    over_time = {split: np.histogram(values, bins)[0] for split, values in times.items()}
    return Profile(Path(data), manifest, entities, events, bins, over_time)


def _items(layout: DataLayout, manifest: Manifest) -> list[Distribution]:
    specs = manifest.item_features
    kinds = {"numeric": tf.float32, "categorical": tf.int64, "tags": tf.int64, "text": tf.string}
    types: dict[str, Any] = {schema.TRAIN_COUNT: tf.int64}
    for spec in specs:
        types[schema.present(spec.name)] = tf.int64
        if spec.modality in kinds:
            types[spec.name] = kinds[spec.modality]
    columns = read_columns(layout.item_shards(), types)
    found = []
    for spec in specs:
        missing = manifest.items - int((columns[schema.present(spec.name)].values > 0).sum())
        values = columns[spec.name].values if spec.name in columns else None
        found.append(_of_feature(layout, spec, "items", manifest.items, missing, values))
    counts = columns[schema.TRAIN_COUNT].values.astype(np.float32)
    name = "positives in train"
    found.append(Distribution("items", name, "numeric", len(counts), 0, None, counts))
    return found


def _users(layout: DataLayout, manifest: Manifest, parts: list[Timelines]) -> list[Distribution]:
    found = []
    # A user is in several parts with one profile.
    index = np.concatenate([part.user_index for part in parts])
    _, first = np.unique(index, return_index=True)
    for spec in manifest.user_features:
        present = np.concatenate([part.profile_present[spec.name] for part in parts])[first]
        values: Any = None
        if spec.modality in ("numeric", "categorical", "text"):
            raw = np.concatenate([part.profile[spec.name] for part in parts])[first]
            values = raw[present]
        elif spec.modality == "tags":
            rows = [row for part in parts for row in part.profile[spec.name]]
            values = np.concatenate([np.zeros(0, np.int64), *(rows[place] for place in first)])
            values = values[values > 0]
        missing = int((~present).sum())
        found.append(_of_feature(layout, spec, "users", len(first), missing, values))
    return found


def _events(layout: DataLayout, manifest: Manifest, part: Timelines) -> list[Distribution]:
    rows = part.events
    found = []
    if manifest.events_vocabulary:
        counts = _named(part.event, list(manifest.events_vocabulary))
        found.append(Distribution("events", "type", "categorical", rows, 0, counts))
    for name in (schema.LABEL, schema.WEIGHT, schema.DWELL, schema.SENTIMENT):
        numbers = np.asarray(getattr(part, name), np.float32)
        # A column that no source gave is one number throughout.
        if name == schema.LABEL or (rows and np.ptp(numbers) > 0):
            found.append(Distribution("events", name, "numeric", rows, 0, None, numbers))
    lengths = np.diff(part.offsets).astype(np.float32)
    found.append(Distribution("events", EVENTS_A_USER, "numeric", len(part), 0, None, lengths))
    for spec in manifest.context_features:
        values = np.asarray(part.context[spec.name])
        missing = int((values == 0).sum()) if spec.modality == "categorical" else 0
        found.append(_of_feature(layout, spec, "context", rows, missing, values))
    return found


def _of_feature(
    layout: DataLayout, spec: FeatureSpec, group: str, rows: int, missing: int, values: Any
) -> Distribution:
    counts, numbers = None, None
    if values is not None and spec.modality in ("categorical", "tags"):
        vocabulary = read_lines(layout.root / spec.vocabulary) if spec.vocabulary else []
        counts = _named(values, vocabulary)
    elif values is not None and spec.modality == "numeric":
        numbers = np.asarray(values, np.float32) * spec.spread + spec.shift
        if spec.config.transform == "log1p":
            numbers = np.expm1(numbers)
        # Six digits are what a record in single precision keeps of a number.
        digits = 5 - np.floor(np.log10(max(float(np.abs(numbers).max(initial=0.0)), 1e-30)))
        numbers = np.round(numbers.astype(np.float64), int(digits)).astype(np.float32)
    elif values is not None and spec.modality == "text":
        texts = [v.decode("utf-8", "replace") if isinstance(v, bytes) else v for v in values]
        numbers = np.array([len(text) for text in texts], np.float32)
    return Distribution(group, spec.name, spec.modality, rows, missing, counts, numbers)


def _named(indices: Any, vocabulary: list[str]) -> dict[str, int]:
    names = dict(enumerate(["", OTHER, *vocabulary]))
    known: Counter[str] = Counter()
    for index, count in Counter(np.asarray(indices).reshape(-1).tolist()).most_common():
        if index > 0:
            # Beyond the vocabulary are hash buckets.
            known[names.get(index, OTHER if vocabulary else f"bucket {index}")] += count
    return dict(known)
