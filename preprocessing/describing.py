"""Describe what was prepared: `statistics.json` and `schema.pbtxt` (tensorflow-metadata)."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from preprocessing.fitting import FeatureFit
from preprocessing.shapes import media_shape
from tfrec import schema
from tfrec.config.dataset import MEDIA
from tfrec.schema import FeatureSpec

__all__ = ["feature_statistics", "write_schema", "write_statistics"]

_TOP = 20


def feature_statistics(spec: FeatureSpec, fit: FeatureFit) -> dict[str, Any]:
    """What `statistics.json` says of a feature; values and numbers are of the train part."""
    known: dict[str, Any] = {
        "modality": spec.modality,
        "rows": fit.rows,
        "missing": fit.missing,
        "missing_share": round(fit.missing / fit.rows, 6) if fit.rows else 0.0,
    }
    if spec.modality in ("categorical", "tags"):
        top = sorted(fit.values.items(), key=lambda entry: (-entry[1], entry[0]))[:_TOP]
        known |= {
            "values": fit.values.total(),
            "different": len(fit.values),
            "vocabulary_size": spec.vocabulary_size,
            "most_frequent": [{"value": value, "count": count} for value, count in top],
        }
    if spec.modality == "numeric":
        known |= {
            "numbers": fit.count,
            "transform": spec.config.transform,
            "scale": spec.config.scale,
            "mean": fit.mean,
            "deviation": fit.deviation,
            "minimum": fit.low if math.isfinite(fit.low) else None,
            "maximum": fit.high if math.isfinite(fit.high) else None,
        }
    return known


def write_statistics(path: Path, content: Mapping[str, Any]) -> None:
    """Writes `statistics.json`."""
    text = json.dumps(content, ensure_ascii=False, indent=1, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")


def write_schema(
    path: Path,
    items: Sequence[FeatureSpec],
    users: Sequence[FeatureSpec],
    context: Sequence[FeatureSpec],
    counts: tuple[int, int],
    event_types: int,
) -> None:
    """Writes `schema.pbtxt`: the features of both kinds of records.

    Args:
        path: The file.
        items: Resolved features of items.
        users: Of user profiles.
        context: Of events.
        counts: Items and users.
        event_types: Size of the event vocabulary.
    """
    whole = schema_pb2.Schema()
    for environment in ("items", "timelines"):
        whole.default_environment.append(environment)
    _scalar(whole, schema.ITEM_ID, schema_pb2.BYTES, "items")
    index = _list(whole, schema.ITEM_INDEX, schema_pb2.INT, None)
    index.int_domain.max = counts[0] - 1
    for name in (schema.TRAIN_COUNT, schema.TRAIN_LAST):
        _scalar(whole, name, schema_pb2.INT, "items")
    _scalar(whole, schema.TRAIN_WEIGHT, schema_pb2.FLOAT, "items")
    for spec in items:
        _feature(whole, spec, "items")
    _scalar(whole, schema.USER_ID, schema_pb2.BYTES, "timelines")
    user = _scalar(whole, schema.USER_INDEX, schema_pb2.INT, "timelines")
    user.int_domain.max = max(0, counts[1] - 1)
    for spec in users:
        _feature(whole, spec, "timelines")
    _list(whole, schema.TIMESTAMP, schema_pb2.INT, "timelines")
    event = _list(whole, schema.EVENT, schema_pb2.INT, "timelines")
    event.int_domain.max = event_types + schema.FIRST_VALUE_INDEX - 1
    for name in (schema.LABEL, schema.WEIGHT, schema.DWELL, schema.SENTIMENT):
        _list(whole, name, schema_pb2.FLOAT, "timelines")
    for spec in context:
        kind = schema_pb2.INT if spec.modality == "categorical" else schema_pb2.FLOAT
        feature = _list(whole, schema.context(spec.name), kind, "timelines")
        if spec.vocabulary_size is not None:
            feature.int_domain.max = spec.vocabulary_size - 1
    path.write_text(text_format.MessageToString(whole), encoding="utf-8")


def _feature(whole: Any, spec: FeatureSpec, environment: str) -> None:
    flag = _scalar(whole, schema.present(spec.name), schema_pb2.INT, environment)
    flag.int_domain.max = 1
    kind = {"categorical": schema_pb2.INT, "tags": schema_pb2.INT, "numeric": schema_pb2.FLOAT}.get(
        spec.modality, schema_pb2.BYTES
    )
    if spec.modality == "embedding":
        kind = schema_pb2.FLOAT
    feature = _list(whole, spec.name, kind, environment)
    if spec.vocabulary_size is not None:
        feature.int_domain.max = spec.vocabulary_size - 1
    if spec.modality in MEDIA:
        shape = "×".join(map(str, media_shape(spec.config)))
        feature.annotation.comment.append(f"raw bytes, {shape}")
    if spec.encoded_dim is not None:
        packed = spec.config.vector_dtype != "float32"
        kind = schema_pb2.BYTES if packed else schema_pb2.FLOAT
        vector = _list(whole, schema.encoded(spec.name), kind, environment)
        vector.value_count.min = vector.value_count.max = 1 if packed else spec.encoded_dim
        if packed:
            comment = f"{spec.config.vector_dtype} bytes of {spec.encoded_dim} numbers"
            vector.annotation.comment.append(comment)


def _scalar(whole: Any, name: str, kind: int, environment: str) -> Any:
    feature = _list(whole, name, kind, environment)
    feature.presence.min_fraction = 1.0
    feature.value_count.min = feature.value_count.max = 1
    return feature


def _list(whole: Any, name: str, kind: int, environment: str | None) -> Any:
    """Adds a feature; one of a single environment isn't looked for in the other."""
    feature = whole.feature.add(name=name, type=kind)
    if kind == schema_pb2.INT:
        feature.int_domain.min = 0
    if environment is not None:
        feature.in_environment.append(environment)
    return feature
