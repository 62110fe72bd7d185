"""The learned view: ids, content and history by towers and fusion."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from tfrec import schema
from tfrec.fusion import Fusion
from tfrec.input import TARGET_PLACE
from tfrec.model.id_embedding import IdEmbedding
from tfrec.model.parts import BASE, BEHAVIOUR, USER, Parts, QueryParts, event_parts, shapley
from tfrec.model.view import NORMALISED_SUFFIX, PLACED, PLACED_PARTS, VECTOR_SUFFIX, View
from tfrec.towers import CausalHistory, HistoryTower, Tower

__all__ = ["ID", "NeuralView"]

ops = keras.ops

# What the id is called among the fused modalities; no feature may have the name.
ID = schema.ITEM_ID


@keras.saving.register_keras_serializable("tfrec")
class NeuralView(View):
    """Sums what history, profile, context and user id say; fuses an item's id and features.

    The items of a history have a table of their own, since to have been liked and to be liked next
    are two things (as in SVD++ and in YouTube's candidate generation), to which their content is
    added through a linear map: so an item that nobody has met counts in a history too.

    Args:
        width: Of the towers' vectors.
        items: Size of the catalogue.
        users: Known users; 0 leaves their ids out.
        item_towers: By item feature.
        fusion: Joins the item's modalities; None when the id is the only one.
        item_id: Whether the item's id is one of the modalities.
        item_bias: Whether an item has a bias, which a popular item needs when vectors have unit
            length; it widens the vectors by one.
        id_dropout: Share of training items whose id is hidden, and of queries whose user id is.
        modality_dropout: Chance that a present modality is hidden in training.
        history: Encoder of the history; None leaves it out.
        content: Width of the history's content vectors (see `history_content`); 0 for none.
        profile_towers: By profile feature.
        context_towers: By context feature.
        context_dropout: Chance that the whole context is hidden in training, as it is when a
            query comes without any.
        normalize: Whether both sides have unit length (the bias aside).
        **kwargs: Keras' own.
    """

    def __init__(
        self,
        width: int,
        *,
        items: int,
        users: int = 0,
        item_towers: Mapping[str, Tower] | None = None,
        fusion: Fusion | None = None,
        item_id: bool = True,
        item_bias: bool = True,
        id_dropout: float = 0.0,
        modality_dropout: float = 0.0,
        history: HistoryTower | None = None,
        content: int = 0,
        profile_towers: Mapping[str, Tower] | None = None,
        context_towers: Mapping[str, Tower] | None = None,
        context_dropout: float = 0.5,
        normalize: bool = True,
        **kwargs: Any,
    ) -> None:
        kwargs.pop("dimension", None)
        super().__init__(width + int(item_bias), **kwargs)
        self.width = width
        self.items = items
        self.users = users
        self.item_towers = dict(item_towers or {})
        self.fusion = fusion
        self.item_id = item_id
        self.item_bias = item_bias
        self.id_dropout = id_dropout
        self.modality_dropout = modality_dropout
        self.history = history
        self.content = content if history is not None else 0
        self.profile_towers = dict(profile_towers or {})
        self.context_towers = dict(context_towers or {})
        self.context_dropout = context_dropout
        self.normalize = normalize
        if fusion is None and (self.item_towers or not item_id):
            raise ValueError("`fusion` is needed to join an item's modalities. Received: None")
        self.seed = keras.random.SeedGenerator()
        self.unseen_share = self._fixed("unseen_share", (), "ones")
        self.unseen_mean = self._fixed("unseen_mean", (self.dimension,))
        if item_id:
            self.item_table = IdEmbedding(items, width, name="item")
            if item_bias:
                self.bias_table = IdEmbedding(items, 1, stddev=0.0, name="item_bias")
        if item_bias:
            self.content_bias = keras.layers.Dense(1, kernel_initializer="zeros", name="bias")
        if users:
            self.user_table = IdEmbedding(users, width, name="user")
        if history is not None:
            self.history_table = IdEmbedding(items, width, name="history")
            if content:
                self.content_table = self._fixed("history_content", (items, content))
                self.content_map = keras.layers.Dense(width, use_bias=False, name="content_map")

    @property
    def random_items(self) -> bool:
        """Not where an item is its id, and no id is hidden."""
        return bool(self.item_towers) or self.fusion is not None or self.id_dropout > 0

    @property
    def tables(self) -> list[IdEmbedding]:
        """The id tables."""
        names = ("item_table", "bias_table", "user_table", "history_table")
        return [getattr(self, name) for name in names if hasattr(self, name)]

    def query(self, inputs: dict[str, Any], training: bool | None = None) -> Any:
        """Vectors of queries.

        Args:
            inputs: `user_index`; `history`, `history_age`, `history_event`; profile and context.
            training: Whether this is a training step.

        Returns:
            float32 [batch, dimension].
        """
        history = self._history(inputs, training)
        parts = [] if history is None else [history]
        return self._summed([*parts, *(part for _, part in self._said(inputs, training))])

    def query_at(self, inputs: dict[str, Any], training: bool | None = None) -> Any:
        """Vectors of queries after some positions of histories, each history read once.

        Args:
            inputs: As of `query`, and `target_place` int32 [n]: a history's row times its length,
                plus a position. The context has a row a place, all else a row a history.
            training: Whether this is a training step.

        Returns:
            float32 [n, dimension]: what `query` gives for the history up to the position, asked
            when the next event comes; exactly so at the last one, at others as far as the encoder
            doesn't count positions from the history's end.
        """
        assert isinstance(self.history, CausalHistory)
        place = inputs[TARGET_PLACE]
        row = place // inputs["history"].shape[1]
        states = self.history.at_every_position(*self._of_history(inputs), training=training)
        said = [tf.gather(part, row) for _, part in self._said_of_users(inputs, training)]
        asked = {**inputs, schema.USER_INDEX: tf.gather(inputs[schema.USER_INDEX], row)}
        said += [part for _, part in self._said_of_context(asked, training)]
        return self._summed([tf.gather(tf.reshape(states, [-1, self.width]), place), *said])

    def _summed(self, parts: list[Any]) -> Any:
        """The query that parts [batch, width] add up to, float32 [batch, dimension]."""
        output = ops.cast(parts[0], "float32")
        for part in parts[1:]:
            output = output + ops.cast(part, "float32")
        if self.normalize:
            output = _unit(output)
        if self.item_bias:
            output = ops.concatenate([output, ops.ones_like(output[:, :1])], -1)
        return output

    def query_parts(self, inputs: dict[str, Any]) -> QueryParts:
        """What `query` is the sum of; the length that it is divided by is taken as it is."""
        events, others = self._history_parts(inputs)
        total = tf.reduce_sum(events, 1)
        for name, part in self._said(inputs, False):
            others[name] = others.get(name, 0.0) + tf.cast(part, tf.float32)
        total += sum(others.values())
        scale = _inverse_length(total) if self.normalize else tf.ones_like(total[:, :1])
        bias = int(self.item_bias)
        others = {name: tf.pad(part * scale, [[0, 0], [0, bias]]) for name, part in others.items()}
        if bias:
            one = tf.pad(tf.ones_like(total[:, :1]), [[0, 0], [self.width, 0]])
            others[BASE] = others.get(BASE, 0.0) + one
        return QueryParts(tf.pad(events * scale[:, None], [[0, 0], [0, 0], [0, bias]]), others)

    def _said(self, inputs: dict[str, Any], training: bool | None) -> list[tuple[str, Any]]:
        """What is read beside the history, [batch, width] each."""
        of_users = self._said_of_users(inputs, training)
        return [*of_users, *self._said_of_context(inputs, training)]

    def _said_of_users(
        self, inputs: dict[str, Any], training: bool | None
    ) -> list[tuple[str, Any]]:
        parts: list[tuple[str, Any]] = []
        if self.users:
            known = self._keep(inputs[schema.USER_INDEX] >= 0, self.id_dropout, training)
            vector = self._user_ids(inputs)
            parts.append((USER, _masked(vector, known)))
        for name, tower in self.profile_towers.items():
            vector = tower(inputs[name], training=training)
            parts.append((name, _masked(vector, inputs[schema.present(name)])))
        return parts

    def _said_of_context(
        self, inputs: dict[str, Any], training: bool | None
    ) -> list[tuple[str, Any]]:
        parts: list[tuple[str, Any]] = []
        if self.context_towers:
            known = self._keep(None, self.context_dropout, training, like=inputs)
            for name, tower in self.context_towers.items():
                value = inputs[schema.context(name)]
                hidden = value == tf.zeros_like(value)
                vector = tower(value, training=training)
                parts.append((schema.context(name), _masked(vector, known & ~hidden)))
        return parts

    def item(self, inputs: dict[str, Any], training: bool | None = None) -> Any:
        """Vectors of items.

        Args:
            inputs: `item_index`, and each feature with NAME/present; NAME/vector, where given,
                stands for what the feature's tower would make of it, NAME/normalised for what it
                would begin with; `placed`, where given, is added to the vectors of items without
                behaviour, unless ids are all that is known here.
            training: Whether this is a training step.

        Returns:
            float32 [batch, dimension].
        """
        vectors, masks = self._modalities(inputs, training)
        output = self._fused(vectors, masks, training)
        if self.item_bias:
            bias = ops.cast(self.content_bias(output), "float32")
            if self.item_id:
                bias = bias + _masked(self.bias_table(inputs[schema.ITEM_INDEX]), masks[ID])
            output = ops.concatenate([output, bias], -1)
        unseen = inputs[schema.ITEM_INDEX] < 0
        shrunk = self.unseen_mean + self.unseen_share * (output - self.unseen_mean)
        if PLACED in inputs and self.fusion is not None:
            shrunk = shrunk + inputs[PLACED]
        return ops.where(unseen[:, None], shrunk, output)

    def item_parts(self, inputs: dict[str, Any]) -> Parts:
        """What `item` is the sum of: Shapley values of the fused vector, and the biases."""
        vectors, masks = self._modalities(inputs, False)

        def with_bias(some: Any, copies: int) -> Any:
            several = {
                name: ops.tile(vector, (copies, *(1 for _ in vector.shape[1:])))
                for name, vector in vectors.items()
            }
            output = self._fused(several, some, False)
            if not self.item_bias:
                return output
            bias = ops.cast(self.content_bias(output), "float32")
            return ops.concatenate([output, bias], -1)

        parts = shapley(with_bias, masks)
        if self.item_id:
            own = parts.pop(ID)
            if self.item_bias:
                bias = _masked(self.bias_table(inputs[schema.ITEM_INDEX]), masks[ID])
                own += tf.pad(tf.cast(bias, tf.float32), [[0, 0], [self.width, 0]])
            parts[BEHAVIOUR] = own
        unseen = (inputs[schema.ITEM_INDEX] < 0)[:, None]
        share = tf.where(unseen, self.unseen_share, 1.0)
        parts = {name: part * share for name, part in parts.items()}
        parts[BASE] += tf.where(unseen, (1 - self.unseen_share) * self.unseen_mean, 0.0)
        placed = inputs.get(PLACED_PARTS, {}) if self.fusion is not None else {}
        for name, part in placed.items():
            parts[name] = parts.get(name, 0.0) + tf.where(unseen, part, 0.0)
        return parts

    def _modalities(
        self, inputs: dict[str, Any], training: bool | None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """What is fused, [batch, width] each, and which of it is there."""
        vectors, masks = {}, {}
        if self.item_id:
            index = inputs[schema.ITEM_INDEX]
            masks[ID] = self._keep(index >= 0, self.id_dropout, training)
            vectors[ID] = _masked(self._item_ids(inputs), masks[ID])
        for name, tower in self.item_towers.items():
            if name + VECTOR_SUFFIX in inputs:
                vectors[name] = inputs[name + VECTOR_SUFFIX]
            elif name + NORMALISED_SUFFIX in inputs:
                vectors[name] = tower.of_normalised(inputs[name + NORMALISED_SUFFIX], training)
            else:
                vectors[name] = tower(inputs[name], training=training)
            masks[name] = self._keep(
                ops.cast(inputs[schema.present(name)], "bool"), self.modality_dropout, training
            )
        return vectors, masks

    def _fused(self, vectors: Any, masks: Any, training: bool | None) -> Any:
        """float32 [batch, width]."""
        if self.fusion is None:
            fused = _masked(vectors[ID], masks[ID])
        else:
            fused = self.fusion(vectors, masks, training=training)
        fused = ops.cast(fused, "float32")
        return _unit(fused) if self.normalize else fused

    def set_unseen(self, share: float, mean: Any) -> None:
        """Draws the vectors of items without behaviour together around their mean.

        Beside another view that places such items better, the learned view keeps `share` of what
        it says of the differences between them; what it says of them against other items stays as
        it is on average, so that neither kind floods a list.

        Args:
            share: In [0, 1]; 1 leaves them as they are.
            mean: float32 [dimension].
        """
        self.unseen_share.assign(share)
        self.unseen_mean.assign(mean)

    def set_content(self, content: Any) -> None:
        """Sets the history's content vectors, float32 [items, content]."""
        self.content_table.assign(content)

    def _item_ids(self, inputs: dict[str, Any]) -> Any:
        """What items' ids stand for, [batch, width], whatever for those that are unknown."""
        return self.item_table(inputs[schema.ITEM_INDEX])

    def _user_ids(self, inputs: dict[str, Any]) -> Any:
        """What users' ids stand for, [batch, width], whatever for those that are unknown."""
        return self.user_table(inputs[schema.USER_INDEX])

    def _history(self, inputs: dict[str, Any], training: bool | None) -> Any | None:
        """What histories say, [batch, width], or None where none is read."""
        if self.history is None:
            return None
        return self.history(*self._of_history(inputs), training=training)

    def _of_history(self, inputs: dict[str, Any]) -> tuple[Any, Any, Any, Any]:
        """What the encoder is given: vectors, which are there, ages, types of events."""
        history = inputs["history"]
        vectors = self.history_table(history)
        if self.content:
            vectors = vectors + ops.cast(self._content(tf.maximum(history, 0)), vectors.dtype)
        return vectors, history >= 0, inputs.get("history_age"), inputs.get("history_event")

    def _history_parts(self, inputs: dict[str, Any]) -> QueryParts:
        """What `_history` is the sum of, events [batch, length, width]."""
        if self.history is not None:
            return event_parts(lambda some: self._history(some, False), inputs)
        events = tf.zeros([*tf.unstack(tf.shape(inputs["history"])), self.width])
        shape = [None, inputs["history"].shape[1], self.width]
        return QueryParts(tf.ensure_shape(events, shape), {})

    def _content(self, history: Any) -> Any:
        """Mapped content of items; the whole catalogue is mapped when that is fewer rows."""
        if self.items < (history.shape[0] or 0) * history.shape[1]:
            return tf.gather(self.content_map(self.content_table.value[:]), history)
        return self.content_map(tf.gather(self.content_table.value, history))

    def _keep(
        self, present: Any, dropout: float, training: bool | None, *, like: Any = None
    ) -> Any:
        """`present`, with a share of it hidden in training."""
        if present is None:
            present = ops.ones(ops.shape(like[schema.USER_INDEX]), "bool")
        if not training or dropout == 0:
            return present
        chance = keras.random.uniform(ops.shape(present), seed=self.seed)
        return present & (chance >= dropout)

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        save = keras.saving.serialize_keras_object
        config = super().get_config()
        del config["dimension"]
        return {
            **config,
            "width": self.width,
            "items": self.items,
            "users": self.users,
            "item_towers": {name: save(tower) for name, tower in self.item_towers.items()},
            "fusion": None if self.fusion is None else save(self.fusion),
            "item_id": self.item_id,
            "item_bias": self.item_bias,
            "id_dropout": self.id_dropout,
            "modality_dropout": self.modality_dropout,
            "history": None if self.history is None else save(self.history),
            "content": self.content,
            "profile_towers": {n: save(tower) for n, tower in self.profile_towers.items()},
            "context_towers": {n: save(tower) for n, tower in self.context_towers.items()},
            "context_dropout": self.context_dropout,
            "normalize": self.normalize,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> NeuralView:
        """Builds the view that a config describes."""
        load = keras.saving.deserialize_keras_object
        config = dict(config)
        for name in ("item_towers", "profile_towers", "context_towers"):
            config[name] = {key: load(value) for key, value in config[name].items()}
        for name in ("fusion", "history"):
            config[name] = None if config[name] is None else load(config[name])
        return cls(**config)


def _masked(vectors: Any, present: Any) -> Any:
    """Zeros where not present, whatever stands there."""
    return ops.where(ops.cast(present, "bool")[:, None], vectors, ops.zeros_like(vectors))


def _unit(vectors: Any) -> Any:
    """Unit length; zeros stay zeros, with a finite gradient."""
    return vectors * _inverse_length(vectors)


def _inverse_length(vectors: Any) -> Any:
    return ops.rsqrt(ops.sum(ops.square(vectors), -1, keepdims=True) + 1e-12)
