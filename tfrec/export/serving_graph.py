"""The functions behind an export's signatures: strings in, strings out.

user_id ─▶ position ─▶ stored history, profile ─┐
history ─▶ positions ───────────────────────────┴▶ query tower ─▶ index ─▶ item ids, scores
                              seen, history, exclude, conditions ────┘
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfrec import schema
from tfrec.export import guards
from tfrec.export.conditions import CONDITIONS, Conditions
from tfrec.export.explaining import Explainer
from tfrec.export.raw_features import RawFeatures
from tfrec.export.searching import Searcher
from tfrec.export.source import ItemColumns, ServingSource
from tfrec.export.string_index import StringIndex
from tfrec.export.users import History, UserStore, align_right
from tfrec.index import Index, Neighbours

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
        columns = source.columns
        self._conditions = None if columns is None else Conditions(columns)
        self._explainer = None
        if source.explanation is not None:
            columns = columns or ItemColumns(np.full(len(source.item_ids), "", object))
            self._explainer = Explainer(source.explanation, columns, self.items, index)
        self._searcher = None
        if source.texts is not None:
            encode = partial(self._item_features.encode_text, source.texts.feature)
            self._searcher = Searcher(source.texts, encode, index)

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
        raw = self._item_features.inputs
        if raw:
            endpoints["embed_item"] = Endpoint(raw, self.embed_item)
            endpoints["similar_to_content"] = Endpoint(
                {**raw, "k": number}, self.similar_to_content
            )
        if self._conditions is not None:
            conditions = {**user, **asked, **CONDITIONS}
            endpoints["recommend_filtered"] = Endpoint(conditions, self.recommend_filtered)
        if self._explainer is not None:
            explained = {**user, **asked, "item_ids": _IDS}
            endpoints["explain"] = Endpoint(explained, self.explain)
            if raw:
                endpoints["item_parts"] = Endpoint(raw, self.item_parts)
        if self._searcher is not None:
            endpoints["search"] = Endpoint({"query": text, **asked}, self.search)
            endpoints["embed_text"] = Endpoint({"text": text}, self.embed_text)
        return endpoints

    @property
    def present_names(self) -> tuple[str, ...]:
        """Features of `embed_item`, in the order of its `present` flags."""
        return self._item_features.names

    def recommend(self, inputs: Mapping[str, tf.Tensor]) -> Tensors:
        """The best items for users by id; see docs/design.md."""
        user = self._of_user(inputs)
        unwanted = self._unwanted(user, inputs)
        return self._best(self._query(user), inputs["k"], unwanted, newcomers=_newcomers(user))

    def recommend_filtered(self, inputs: Mapping[str, tf.Tensor]) -> Tensors:
        """As `recommend`, of the items that meet conditions; see docs/design.md."""
        assert self._conditions is not None
        allowed = self._conditions.allowed(*(inputs[name] for name in CONDITIONS))
        user = self._of_user(inputs)
        unwanted = self._unwanted(user, inputs)
        return self._best(
            self._query(user), inputs["k"], unwanted, allowed=allowed, newcomers=_newcomers(user)
        )

    def explain(self, inputs: Mapping[str, tf.Tensor]) -> Tensors:
        """Why items have their scores: those given, or those of `recommend`; see docs/design.md."""
        assert self._explainer is not None
        user = self._of_user(inputs)
        query = self._query(user)
        k = guards.check_k(inputs["k"], self.index.count)
        unwanted = self._unwanted(user, inputs)
        found = self._search(query, k, unwanted, newcomers=_newcomers(user))
        given = self.items.lookup(inputs["item_ids"])
        width = tf.maximum(tf.shape(given)[1], tf.shape(found.items)[1])

        def wide(items: tf.Tensor) -> tf.Tensor:
            missing = [[0, 0], [0, width - tf.shape(items)[1]]]
            return tf.pad(items, missing, constant_values=-1)

        chosen = tf.reduce_any(inputs["item_ids"] != b"", 1)[:, None]
        items = tf.where(chosen, wide(given), wide(found.items))
        scores = tf.einsum("bd,bkd->bk", query, self.index.vectors_of(items))
        return {
            "item_ids": self.items.take(items),
            "scores": tf.where(self.index.holds(items), scores, tf.float32.min),
            **self._explainer.explain(user, query, items),
        }

    def recommend_from_history(self, inputs: Mapping[str, tf.Tensor]) -> Tensors:
        """The best items for someone without an id; see docs/design.md."""
        given = self.items.lookup(inputs["history"])
        features = {**self._profile.prepare(inputs), **self._in_context(inputs)}
        nobody = tf.fill(tf.shape(given)[:1], -1)
        user = _joined(nobody, self._request_history(given), features)
        unwanted = tf.concat([given, self.items.lookup(inputs["exclude"])], 1)
        return self._best(self._query(user), inputs["k"], unwanted, newcomers=_newcomers(user))

    def embed_user(self, inputs: Mapping[str, tf.Tensor]) -> Tensors:
        """The query vectors of users."""
        return {"embedding": self._query(self._of_user(inputs))}

    def item_parts(self, inputs: Mapping[str, tf.Tensor]) -> Tensors:
        """What the vectors of `embed_item` are sums of; see `tfrec.model.parts`."""
        assert self._explainer is not None
        return self._explainer.parts_of_items(self._new_items(inputs))

    def embed_item(self, inputs: Mapping[str, tf.Tensor]) -> Tensors:
        """The vectors of items that need not be in the catalogue, by their content alone."""
        features = self._new_items(inputs)
        flags = [features[schema.present(name)] for name in self._item_features.names]
        vectors = self._source.item_tower(features, training=False)
        return {"embedding": vectors, "present": tf.cast(tf.stack(flags, 1), tf.float32)}

    def similar_to_content(self, inputs: Mapping[str, tf.Tensor]) -> Tensors:
        """The catalogue's items with the greatest cosine to new ones that `embed_item` places."""
        vectors = tf.math.l2_normalize(self.embed_item(inputs)["embedding"], -1)
        nothing = tf.zeros([tf.shape(vectors)[0], 0], tf.int32)
        return self._best(vectors, inputs["k"], nothing, cosine=True)

    def search(self, inputs: Mapping[str, tf.Tensor]) -> Tensors:
        """The items whose title or text has the greatest cosine to a query."""
        assert self._searcher is not None
        k = guards.check_k(inputs["k"], self.index.count)
        excluded = self.items.lookup(inputs["exclude"])
        found = _cut(self._searcher.search(inputs["query"], _greatest(k), excluded), k)
        return {"item_ids": self.items.take(found.items), "scores": found.scores}

    def embed_text(self, inputs: Mapping[str, tf.Tensor]) -> Tensors:
        """Texts as `search` reads queries; zeros for a blank one."""
        assert self._searcher is not None
        return {"embedding": self._searcher.encode(inputs["text"])}

    def similar_items(self, inputs: Mapping[str, tf.Tensor]) -> Tensors:
        """The items with the greatest cosine to the one given; none for an unknown one."""
        ids = guards.refuse_empty("item_id", inputs["item_id"], "Give an item of the catalogue")
        items = self.items.lookup(ids)
        vectors = tf.math.l2_normalize(self.index.vectors_of(items), -1)
        answer = self._best(vectors, inputs["k"], items[:, None], cosine=True)
        known = self.index.holds(items)[:, None]
        return {
            "item_ids": tf.where(known, answer["item_ids"], ""),
            "scores": tf.where(known, answer["scores"], tf.float32.min),
        }

    def score(self, inputs: Mapping[str, tf.Tensor]) -> Tensors:
        """Scores of given items for users; the lowest float for an unknown item."""
        query = self.embed_user(inputs)["embedding"]
        items = self.items.lookup(inputs["item_ids"])
        scores = tf.einsum("bd,bnd->bn", query, self.index.vectors_of(items))
        return {"scores": tf.where(self.index.holds(items), scores, tf.float32.min)}

    def _look_up(self, user_ids: tf.Tensor) -> tf.Tensor:
        return self.users.strings.lookup(guards.refuse_empty("user_id", user_ids, _USE_HISTORY))

    def _of_user(self, inputs: Mapping[str, tf.Tensor]) -> Tensors:
        """Inputs of the query tower: the stored history, unless one is given."""
        users, given = self._look_up(inputs["user_id"]), self.items.lookup(inputs["history"])
        stored, sent = self.users.history(users), self._request_history(given)
        # Ids that the catalogue doesn't know still replace what is stored: the client said so.
        replaced = tf.reduce_any(inputs["history"] != b"", 1)[:, None]
        pairs = zip(sent, stored, strict=True)
        history = History(*(tf.where(replaced, new, old) for new, old in pairs))
        absent = self._absent_context(tf.shape(users)[0])
        return _joined(users, history, {**self.users.profile(users), **absent})

    def _unwanted(self, user: Tensors, inputs: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """Items not to be recommended: seen, sent as history, excluded; int32 [b, e]."""
        seen = self.users.seen_items(user[schema.USER_INDEX])
        sent = [self.items.lookup(inputs[name]) for name in ("history", "exclude")]
        return tf.concat([seen, *sent], 1)

    def _query(self, inputs: Tensors) -> tf.Tensor:
        return self._source.query_tower(inputs, training=False)

    def _new_items(self, inputs: Mapping[str, tf.Tensor]) -> Tensors:
        """Inputs of the item tower for items of which only the content is known."""
        features = self._item_features.prepare(inputs)
        flags = features[schema.present(self._item_features.names[0])]
        return {schema.ITEM_INDEX: tf.fill(tf.shape(flags), -1), **features}

    def _request_history(self, given: tf.Tensor) -> History:
        # The towers know the items they were trained with; those added since are only excluded.
        trained = len(self._source.item_ids)
        items = align_right(tf.where(given < trained, given, -1), self._source.history_length)
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
        self,
        query: tf.Tensor,
        k: tf.Tensor,
        unwanted: tf.Tensor,
        *,
        allowed: tf.Tensor | None = None,
        cosine: bool = False,
        newcomers: tf.Tensor | None = None,
    ) -> Tensors:
        k = guards.check_k(k, self.index.count)
        found = self._search(
            query, k, unwanted, allowed=allowed, cosine=cosine, newcomers=newcomers
        )
        return {"item_ids": self.items.take(found.items), "scores": found.scores}

    def _search(
        self,
        query: tf.Tensor,
        k: tf.Tensor,
        unwanted: tf.Tensor,
        *,
        allowed: tf.Tensor | None = None,
        cosine: bool = False,
        newcomers: tf.Tensor | None = None,
    ) -> Neighbours:
        found = self.index.search(
            query, _greatest(k), unwanted, allowed, cosine=cosine, newcomers=newcomers
        )
        return _cut(found, k)


def _newcomers(user: Tensors) -> tf.Tensor:
    """Whether users have no event that the model knows, bool [b]."""
    return tf.reduce_all(user["history"] < 0, 1)


def _greatest(k: tf.Tensor) -> tf.Tensor:
    return tf.reduce_max(tf.concat([k, [0]], 0))


def _cut(found: Neighbours, k: tf.Tensor) -> Neighbours:
    """As wide as the greatest `k`; beyond a row's own, -1 and the lowest float."""
    asked = tf.range(_greatest(k)) < k[:, None]
    return Neighbours(
        tf.where(asked, found.scores, tf.float32.min), tf.where(asked, found.items, -1)
    )


def _joined(users: tf.Tensor, history: History, features: Tensors) -> Tensors:
    return {
        schema.USER_INDEX: users,
        "history": history.items,
        "history_age": history.age,
        "history_event": history.event,
        **features,
    }
