"""What a served graph is built from, out of a trained run and its data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tfrec import schema
from tfrec.encoders import resolve
from tfrec.encoders.encoder import Encoder
from tfrec.encoders.projected import load_projection
from tfrec.errors import DataError
from tfrec.export.item_columns import item_columns
from tfrec.export.item_texts import item_texts
from tfrec.export.source import Explanation, ServingSource, UserRecords
from tfrec.input import ItemTable, Timelines
from tfrec.model.building import used_features
from tfrec.model.parts import BASE, BEHAVIOUR, NEWNESS, POPULARITY
from tfrec.schema import DataLayout, FeatureSpec
from tfrec.training import Run

__all__ = ["serving_source"]

_SAMPLES = 32
# Items taken apart in one step: each is fused up to 64 times.
_ROWS = 256


def serving_source(
    run: Run, name: str, *, explain: bool = True, search: bool = True
) -> ServingSource:
    """Gathers model, catalogue, users, vocabularies and encoders.

    A known user's stored history is everything that the data holds of them, all splits: what was
    held out for evaluation is behaviour like any other once the model serves.

    Args:
        run: The trained run.
        name: The name that the model is served by.
        explain: Whether to take the catalogue's vectors apart, so that scores can be explained.
        search: Whether to encode the catalogue's titles, so that items are found by texts.

    Raises:
        DataError: A vocabulary can't be read.
        EncoderNotFoundError: A frozen encoder isn't installed here.
    """
    specs = used_features(run.config, run.manifest)
    encoders = {spec.name: _encoder(run, spec) for spec in specs if spec.encoded_dim is not None}
    splits = [Timelines.load(run.data, split) for split in schema.SPLITS]
    users = Timelines.concatenate(*splits)
    context = run.manifest.context_features if run.config.query.context else ()
    profile = run.manifest.user_features if run.config.query.profile else ()
    return ServingSource(
        name=name,
        query_tower=run.model.query_tower,
        item_tower=run.model.item_tower,
        item_ids=run.items.ids,
        item_vectors=run.item_vectors(),
        users=_records(users, run.history_of(users), profile),
        item_features=specs,
        profile_features=profile,
        context_features=context,
        vocabularies=_vocabularies(run, (*specs, *profile), context),
        encoders=encoders,
        history_length=run.history_length,
        default_event=_usual_event(splits[0]),
        item_samples=_samples(run, specs, encoders),
        columns=item_columns(run, _vocabularies(run, run.manifest.item_features, ())),
        explanation=_explanation(run, specs) if explain else None,
        texts=item_texts(run, specs, lambda spec: _encoder(run, spec)) if search else None,
    )


def _encoder(run: Run, spec: FeatureSpec) -> Encoder:
    """The frozen encoder of a feature, as preprocessing ran it."""
    options = {"max_length": spec.config.max_length} if spec.modality == "text" else {}
    encoder = resolve(str(spec.config.encoder), spec.modality, **options)
    if spec.projection is None:
        return encoder
    return load_projection(DataLayout(run.data).root / spec.projection, encoder)


def _explanation(run: Run, specs: tuple[FeatureSpec, ...]) -> Explanation:
    """Parts of every item and the maps that make them."""
    told = (name for name in (POPULARITY, NEWNESS) if name in run.model.views)
    names = (BEHAVIOUR, *told, *(spec.name for spec in specs), BASE)
    tower = run.model.item_tower

    def parts_of_items(inputs: dict[str, Any]) -> tf.Tensor:
        parts = tower.parts(inputs)
        # What no view reads has no share.
        nothing = tf.zeros_like(next(iter(parts.values())))
        return tf.stack([parts.get(name, nothing) for name in names], 1)

    count = len(run.items)
    rows = [np.arange(at, min(at + _ROWS, count)) for at in range(0, count, _ROWS)]
    traced = tf.function(parts_of_items, reduce_retracing=True)
    found = [
        traced({name: tf.constant(value) for name, value in run.item_inputs(some).items()}).numpy()
        for some in rows
    ]
    return Explanation(names, np.concatenate(found), parts_of_items, run.model.query_tower.parts)


def _records(
    users: Timelines, history: Timelines, features: tuple[FeatureSpec, ...]
) -> UserRecords:
    ends = np.repeat(history.offsets[1:], np.diff(history.offsets)) - 1
    age = (
        (history.timestamp[ends] - history.timestamp) / 86_400.0 if history.events else np.zeros(0)
    )
    profile: dict[str, np.ndarray] = {}
    for spec in features:
        profile[spec.name] = users.profile[spec.name]
        profile[schema.present(spec.name)] = users.profile_present[spec.name]
    pairs = np.unique(np.stack([users.rows, users.item_index], 1), axis=0)
    counts = np.bincount(pairs[:, 0], minlength=len(users))
    return UserRecords(
        ids=users.user_ids,
        offsets=history.offsets,
        item_index=history.item_index,
        age=age.astype(np.float32),
        event=history.event,
        seen_offsets=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        seen=pairs[:, 1].astype(np.int32),
        profile=profile,
    )


def _usual_event(train: Timelines) -> int:
    """The most frequent type of positive events."""
    events = train.positives().event
    return int(np.bincount(events).argmax()) if len(events) else 0


def _vocabularies(
    run: Run, features: tuple[FeatureSpec, ...], context: tuple[FeatureSpec, ...]
) -> dict[str, Any]:
    root = DataLayout(run.data).root
    named = [(spec.name, spec) for spec in features]
    named += [(schema.context(spec.name), spec) for spec in context]
    lines: dict[str, Any] = {}
    for name, spec in named:
        if spec.vocabulary is None:
            continue
        path = root / spec.vocabulary
        try:
            lines[name] = path.read_text(encoding="utf-8").split("\n")[:-1]
        except OSError as error:
            raise DataError(
                str(path),
                "the data's vocabularies are needed for an export",
                received=str(error),
                remedy="Preprocess again, or name the data's place by --data",
            ) from error
    return lines


def _samples(
    run: Run, specs: tuple[FeatureSpec, ...], encoders: Mapping[str, Any]
) -> dict[str, np.ndarray]:
    """Raw forms of some items, spread over the catalogue; pictures in their encoder's size."""
    table = ItemTable.load(run.data, features=[spec.name for spec in specs])
    rows = np.linspace(0, len(table) - 1, min(_SAMPLES, len(table))).astype(int)
    samples: dict[str, np.ndarray] = {}
    for spec in specs:
        value = table.features[spec.name][rows]
        size = getattr(encoders.get(spec.name), "image_size", None)
        if size is not None and spec.modality == "image":
            resized = tf.image.resize(tf.constant(value), size, antialias=True)
            value = tf.cast(tf.clip_by_value(tf.round(resized), 0, 255), tf.uint8).numpy()
        samples[spec.name] = value
        samples[schema.present(spec.name)] = table.present[spec.name][rows]
    return samples
