"""The model's own answers, worked out from Keras and NumPy without the served graph.

Histories are cut, vectors multiplied and seen items dropped here a second time, in plain NumPy, so
that a fault of the served graph shows as a difference.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfrec import schema
from tfrec.export.source import ServingSource
from tfrec.media import normalize_text

__all__ = ["Reference"]


class Reference:
    """Answers for known users and catalogue items.

    Args:
        source: The model.
    """

    def __init__(self, source: ServingSource) -> None:
        self._source = source
        self._user_of = {user: row for row, user in enumerate(source.users.ids)}
        self._item_of = {item: row for row, item in enumerate(source.item_ids)}

    def user_vectors(
        self, user_ids: Sequence[str], histories: Sequence[Sequence[str]]
    ) -> np.ndarray:
        """Query vectors: of the stored history where the one given is empty.

        Returns:
            float32 [b, D].
        """
        source, records = self._source, self._source.users
        rows, length = len(user_ids), source.history_length
        index = np.array([self._user_of.get(user, -1) for user in user_ids], np.int32)
        items = np.full((rows, length), -1, np.int32)
        age = np.zeros((rows, length), np.float32)
        event = np.zeros((rows, length), np.int32)
        for row, (user, history) in enumerate(zip(index, histories, strict=True)):
            if len(history):
                found = [self._item_of[item] for item in history if item in self._item_of]
                events = [(item, 0.0, source.default_event) for item in found]
            elif user >= 0:
                part = slice(records.offsets[user], records.offsets[user + 1])
                columns = records.item_index[part], records.age[part], records.event[part]
                events = list(zip(*columns, strict=True))
            else:
                events = []
            for place, one in enumerate(reversed(events[-length:]), start=1):
                items[row, -place], age[row, -place], event[row, -place] = one
        return self._queries(index, index, items, age, event)

    def newcomer_vectors(self, user_ids: Sequence[str]) -> np.ndarray:
        """Query vectors of someone unknown, the first without a profile, others with users' own.

        Returns:
            float32 [1 + users, D].
        """
        profiles = np.array([-1, *(self._user_of[user] for user in user_ids)], np.int32)
        shape = len(profiles), self._source.history_length
        nothing = np.full(shape, -1, np.int32)
        zeros = np.zeros(shape, np.float32), np.zeros(shape, np.int32)
        return self._queries(np.full_like(profiles, -1), profiles, nothing, *zeros)

    def _queries(
        self,
        index: np.ndarray,
        profiles: np.ndarray,
        items: np.ndarray,
        age: np.ndarray,
        event: np.ndarray,
    ) -> np.ndarray:
        inputs: dict[str, Any] = {
            schema.USER_INDEX: tf.constant(index),
            "history": tf.constant(items),
            "history_age": tf.constant(age),
            "history_event": tf.constant(event),
            **self._profile(profiles),
            **self._no_context(len(index)),
        }
        return np.asarray(self._source.query_tower(inputs, training=False))

    def item_vectors(self, prepared: Mapping[str, np.ndarray]) -> np.ndarray:
        """Vectors of items by content alone, from prepared features; float32 [n, D]."""
        inputs: dict[str, tf.Tensor] = {}
        for spec in self._source.item_features:
            value = _tensor(prepared[spec.name])
            present = tf.constant(prepared[schema.present(spec.name)])
            if spec.encoded_dim is not None:
                value = tf.where(present[:, None], self._source.encoders[spec.name](value), 0.0)
            inputs |= {spec.name: value, schema.present(spec.name): present}
        rows = len(next(iter(prepared.values())))
        inputs[schema.ITEM_INDEX] = tf.fill([rows], -1)
        return np.asarray(self._source.item_tower(inputs, training=False))

    def text_vectors(self, texts: np.ndarray) -> np.ndarray:
        """Queries of `search` by the model's encoder, of length 1; float32 [n, E]."""
        assert self._source.texts is not None
        normal = normalize_text(tf.constant(texts, tf.string))
        vectors = np.asarray(self._source.encoders[self._source.texts.feature](normal), np.float32)
        lengths = np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        return np.where((normal == b"").numpy()[:, None], 0.0, vectors / lengths)

    def unwanted(self, user_id: str, history: Sequence[str], exclude: Sequence[str]) -> set[str]:
        """Items that may not be recommended to a user."""
        records, row = self._source.users, self._user_of.get(user_id, -1)
        seen = np.zeros(0, np.int32)
        if row >= 0:
            seen = records.seen[records.seen_offsets[row] : records.seen_offsets[row + 1]]
        return {self._source.item_ids[item] for item in seen} | {*history, *exclude}

    def forbidden(self, inputs: Mapping[str, np.ndarray], row: int) -> set[str]:
        """Items that don't meet the conditions of a row of `recommend_filtered`."""
        columns = self._source.columns
        assert columns is not None
        meets = np.ones(len(self._source.item_ids), bool)
        wanted: dict[str, set[int]] = {}
        for text in filter(None, (each.decode() for each in inputs["any_of"][row])):
            name, _, value = text.partition("=")
            values = list(columns.values[name])
            place = values.index(value) if value in values else -1
            wanted.setdefault(name, set()).add(place)
        for name, places in wanted.items():
            labels = columns.labels[name].reshape(len(meets), -1).tolist()
            meets &= [bool((places - {-1}).intersection(row)) for row in labels]
        ranges = zip(*(inputs[n][row] for n in ("range_of", "at_least", "at_most")), strict=True)
        for name, least, most in ranges:
            if name:
                number = columns.numbers[name.decode()]
                least, most = np.nan_to_num(least, nan=-np.inf), np.nan_to_num(most, nan=np.inf)
                meets &= (number >= least) & (number <= most)
        return {item for item, good in zip(self._source.item_ids, meets, strict=True) if not good}

    def _profile(self, index: np.ndarray) -> dict[str, tf.Tensor]:
        features = {}
        for name, values in self._source.users.profile.items():
            rows = values[np.maximum(index, 0)].copy()
            rows[index < 0] = "" if values.dtype == object else 0
            features[name] = _tensor(rows)
        return features

    def _no_context(self, rows: int) -> dict[str, tf.Tensor]:
        features: dict[str, tf.Tensor] = {}
        for spec in self._source.context_features:
            name = schema.context(spec.name)
            dtype = tf.float32 if spec.modality == "numeric" else tf.int32
            features[name] = tf.zeros([rows], dtype)
            features[schema.present(name)] = tf.zeros([rows], tf.bool)
        return features


def _tensor(values: np.ndarray) -> tf.Tensor:
    return tf.constant(values, tf.string) if values.dtype == object else tf.constant(values)
