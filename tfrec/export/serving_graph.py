"""The functions behind an export's signatures: strings in, strings out.

user_id ─▶ position ─▶ stored history, profile ─┐
history ─▶ positions ───────────────────────────┴▶ query tower ─▶ index ─▶ item ids, scores
                              seen, history, exclude ────────────────┘
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import tensorflow as tf

from tfrec import schema
from tfrec.export import guards
from tfrec.export.raw_features import RawFeatures
from tfrec.export.source import ServingSource
from tfrec.export.string_index import StringIndex
from tfrec.export.users import History, UserStore, align_right
from tfrec.index import Index

__all__ = ["Endpoint", "ServingGraph"]

Tensors = dict[str, tf.Tensor]

_IDS = tf.TensorSpec([None, None], tf.string)
_USE_HISTORY = "Ask `recommend_from_history` for someone without an id"


class Endpoint(NamedTuple):
    """A signature before it is written.

    Attributes:
        inputs: What it takes, by name.
        function: From checked inputs to outputs, by name.
    """

    inputs: dict[str, tf.TensorSpec]
    function: Callable[[Tensors], Tensors]

    def __call__(self, **inputs: tf.Tensor) -> Tensors:
        """Checks the inputs and answers."""
        return self.function(guards.ensure_shapes(inputs, self.inputs))


class ServingGraph(tf.Module):
    """A trained model as its clients see it.

    Works eagerly too, which is what an export is compared with.

    Args:
        source: The model, its catalogue and users.
        index: Finds the best items; of the source's item vectors.
    """

    def __init__(self, source: ServingSource, index: Index) -> None:
        super().__init__(name="serving")
        self._source = source
        self.index = index
        self.items = StringIndex(list(source.item_ids), "items")
        self.users = UserStore(source.users, source.history_length)
        vocabularies, encoders = source.vocabularies, source.encoders
        self._item_features = RawFeatures(source.item_features, vocabularies, encoders)
        self._profile = RawFeatures(source.profile_features, vocabularies, encoders)
        contexts = {
            spec.name: vocabularies[schema.context(spec.name)]
            for spec in source.context_features
            if schema.context(spec.name) in vocabularies
        }
        self._context = RawFeatures(source.context_features, contexts, {}, prefix="context_")

    @property
    def endpoints(self) -> dict[str, Endpoint]:
        """Every signature by name; `recommend` comes first."""
        text, number = tf.TensorSpec([None], tf.string), tf.TensorSpec([None], tf.int32)
        user = {"user_id": text, "history": _IDS}
        asked = {"exclude": _IDS, "k": number}
        unknown = {"history": _IDS, **self._profile.inputs, **self._context.inputs}
        endpoints = {
            "recommend": Endpoint({**user, **asked}, self.recommend),
            "recommend_from_history": Endpoint({**unknown, **asked}, self.recommend_from_history),
            "embed_user": Endpoint(user, self.embed_user),
            "similar_items": Endpoint({"item_id": text, "k": number}, self.similar_items),
            "score": Endpoint({**user, "item_ids": _IDS}, self.score),
        }
        if self._item_features.names:
            endpoints["embed_item"] = Endpoint(self._item_features.inputs, self.embed_item)
        return endpoints

    @property
    def present_names(self) -> tuple[str, ...]:
        """Features of `embed_item`, in the order of its `present` flags."""
        return self._item_features.names

    def recommend(self, inputs: Mapping[str, tf.Tensor]) -> Tensors:
        """The best items for users by id; see docs/design.md."""
        users = self._look_up(inputs["user_id"])
        given = self.items.lookup(inputs["history"])
        query = self._query_of_user(users, given, inputs["history"])
        unwanted = [self.users.seen_items(users), given, self.items.lookup(inputs["exclude"])]
        return self._best(query, inputs["k"], tf.concat(unwanted, 1))

    def recommend_from_history(self, inputs: Mapping[str, tf.Tensor]) -> Tensors:
        """The best items for someone without an id; see docs/design.md."""
        given = self.items.lookup(inputs["history"])
        features = {**self._profile.prepare(inputs), **self._in_context(inputs)}
        nobody = tf.fill(tf.shape(given)[:1], -1)
        query = self._query(nobody, self._request_history(given), features)
        unwanted = [given, self.items.lookup(inputs["exclude"])]
        return self._best(query, inputs["k"], tf.concat(unwanted, 1))

    def embed_user(self, inputs: Mapping[str, tf.Tensor]) -> Tensors:
        """The query vectors of users."""
        users = self._look_up(inputs["user_id"])
        given = self.items.lookup(inputs["history"])
        return {"embedding": self._query_of_user(users, given, inputs["history"])}

    def embed_item(self, inputs: Mapping[str, tf.Tensor]) -> Tensors:
        """The vectors of items that need not be in the catalogue, by their content alone."""
        features = self._item_features.prepare(inputs)
        flags = [features[schema.present(name)] for name in self._item_features.names]
        new = tf.fill(tf.shape(flags[0]), -1)
        vectors = self._source.item_tower({schema.ITEM_INDEX: new, **features}, training=False)
        return {"embedding": vectors, "present": tf.cast(tf.stack(flags, 1), tf.float32)}

    def similar_items(self, inputs: Mapping[str, tf.Tensor]) -> Tensors:
        """The items with the greatest cosine to the one given; none for an unknown one."""
        ids = guards.refuse_empty("item_id", inputs["item_id"], "Give an item of the catalogue")
        items = self.items.lookup(ids)
        vectors = tf.math.l2_normalize(self.index.vectors_of(items), -1)
        answer = self._best(vectors, inputs["k"], items[:, None], cosine=True)
        known = (items >= 0)[:, None]
        return {
            "item_ids": tf.where(known, answer["item_ids"], ""),
            "scores": tf.where(known, answer["scores"], tf.float32.min),
        }

    def score(self, inputs: Mapping[str, tf.Tensor]) -> Tensors:
        """Scores of given items for users; the lowest float for an unknown item."""
        query = self.embed_user(inputs)["embedding"]
        items = self.items.lookup(inputs["item_ids"])
        scores = tf.einsum("bd,bnd->bn", query, self.index.vectors_of(items))
        return {"scores": tf.where(items >= 0, scores, tf.float32.min)}

    def _look_up(self, user_ids: tf.Tensor) -> tf.Tensor:
        return self.users.strings.lookup(guards.refuse_empty("user_id", user_ids, _USE_HISTORY))

    def _query_of_user(self, users: tf.Tensor, given: tf.Tensor, raw: tf.Tensor) -> tf.Tensor:
        stored, sent = self.users.history(users), self._request_history(given)
        # Ids that the catalogue doesn't know still replace what is stored: the client said so.
        replaced = tf.reduce_any(raw != b"", 1)[:, None]
        pairs = zip(sent, stored, strict=True)
        history = History(*(tf.where(replaced, new, old) for new, old in pairs))
        absent = self._absent_context(tf.shape(users)[0])
        return self._query(users, history, {**self.users.profile(users), **absent})

    def _query(self, users: tf.Tensor, history: History, features: Tensors) -> tf.Tensor:
        inputs = {
            schema.USER_INDEX: users,
            "history": history.items,
            "history_age": history.age,
            "history_event": history.event,
            **features,
        }
        return self._source.query_tower(inputs, training=False)

    def _request_history(self, given: tf.Tensor) -> History:
        items = align_right(given, self._source.history_length)
        event = tf.where(items >= 0, self._source.default_event, 0)
        return History(items, tf.zeros_like(items, tf.float32), event)

    def _in_context(self, inputs: Mapping[str, tf.Tensor]) -> Tensors:
        prepared = self._context.prepare(inputs)
        return {schema.context(name): value for name, value in prepared.items()}

    def _absent_context(self, rows: tf.Tensor) -> Tensors:
        # What preprocessing writes for a missing value, by sending one.
        blank = {
            name: tf.fill([rows], "" if spec.dtype == tf.string else float("nan"))
            for name, spec in self._context.inputs.items()
        }
        return self._in_context(blank)

    def _best(
        self, query: tf.Tensor, k: tf.Tensor, unwanted: tf.Tensor, *, cosine: bool = False
    ) -> Tensors:
        k = guards.check_k(k, self.items.size)
        width = tf.reduce_max(tf.concat([k, [0]], 0))
        found = self.index.search(query, width, unwanted, cosine=cosine)
        asked = tf.range(width) < k[:, None]
        return {
            "item_ids": self.items.take(tf.where(asked, found.items, -1)),
            "scores": tf.where(asked, found.scores, tf.float32.min),
        }
