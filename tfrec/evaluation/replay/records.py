"""Writes a cut as prepared data, so that a model can be trained on it as on any other."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfrec import schema
from tfrec.evaluation.replay.periods import Cut
from tfrec.input import Timelines
from tfrec.schema import SPLITS, DataLayout, FeatureSpec, Manifest

__all__ = ["write_cut"]

_INTEGERS = (schema.ITEM_INDEX, schema.TIMESTAMP, schema.EVENT)
_NUMBERS = (schema.LABEL, schema.WEIGHT, schema.DWELL, schema.SENTIMENT)


def write_cut(data: str | Path, cut: Cut, out: str | Path) -> Path:
    """Writes prepared data that holds the cut's parts.

    Items keep their records but for the train part's popularity; vocabularies and what was fitted
    are those of `data`, so features of the earlier periods know which values and means came later.

    Args:
        data: The prepared data that the cut is of.
        cut: The parts.
        out: New directory.

    Returns:
        `out`.
    """
    source, target = DataLayout(data), DataLayout(out)
    manifest = source.read_manifest()
    target.root.mkdir(parents=True)
    shutil.copytree(source.root / "vocabulary", target.root / "vocabulary")
    for spec in manifest.item_features:
        if spec.projection is not None:
            path = target.root / spec.projection
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source.root / spec.projection, path)
    _write_items(source, target, cut)
    for split in SPLITS:
        path = target.root / "timelines" / f"{split}-00000-of-00001"
        path.parent.mkdir(exist_ok=True)
        with tf.io.TFRecordWriter(str(path)) as writer:
            for record in _records(cut.parts[split], manifest):
                writer.write(record)
    warm = int((cut.items.train_count > 0).sum())
    update = {
        "warm_items": warm,
        "events": {split: cut.parts[split].events for split in SPLITS},
        "positives": {split: int(cut.parts[split].positive.sum()) for split in SPLITS},
        "split_times": {"validation": int(_first(cut.parts["validation"])), "test": cut.start},
        "shards": (),
    }
    target.manifest_path.write_text(
        manifest.model_copy(update=update).model_dump_json(), encoding="utf-8"
    )
    return target.root


def _write_items(source: DataLayout, target: DataLayout, cut: Cut) -> None:
    (target.root / "items").mkdir()
    for shard in source.item_shards():
        with tf.io.TFRecordWriter(str(target.root / "items" / shard.name)) as writer:
            for raw in tf.data.TFRecordDataset(str(shard)).as_numpy_iterator():
                record = tf.train.Example.FromString(raw)
                feature = record.features.feature
                item = feature[schema.ITEM_INDEX].int64_list.value[0]
                items = cut.items
                feature[schema.TRAIN_COUNT].int64_list.value[:] = [int(items.train_count[item])]
                feature[schema.TRAIN_LAST].int64_list.value[:] = [int(items.train_last[item])]
                feature[schema.TRAIN_WEIGHT].float_list.value[:] = [float(items.train_weight[item])]
                writer.write(record.SerializeToString(deterministic=True))


def _records(part: Timelines, manifest: Manifest) -> Iterator[bytes]:
    for row in range(len(part)):
        own = slice(part.offsets[row], part.offsets[row + 1])
        values: dict[str, Any] = {
            schema.USER_ID: [str(part.user_ids[row])],
            schema.USER_INDEX: [int(part.user_index[row])],
        }
        values |= {name: getattr(part, name)[own] for name in (*_INTEGERS, *_NUMBERS)}
        for spec in manifest.context_features:
            values[schema.context(spec.name)] = part.context[spec.name][own]
        for spec in manifest.user_features:
            known = bool(part.profile_present[spec.name][row])
            values[schema.present(spec.name)] = [int(known)]
            if known:
                values[spec.name] = _profile(part.profile[spec.name][row], spec)
        record = tf.train.Example()
        for name, value in values.items():
            _fill(record.features.feature[name], value)
        yield record.SerializeToString(deterministic=True)


def _profile(value: Any, spec: FeatureSpec) -> Any:
    if spec.modality == "tags":
        return value[value != schema.MISSING_INDEX]
    return value if np.ndim(value) else [value]


def _fill(feature: Any, values: Any) -> None:
    first = values[0] if len(values) else 0
    if isinstance(first, str):
        feature.bytes_list.value[:] = [value.encode() for value in values]
    elif isinstance(first, float | np.floating):
        feature.float_list.value[:] = [float(value) for value in values]
    else:
        feature.int64_list.value[:] = [int(value) for value in values]


def _first(part: Timelines) -> int:
    return int(part.timestamp.min()) if part.events else 0
