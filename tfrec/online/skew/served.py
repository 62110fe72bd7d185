"""Features of logged requests, as distributions: what the model is asked with.

Of each `PredictionLog` of a recommending signature:

    history    [["a", "b", ""]]   ─▶ history/items {"a": 1, "b": 1}, history/length 2
    country    ["DE"]             ─▶ users/country {"DE": 1}
    age        [31.0]             ─▶ users/age 31.0; NaN counts as missing
    context_hour [7.0]            ─▶ context/hour 7.0
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tfrec.errors import DataError
from tfrec.inspection.profile import OTHER, Distribution
from tfrec.schema import FeatureSpec, Manifest

__all__ = ["HISTORY_ITEMS", "HISTORY_LENGTH", "Served", "read_served"]

HISTORY_ITEMS = "history/items"
HISTORY_LENGTH = "history/length"
_CONTEXT = "context_"


@dataclass(frozen=True)
class Served:
    """What requests held.

    Attributes:
        requests: Rows of requests that were read.
        other: Records of other calls, passed over.
        broken: Records that are no `PredictionLog`, passed over.
        distributions: By key.
    """

    requests: int
    other: int
    broken: int
    distributions: dict[str, Distribution]


def read_served(
    logs: Sequence[str | Path], manifest: Manifest, items: Any, vocabularies: Mapping[str, Any]
) -> Served:
    """Reads request logs.

    Args:
        logs: TFRecord files, or folders of them.
        manifest: Of the data that the model was trained on.
        items: Ids of its catalogue.
        vocabularies: Values of each categorical and tags feature, by the key of its distribution.

    Raises:
        DataError: There is no log, one can't be read, or none holds a request to recommend.
    """
    known_items = set(items)
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    numbers: dict[str, list[float]] = defaultdict(list)
    rows: Counter[str] = Counter()
    missing: Counter[str] = Counter()
    specs = {f"users/{spec.name}": spec for spec in manifest.user_features}
    specs |= {f"context/{spec.name}": spec for spec in manifest.context_features}
    names = {_input(key): key for key in specs}
    total, other, broken = 0, 0, 0
    for inputs in _requests(logs):
        if inputs is None:
            broken += 1
            continue
        if "history" not in inputs or "k" not in inputs:
            other += 1
            continue
        total += len(inputs["history"])
        for history in inputs["history"]:
            # An empty one stands for the stored history.
            found = [item.decode("utf-8", "replace") for item in history if item]
            if found:
                rows[HISTORY_LENGTH] += 1
                numbers[HISTORY_LENGTH].append(float(len(found)))
                counts[HISTORY_ITEMS].update(
                    item if item in known_items else OTHER for item in found
                )
        for name, key in names.items():
            if name in inputs:
                _read(inputs[name], specs[key], key, vocabularies, (counts, numbers, rows, missing))
    if not total:
        raise DataError(
            ", ".join(map(str, logs)), "a log to compare holds requests to recommend",
            received=f"none; {other:,} other records, {broken:,} broken ones",
            remedy="Write one with `tfrec serve --request-log DIR`",
        )  # fmt: skip
    found_all = {}
    for key in {*counts, *numbers, *rows}:
        group, _, name = key.partition("/")
        modality = specs[key].modality if key in specs else "numeric"
        found_all[key] = Distribution(
            group=group,
            name=name,
            modality="categorical" if key == HISTORY_ITEMS else modality,
            rows=rows[key],
            missing=missing[key],
            counts=dict(counts[key]) if key in counts else None,
            numbers=np.array(numbers[key], np.float32) if key in numbers else None,
        )
    return Served(total, other, broken, found_all)


def _read(
    values: Any, spec: FeatureSpec, key: str, vocabularies: Mapping[str, Any], into: Any
) -> None:
    counts, numbers, rows, missing = into
    rows[key] += len(values)
    if spec.modality == "numeric":
        known = values[~np.isnan(values)]
        missing[key] += len(values) - len(known)
        numbers[key] += known.tolist()
    elif spec.modality in ("categorical", "tags"):
        vocabulary = set(vocabularies.get(key, ()))
        for cell in values:
            words = [word for word in np.atleast_1d(cell) if word]
            missing[key] += not words
            texts = [word.decode("utf-8", "replace").strip() for word in words]
            counts[key].update(text if text in vocabulary else OTHER for text in texts)
    elif spec.modality == "text":
        texts = [value.decode("utf-8", "replace") for value in values]
        missing[key] += sum(not text.strip() for text in texts)
        numbers[key] += [float(len(text)) for text in texts if text.strip()]


def _input(key: str) -> str:
    group, _, name = key.partition("/")
    return _CONTEXT + name if group == "context" else name


def _requests(logs: Sequence[str | Path]) -> Iterator[dict[str, Any] | None]:
    """Inputs of each call; `None` for what is no record of a call."""
    import tensorflow as tf
    from google.protobuf.message import DecodeError
    from tensorflow_serving.apis import prediction_log_pb2

    paths = []
    for log in map(Path, logs):
        paths += sorted(log.glob("*.tfrecord")) if log.is_dir() else [log]
    if not paths:
        raise DataError(
            ", ".join(map(str, logs)), "a folder of logs holds .tfrecord files", received="none"
        )
    for path in paths:
        try:
            for raw in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
                try:
                    record = prediction_log_pb2.PredictionLog.FromString(raw)
                    inputs = record.predict_log.request.inputs
                    yield {name: tf.make_ndarray(value) for name, value in inputs.items()}
                except (DecodeError, TypeError, ValueError):
                    yield None
        except tf.errors.OpError as error:
            raise DataError(
                str(path), "a request log must be readable",
                received=str(error.message).splitlines()[0],
            ) from error  # fmt: skip
