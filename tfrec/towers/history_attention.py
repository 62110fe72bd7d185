"""Attention pooling of past items."""

from __future__ import annotations

from typing import Any

import keras

from tfrec.registry import register
from tfrec.towers.history import HistoryTower

__all__ = ["AttentionHistory"]

ops = keras.ops


@register("history", "attention")
@keras.saving.register_keras_serializable("tfrec")
class AttentionHistory(HistoryTower):
    """Each head weighs the items by softmax(vᵀ tanh(W x)) and sums its share of their coordinates.

    Lin et al., "A structured self-attentive sentence embedding", 2017, equation 5, a head for each
    slice of the vector. Order counts through the ages alone.

    Args:
        dimension: Width of the items' vectors and of the result; a multiple of `heads`.
        events: Size of the event types' vocabulary; 0 when there are no types.
        heads: How many.
        dropout: Of the hidden layer, in training.
        **kwargs: Keras' own.
    """

    def __init__(
        self,
        dimension: int,
        *,
        events: int = 0,
        heads: int = 4,
        dropout: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(dimension, events=events, **kwargs)
        if dimension % heads:
            raise ValueError(f"`heads` must divide {dimension}. Received: heads={heads}")
        self.heads = heads
        self.dropout = dropout

    def build_encoder(self, ages: bool, events: bool) -> None:
        """Makes the scores' layers."""
        policy = self.dtype_policy
        self.hidden = keras.layers.Dense(self.dimension, activation="tanh", dtype=policy)
        self.hidden.build((None, self.dimension))
        self.score = keras.layers.Dense(self.heads, use_bias=False, dtype=policy)
        self.score.build((None, self.dimension))
        self.dropout_layer = keras.layers.Dropout(self.dropout, dtype=policy)

    def encode(
        self, vectors: Any, present: Any, ages: Any, events: Any, training: bool | None
    ) -> Any:
        """Weighs by head and sums."""
        hidden = self.dropout_layer(self.hidden(vectors), training=training)
        logits = ops.cast(self.score(hidden), "float32")
        logits = ops.where(present[:, :, None], logits, -1e9)
        weights = ops.cast(ops.softmax(logits, 1), vectors.dtype)
        length = ops.shape(vectors)[1]
        parts = ops.reshape(vectors, (-1, length, self.heads, self.dimension // self.heads))
        pooled = ops.einsum("blh,blhd->bhd", weights, parts)
        return ops.reshape(pooled, (-1, self.dimension))

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {**super().get_config(), "heads": self.heads, "dropout": self.dropout}
