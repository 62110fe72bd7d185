"""A place for what nobody has met: items without behaviour, raised by a constant."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from tfrec import schema
from tfrec.model.parts import BASE, NEWNESS, Parts, QueryParts
from tfrec.model.view import View

__all__ = ["NewItemsView"]


@keras.saving.register_keras_serializable("tfrec")
class NewItemsView(View):
    """`boost * height` for an item without behaviour, 0 for any other, whoever asks.

    What is expected of an item that nobody has met lies close to the mean, so that among the best
    of a list there is none; and without being shown it will never be met.

    Args:
        **kwargs: Keras' own.

    Attributes:
        boost: float32 [], not trained: what queries say.
        height: float32 [], not trained: what items say.

    Example:
        >>> view = NewItemsView()
        >>> view.set(boost=4.0, height=0.5)
        >>> queries = {"history": tf.constant([[0], [0]])}
        >>> view(queries, {"item_index": tf.constant([3, -1])}).numpy().tolist()
        [0.0, 2.0]
    """

    def __init__(self, **kwargs: Any) -> None:
        kwargs.pop("dimension", None)
        super().__init__(1, **kwargs)
        self.boost = self._fixed("boost", ())
        self.height = self._fixed("height", ())

    def set(self, *, boost: float, height: float) -> None:
        """Sets both factors."""
        self.boost.assign(boost)
        self.height.assign(height)

    def query(self, inputs: dict[str, Any], training: bool | None = None) -> Any:
        """float32 [batch, 1], the same for all."""
        return tf.fill([tf.shape(inputs["history"])[0], 1], self.boost.value)

    def item(self, inputs: dict[str, Any], training: bool | None = None) -> Any:
        """float32 [batch, 1] from `item_index`."""
        new = tf.cast(inputs[schema.ITEM_INDEX], tf.int32) < 0
        return tf.where(new[:, None], self.height.value, 0.0)

    def query_parts(self, inputs: dict[str, Any]) -> QueryParts:
        """Nothing by single events."""
        shape = [None, inputs["history"].shape[1], 1]
        events = tf.zeros([*tf.unstack(tf.shape(inputs["history"])), 1])
        return QueryParts(tf.ensure_shape(events, shape), {BASE: self.query(inputs)})

    def item_parts(self, inputs: dict[str, Any]) -> Parts:
        """All of it is newness."""
        return {NEWNESS: self.item(inputs)}
