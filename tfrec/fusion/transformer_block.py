"""A pre-norm transformer block, for sequences of items, words, patches and frames."""

from __future__ import annotations

from typing import Any

import keras

__all__ = ["TransformerBlock"]


@keras.saving.register_keras_serializable("tfrec")
class TransformerBlock(keras.layers.Layer):
    """x + attention(norm(x)), then x + dense(gelu(dense(norm(x)))).

    Vaswani et al., "Attention is all you need", 2017, with the norm first (Xiong et al., "On layer
    normalization in the transformer architecture", 2020), which trains without a warm-up.

    Args:
        heads: Attention heads; they divide the width.
        inner: Width of the inner layer, as a multiple of the width.
        dropout: Of attention weights and of both branches, in training.
        **kwargs: Keras' own.
    """

    def __init__(self, heads: int, *, inner: int = 2, dropout: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.heads = heads
        self.inner = inner
        self.dropout = dropout

    def build(self, x_shape: Any, attends_shape: Any = None) -> None:
        """Makes the layers."""
        width = x_shape[-1]
        if width % self.heads:
            raise ValueError(f"`heads` must divide {width}. Received: heads={self.heads}")
        policy = self.dtype_policy
        options: dict[str, Any] = {"epsilon": 1e-6, "dtype": policy}
        self.norms = [keras.layers.LayerNormalization(**options) for _ in range(2)]
        self.attention = keras.layers.MultiHeadAttention(
            self.heads, width // self.heads, dropout=self.dropout, dtype=policy
        )
        self.dense_in = keras.layers.Dense(width * self.inner, activation="gelu", dtype=policy)
        self.dense_out = keras.layers.Dense(width, dtype=policy)
        self.dropouts = [keras.layers.Dropout(self.dropout, dtype=policy) for _ in range(2)]
        shape = (None, None, width)
        for norm in self.norms:
            norm.build(shape)
        self.attention.build(shape, shape)
        self.dense_in.build(shape)
        self.dense_out.build((None, None, width * self.inner))
        self.built = True

    def call(self, x: Any, attends: Any = None, training: bool | None = None) -> Any:
        """Transforms a sequence.

        Args:
            x: float [batch, length, width].
            attends: bool, broadcastable to [batch, length, length]: whether the row's position
                reads the column's; everything unless given.
            training: Whether this is a training step.

        Returns:
            float [batch, length, width].
        """
        normed = self.norms[0](x)
        read = self.attention(normed, normed, attention_mask=attends, training=training)
        x = x + self.dropouts[0](read, training=training)
        inner = self.dense_out(self.dense_in(self.norms[1](x)))
        return x + self.dropouts[1](inner, training=training)

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {
            **super().get_config(),
            "heads": self.heads,
            "inner": self.inner,
            "dropout": self.dropout,
        }
