"""Writes small prepared data directories from arrays, as `tfrec.schema` spells them.

For tests of everything that reads prepared data, so that none has to run preprocessing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfrec import schema
from tfrec.config import DatasetConfig, FeatureConfig
from tfrec.schema import DataLayout, FeatureSpec, Manifest

Event = tuple[int, int, int, float]
"""User, item, timestamp, label."""


def spec(name: str, modality: Any, **options: Any) -> FeatureSpec:
    """A feature; options of `FeatureConfig` go there, the others to the specification."""
    fields = {k: v for k, v in options.items() if k in FeatureConfig.model_fields}
    rest = {k: v for k, v in options.items() if k not in fields}
    config = FeatureConfig(modality=modality, **fields)
    return FeatureSpec(name=name, modality=modality, config=config, **rest)


def feature(value: Any) -> tf.train.Feature:
    """A number, text, bytes or a list of them as a feature."""
    values = list(value) if isinstance(value, list | tuple | np.ndarray) else [value]
    if not values or isinstance(values[0], int | np.integer | bool | np.bool_):
        return tf.train.Feature(int64_list=tf.train.Int64List(value=[int(v) for v in values]))
    if isinstance(values[0], float | np.floating):
        return tf.train.Feature(float_list=tf.train.FloatList(value=values))
    values = [v.encode() if isinstance(v, str) else v for v in values]
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))


def example(values: Mapping[str, Any]) -> bytes:
    """A serialized record; None leaves a feature out."""
    content = {name: feature(v) for name, v in values.items() if v is not None}
    record = tf.train.Example(features=tf.train.Features(feature=content))
    return bytes(record.SerializeToString(deterministic=True))


def write(path: Path, records: Sequence[bytes]) -> None:
    """Writes a TFRecord file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in records:
            writer.write(record)


def write_prepared(
    root: Path,
    events: Mapping[str, Sequence[Event]],
    *,
    items: int,
    users: int | None = None,
    specs: Sequence[FeatureSpec] = (),
    values: Mapping[str, Sequence[Any]] | None = None,
    encoded: Mapping[str, Sequence[Any]] | None = None,
    profile: Sequence[FeatureSpec] = (),
    profiles: Mapping[str, Sequence[Any]] | None = None,
    contexts: Sequence[FeatureSpec] = (),
    chunk: int = 1_000_000,
    event_types: Sequence[str] = (),
) -> Path:
    """Writes a prepared data directory.

    Args:
        root: The directory.
        events: By split, (user, item, timestamp, label). Context of each is its place in the list.
        items: Catalogue size; ids are i0, i1, …
        users: Number of users; as many as events name unless given; ids are u0, u1, …
        specs: Item features.
        values: By item feature, a prepared value for each item: None is missing; media are arrays.
        encoded: By item feature, a vector for each item; None where it is missing.
        profile: User features.
        profiles: By user feature, a value for each user.
        contexts: Context features.
        chunk: Events a record at most.
        event_types: Vocabulary of event types; events alternate among them.

    Returns:
        `root`.
    """
    values, encoded, profiles = values or {}, encoded or {}, profiles or {}
    train = [e for e in events.get("train", ()) if e[3] > 0]
    users = users or 1 + max((e[0] for es in events.values() for e in es), default=0)
    records = []
    for item in range(items):
        own = [e for e in train if e[1] == item]
        record: dict[str, Any] = {
            schema.ITEM_ID: f"i{item}",
            schema.ITEM_INDEX: item,
            schema.TRAIN_COUNT: len(own),
            schema.TRAIN_LAST: max((e[2] for e in own), default=0),
            schema.TRAIN_WEIGHT: float(len(own)),
        }
        for one in specs:
            value = values[one.name][item] if one.name in values else None
            vector = encoded[one.name][item] if one.name in encoded else None
            record[schema.present(one.name)] = int(value is not None or vector is not None)
            record[one.name] = (
                value.tobytes()
                if one.modality in ("image", "audio", "video") and value is not None
                else value
            )
            if vector is not None:
                record[schema.encoded(one.name)] = np.asarray(vector, np.float32)
        records.append(example(record))
    half = len(records) // 2
    layout = DataLayout(root)
    write(root / "items" / "items-00000-of-00002", records[:half])
    write(root / "items" / "items-00001-of-00002", records[half:])
    for split in schema.SPLITS:
        path = root / "timelines" / f"{split}-00000-of-00001"
        write(
            path,
            list(
                _timelines(
                    events.get(split, ()), profile, profiles, contexts, chunk, len(event_types)
                )
            ),
        )
    manifest = Manifest(
        dataset=DatasetConfig(
            name="made-up", interactions={"path": "i.csv"}, items={"path": "items.csv"}
        ),
        items=items,
        warm_items=len({e[1] for e in train}),
        users=users,
        events={split: len(events.get(split, ())) for split in schema.SPLITS},
        positives={split: sum(e[3] > 0 for e in events.get(split, ())) for split in schema.SPLITS},
        sources={},
        item_features=tuple(specs),
        user_features=tuple(profile),
        context_features=tuple(contexts),
        events_vocabulary=tuple(event_types),
        shards=(),
        fingerprint=schema.schema_fingerprint(
            tuple(specs), tuple(profile), tuple(contexts), items, users
        ),
        versions={},
    )
    for name, count in (("item", items), ("user", users)):
        path = layout.vocabulary(f"{name}_id")
        path.parent.mkdir(exist_ok=True)
        path.write_text("".join(f"{name[0]}{index}\n" for index in range(count)))
    layout.manifest_path.write_text(manifest.model_dump_json())
    return root


def _timelines(
    events: Sequence[Event],
    profile: Sequence[FeatureSpec],
    profiles: Mapping[str, Sequence[Any]],
    contexts: Sequence[FeatureSpec],
    chunk: int,
    event_types: int,
) -> Any:
    numbered = list(enumerate(events))
    for user in sorted({event[0] for event in events}):
        own = sorted((e for e in numbered if e[1][0] == user), key=lambda e: e[1][2])
        for start in range(0, len(own), chunk):
            part = own[start : start + chunk]
            record: dict[str, Any] = {
                schema.USER_ID: f"u{user}",
                schema.USER_INDEX: user,
                schema.ITEM_INDEX: [e[1] for _, e in part],
                schema.TIMESTAMP: [e[2] for _, e in part],
                schema.EVENT: [
                    schema.FIRST_VALUE_INDEX + n % event_types if event_types else 0
                    for n, _ in part
                ],
                schema.LABEL: [float(e[3]) for _, e in part],
                schema.WEIGHT: [1.0 for _ in part],
                schema.DWELL: [0.0 for _ in part],
                schema.SENTIMENT: [0.0 for _ in part],
            }
            for one in profile:
                value = profiles[one.name][user]
                record[schema.present(one.name)] = int(value is not None)
                record[one.name] = value
            for one in contexts:
                kind = float if one.modality == "numeric" else int
                record[schema.context(one.name)] = [kind(n) for n, _ in part]
            yield example(record)
