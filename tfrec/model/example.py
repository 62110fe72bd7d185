"""Inputs of no meaning and of the right form, to build a model or trace a graph with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from tfrec import schema
from tfrec.schema import FeatureSpec, Manifest

__all__ = ["example_items", "example_queries", "prepared_spec"]


def prepared_spec(spec: FeatureSpec, *, batch: int | None = None) -> tf.TensorSpec:
    """Shape and type of what a feature's tower reads."""
    height, width = spec.config.size
    if spec.encoded_dim is not None:
        return tf.TensorSpec((batch, spec.encoded_dim), tf.float32)
    shapes: dict[str, tuple[tuple[int | None, ...], tf.DType]] = {
        "text": ((), tf.string),
        "image": ((height, width, 3), tf.uint8),
        "audio": ((round(spec.config.sample_rate * spec.config.seconds),), tf.int16),
        "video": ((spec.config.frames, height, width, 3), tf.uint8),
        "categorical": ((), tf.int32),
        "tags": ((None,), tf.int32),
        "numeric": ((), tf.float32),
        "embedding": ((spec.config.dimension,), tf.float32),
    }
    shape, dtype = shapes[spec.modality]
    return tf.TensorSpec((batch, *shape), dtype)


def example_items(specs: Sequence[FeatureSpec], batch: int = 2) -> dict[str, Any]:
    """Inputs of the item tower for `batch` unknown items that lack every feature."""
    inputs: dict[str, Any] = {schema.ITEM_INDEX: tf.fill([batch], -1)}
    for spec in specs:
        inputs[spec.name] = _zeros(spec, batch)
        inputs[schema.present(spec.name)] = tf.zeros([batch], tf.bool)
    return inputs


def example_queries(manifest: Manifest, length: int, batch: int = 2) -> dict[str, Any]:
    """Inputs of the query tower for `batch` unknown users without history."""
    inputs: dict[str, Any] = {
        schema.USER_INDEX: tf.fill([batch], -1),
        "history": tf.fill([batch, length], -1),
        "history_age": tf.zeros([batch, length]),
        "history_event": tf.zeros([batch, length], tf.int32),
    }
    for spec in manifest.user_features:
        inputs[spec.name] = _zeros(spec, batch)
        inputs[schema.present(spec.name)] = tf.zeros([batch], tf.bool)
    for spec in manifest.context_features:
        inputs[schema.context(spec.name)] = _zeros(spec, batch)
    return inputs


def _zeros(spec: FeatureSpec, batch: int) -> Any:
    form = prepared_spec(spec, batch=batch)
    shape = [1 if size is None else size for size in form.shape]
    return tf.fill(shape, "") if form.dtype == tf.string else tf.zeros(shape, form.dtype)
