"""Requests for every signature: an export is checked with them, and a server warmed up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfrec import schema
from tfrec.export.raw_samples import raw_features
from tfrec.export.source import ServingSource

__all__ = ["WARMUP_FILE", "Request", "sample_requests", "write_warmup"]

WARMUP_FILE = Path("assets.extra") / "tf_serving_warmup_requests"

# A client's batches are of any size; these two meet the graph's paths for one row and for many.
BATCHES = (1, 32)
# Bytes of media in one request, well below gRPC's usual limit of 4 MiB.
_MEDIA_BYTES = 2_000_000
_NOBODY = "\ue000nobody"


@dataclass(frozen=True)
class Request:
    """One request of a signature.

    Attributes:
        signature: Its name.
        inputs: Arrays by input name.
        rows: For `embed_item`, the rows of the source's item samples that were sent.
    """

    signature: str
    inputs: Mapping[str, np.ndarray]
    rows: tuple[int, ...] = ()


def sample_requests(source: ServingSource, k: int = 10) -> list[Request]:
    """Requests of one row and of 32 for each signature.

    Known and unknown users, stored and given histories, exclusions, items with and without media,
    and one whose media can't be decoded.

    Args:
        source: The model, its users and items.
        k: How many items are asked for; less where the catalogue is smaller.
    """
    k = min(k, len(source.item_ids))
    requests = []
    for rows in BATCHES:
        users = _spread(source.users.ids, rows - rows // 8, [_NOBODY] * (rows // 8))
        items = _spread(source.item_ids, rows)
        given = np.full((rows, 3), b"", np.object_)
        # Every other row brings a history of its own; the first doesn't, which is the usual case.
        given[1::2, 1] = items[1::2]
        given[1::2, 2] = np.roll(items, 1)[1::2]
        none = np.empty((rows, 0), np.object_)
        exclude = _spread(source.item_ids[::-1], rows)[:, None]
        wanted = np.maximum(k - np.arange(rows) % 3, 1).astype(np.int32)
        known = {"user_id": users, "history": none}
        replaced = {"user_id": users, "history": given}
        unknown = {"history": given, **_unknown_profile(source, rows)}
        many = np.stack([np.roll(items, shift) for shift in range(4)], 1)
        requests += [
            Request("recommend", {**known, "exclude": none, "k": wanted}),
            Request("recommend", {**replaced, "exclude": exclude, "k": wanted}),
            Request("recommend_from_history", {**unknown, "exclude": exclude, "k": wanted}),
            Request("embed_user", known),
            Request("embed_user", replaced),
            Request("similar_items", {"item_id": items, "k": wanted}),
            Request("score", {**known, "item_ids": many}),
            *_with_conditions(source, {**replaced, "exclude": exclude, "k": wanted}),
        ]
        if source.explanation is not None:
            asked = {"exclude": exclude, "k": wanted}
            requests += [
                Request("explain", {**known, **asked, "item_ids": none}),
                Request("explain", {**replaced, **asked, "item_ids": many}),
            ]
        if source.texts is not None:
            titles = [] if source.columns is None else source.columns.titles.tolist()
            queries = _spread(np.array([*filter(None, titles), "a title"], object), rows)
            requests += [
                Request("search", {"query": queries, "exclude": none, "k": wanted}),
                Request("search", {"query": queries, "exclude": exclude, "k": wanted}),
                Request("embed_text", {"text": queries}),
            ]
        requests += _embed_item(source, rows)
    return requests


def write_warmup(version: Path, model: str, requests: Sequence[Request]) -> None:
    """Writes requests as TensorFlow Serving replays them before a version goes live.

    Those of `recommend` for `serving_default` too: a server sees another graph in it, and the first
    client would wait a second or two.

    Args:
        version: The version's folder.
        model: The name that the model is served by.
        requests: At most 1000.
    """
    from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

    path = version / WARMUP_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for request in [*requests, *_by_default(requests)]:
            message = predict_pb2.PredictRequest()
            message.model_spec.name = model
            message.model_spec.signature_name = request.signature
            for name, value in request.inputs.items():
                dtype = tf.string if value.dtype == object else None
                message.inputs[name].CopyFrom(tf.make_tensor_proto(value, dtype, value.shape))
            log = prediction_log_pb2.PredictionLog(
                predict_log=prediction_log_pb2.PredictLog(request=message)
            )
            writer.write(log.SerializeToString())


def _by_default(requests: Sequence[Request]) -> list[Request]:
    return [
        replace(request, signature="serving_default")
        for request in requests
        if request.signature == "recommend"
    ]


def _embed_item(source: ServingSource, rows: int) -> list[Request]:
    if not source.item_features or not source.item_samples:
        return []
    have = len(next(iter(source.item_samples.values())))
    chosen = np.arange(rows) % have
    sample = {name: values[chosen] for name, values in source.item_samples.items()}
    raw = raw_features(source.item_features, sample, source.vocabularies)
    size = sum(len(cell) for value in raw.values() if value.dtype == object for cell in value.flat)
    if size > _MEDIA_BYTES and rows > 1:
        return _embed_item(source, rows // 2)
    whole = Request("embed_item", raw, tuple(chosen.tolist()))
    damaged = {name: value.copy() for name, value in raw.items()}
    for spec in source.item_features:
        if spec.modality in ("image", "audio", "video"):
            damaged[spec.name][:] = b"not a media file"
    wanted = np.full(len(chosen), min(10, len(source.item_ids)), np.int32)
    requests = [
        whole,
        Request("embed_item", damaged),
        Request("similar_to_content", {**raw, "k": wanted}, whole.rows),
    ]
    if source.explanation is not None:
        requests.append(Request("item_parts", raw, whole.rows))
    return requests


def _with_conditions(source: ServingSource, asked: Mapping[str, np.ndarray]) -> list[Request]:
    """No condition; one value of each labelled feature in turn; the upper half of each number."""
    columns = source.columns
    if columns is None:
        return []
    rows = len(asked["k"])
    values = [f"{name}={value}" for name in columns.values for value in columns.values[name][:4]]
    none = np.empty((rows, 0), np.object_)
    nothing = np.empty((rows, 0), np.float32)
    free = {"any_of": none, "range_of": none, "at_least": nothing, "at_most": nothing}
    requests = [Request("recommend_filtered", {**asked, **free})]
    if values:
        any_of = _spread(np.array(["", *values], object), rows)[:, None]
        requests.append(Request("recommend_filtered", {**asked, **free, "any_of": any_of}))
    for name, numbers in columns.numbers.items():
        if np.isnan(numbers).all():
            continue
        bounds = {
            "range_of": np.full((rows, 1), name.encode(), object),
            "at_least": np.full((rows, 1), np.nanmedian(numbers), np.float32),
            "at_most": np.full((rows, 1), np.nan, np.float32),
        }
        requests.append(Request("recommend_filtered", {**asked, "any_of": none, **bounds}))
    return requests


def _unknown_profile(source: ServingSource, rows: int) -> dict[str, np.ndarray]:
    raw: dict[str, Any] = {}
    if source.profile_features:
        have = np.arange(rows) % max(len(source.users.ids), 1)
        profile = {name: values[have] for name, values in source.users.profile.items()}
        raw = raw_features(source.profile_features, profile, source.vocabularies)
    for spec in source.context_features:
        values = source.vocabularies.get(schema.context(spec.name), ())
        if spec.modality == "numeric":
            raw[f"context_{spec.name}"] = np.full(rows, spec.shift, np.float32)
        else:
            raw[f"context_{spec.name}"] = _spread(np.array([*values, ""], object), rows)
    return raw


def _spread(values: np.ndarray, count: int, more: Sequence[str] = ()) -> np.ndarray:
    """`count` of the values, evenly spread and in order, as bytes, and then `more`."""
    places = np.linspace(0, max(len(values) - 1, 0), count if len(values) else 0).astype(int)
    chosen = [str(values[place]) for place in places] or [_NOBODY] * count
    return np.array([text.encode() for text in [*chosen, *more]], object)
