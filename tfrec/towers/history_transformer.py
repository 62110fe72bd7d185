"""A causal transformer over past items."""

from __future__ import annotations

from typing import Any, Literal

import keras
import tensorflow as tf

from tfrec.fusion import TransformerBlock
from tfrec.registry import register
from tfrec.towers.history_causal import CausalHistory

__all__ = ["TransformerHistory"]

ops = keras.ops


@register("history", "transformer")
@keras.saving.register_keras_serializable("tfrec")
class TransformerHistory(CausalHistory):
    """Positions counted from the latest event, causal self-attention, the latest position's state.

    Kang & McAuley, "Self-attentive sequential recommendation" (SASRec), 2018, with the norm before
    each block. No position reads a later one, so `states` at t is what `call` gives for the history
    up to t when positions are the same. Order counts.

    Args:
        dimension: Width of the items' vectors and of the result; a multiple of `heads`.
        events: Size of the event types' vocabulary; 0 when there are no types.
        time: What is read of an event's time: its `age`, or the `gap` to the next event.
        blocks: How many.
        heads: Attention heads.
        inner: Width of a block's inner layer, as a multiple of `dimension`.
        dropout: Of the input and in the blocks, in training.
        max_length: Positions that are told apart; older ones share the last.
        **kwargs: Keras' own.
    """

    def __init__(
        self,
        dimension: int,
        *,
        events: int = 0,
        time: Literal["age", "gap"] = "age",
        blocks: int = 2,
        heads: int = 2,
        inner: int = 2,
        dropout: float = 0.1,
        max_length: int = 200,
        **kwargs: Any,
    ) -> None:
        super().__init__(dimension, events=events, time=time, **kwargs)
        if dimension % heads:
            raise ValueError(f"`heads` must divide {dimension}. Received: heads={heads}")
        self.blocks_count = blocks
        self.heads = heads
        self.inner = inner
        self.dropout = dropout
        self.max_length = max_length

    def build_encoder(self, ages: bool, events: bool) -> None:
        """Makes positions and blocks."""
        policy = self.dtype_policy
        self.positions = self.add_weight(
            shape=(self.max_length, self.dimension),
            initializer=keras.initializers.RandomNormal(stddev=0.02),
            name="positions",
            dtype="float32",
        )
        self.blocks = []
        for _ in range(self.blocks_count):
            block = TransformerBlock(
                self.heads, inner=self.inner, dropout=self.dropout, dtype=policy
            )
            block.build((None, None, self.dimension))
            self.blocks.append(block)
        self.norm = keras.layers.LayerNormalization(epsilon=1e-6, dtype=policy)
        self.norm.build((None, None, self.dimension))
        self.dropout_layer = keras.layers.Dropout(self.dropout, dtype=policy)

    def states(self, vectors: Any, present: Any, training: bool | None) -> Any:
        """The state at each position, [batch, length, dimension]."""
        length = vectors.shape[1] or ops.shape(vectors)[1]
        place = tf.minimum(length - 1 - tf.range(length), self.max_length - 1)
        rows = ops.cast(tf.gather(self.positions.value, place), vectors.dtype)
        x = vectors + rows * ops.cast(present, vectors.dtype)[:, :, None]
        x = self.dropout_layer(x, training=training)
        order = tf.range(length)
        attends = (order[None, :] <= order[:, None])[None] & present[:, None, :]
        for block in self.blocks:
            x = block(x, attends, training=training)
        return self.norm(x)

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {
            **super().get_config(),
            "blocks": self.blocks_count,
            "heads": self.heads,
            "inner": self.inner,
            "dropout": self.dropout,
            "max_length": self.max_length,
        }
