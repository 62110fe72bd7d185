"""How popular an item is, as a view that counts more the less is known of a user."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfrec import schema
from tfrec.model.parts import BASE, POPULARITY, Parts, QueryParts
from tfrec.model.view import View

__all__ = ["PopularityView"]

# Of users without a history, and of those with one.
_GROUPS = 2


@keras.saving.register_keras_serializable("tfrec")
class PopularityView(View):
    """Two counts of an item, each asked by one kind of user.

    An item has two columns: its popularity as users without any history should be told of it, and
    as others should, which may differ in how fast the past is forgotten. A query reads the first
    with weight `newcomer` when its history is empty, else the second with `known / √(1 + n)`, n the
    events of its history: what a history says of a taste is surer by the root of its length.

    Args:
        items: N.
        **kwargs: Keras' own.

    Attributes:
        popularity: float32 [N, 2], not trained; 0 for an item that nobody has met.
        weights_by_group: float32 [2], `newcomer` and `known`, not trained.

    Example:
        >>> view = PopularityView(items=2)
        >>> view.set([[0.0, 0.0], [1.0, 0.5]], newcomer=2.0, known=4.0)
        >>> queries = {"history": tf.constant([[-1, -1, -1], [0, 1, 0]])}
        >>> items = {"item_index": tf.constant([1, 1])}
        >>> view(queries, items).numpy().tolist()
        [2.0, 1.0]
    """

    def __init__(self, *, items: int, **kwargs: Any) -> None:
        kwargs.pop("dimension", None)
        super().__init__(_GROUPS, **kwargs)
        self.items = items
        self.popularity = self._fixed("popularity", (items, _GROUPS))
        self.weights_by_group = self._fixed("weights_by_group", (_GROUPS,))

    def set(self, popularity: npt.ArrayLike, *, newcomer: float, known: float) -> None:
        """Sets the columns, [N, 2], and how much each kind of user heeds its own."""
        self.popularity.assign(np.asarray(popularity, np.float32))
        self.weights_by_group.assign([newcomer, known])

    def query(self, inputs: dict[str, Any], training: bool | None = None) -> Any:
        """float32 [batch, 2] from `history` int32 [batch, L]: one of the two is 0."""
        events = tf.reduce_sum(tf.cast(inputs["history"] >= 0, tf.float32), 1)
        newcomer = tf.cast(events == 0, tf.float32)
        heed = tf.stack([newcomer, (1.0 - newcomer) * tf.math.rsqrt(1.0 + events)], 1)
        return heed * self.weights_by_group.value

    def item(self, inputs: dict[str, Any], training: bool | None = None) -> Any:
        """float32 [batch, 2]; 0 for an unknown item."""
        index = tf.cast(inputs[schema.ITEM_INDEX], tf.int32)
        rows = tf.gather(self.popularity.value, tf.maximum(index, 0))
        return tf.where((index >= 0)[:, None], rows, 0.0)

    def query_parts(self, inputs: dict[str, Any]) -> QueryParts:
        """Nothing by single events: only their number counts."""
        shape = [None, inputs["history"].shape[1], self.dimension]
        events = tf.zeros([*tf.unstack(tf.shape(inputs["history"])), self.dimension])
        return QueryParts(tf.ensure_shape(events, shape), {BASE: self.query(inputs)})

    def item_parts(self, inputs: dict[str, Any]) -> Parts:
        """All of it is popularity."""
        return {POPULARITY: self.item(inputs)}

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {**super().get_config(), "items": self.items}
