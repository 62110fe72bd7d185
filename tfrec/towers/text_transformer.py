"""A transformer over words, from scratch."""

from __future__ import annotations

from typing import Any

import keras

from tfrec.fusion import TransformerBlock
from tfrec.registry import register
from tfrec.towers.words import TextTower

__all__ = ["TextTransformerTower"]

ops = keras.ops


@register("tower", "text_transformer")
@keras.saving.register_keras_serializable("tfrec")
class TextTransformerTower(TextTower):
    """Word vectors with learned positions, transformer blocks, the mean over words.

    Vaswani et al., "Attention is all you need", 2017, the encoder, norm first.

    Args:
        dimension: Width of the result.
        blocks: How many.
        heads: Attention heads; they divide `width`.
        buckets: Rows of the word table.
        width: Of the table's rows; `dimension` unless given.
        max_length: Words kept.
        dropout: Of the word vectors and the result, in training.
        normalize: Whether to bring the result to unit length times a learned scale.
        **kwargs: Keras' own.
    """

    def __init__(
        self,
        dimension: int,
        *,
        blocks: int = 2,
        heads: int = 2,
        buckets: int = 20_000,
        width: int | None = None,
        max_length: int = 64,
        dropout: float = 0.0,
        normalize: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            dimension,
            buckets=buckets,
            width=width,
            max_length=max_length,
            dropout=dropout,
            normalize=normalize,
            **kwargs,
        )
        if self.width % heads:
            raise ValueError(f"`heads` must divide {self.width}. Received: heads={heads}")
        self.blocks_count = blocks
        self.heads = heads

    def build_features(self, inputs_shape: Any) -> int:
        """Makes positions and blocks."""
        width = super().build_features(inputs_shape)
        self.positions = self.add_weight(
            shape=(self.max_length, width),
            initializer=keras.initializers.RandomNormal(stddev=0.02),
            name="positions",
            dtype="float32",
        )
        self.blocks = []
        for _ in range(self.blocks_count):
            block = TransformerBlock(self.heads, dropout=self.dropout, dtype=self.dtype_policy)
            block.build((None, None, width))
            self.blocks.append(block)
        self.norm = keras.layers.LayerNormalization(epsilon=1e-6, dtype=self.dtype_policy)
        self.norm.build((None, None, width))
        self.dropout_layer = keras.layers.Dropout(self.dropout, dtype=self.dtype_policy)
        return width

    def features(self, inputs: Any, training: bool | None) -> Any:
        """Attends and averages."""
        vectors, present = self.word_vectors(inputs)
        flags = ops.cast(present, vectors.dtype)[:, :, None]
        x = self.dropout_layer(
            vectors + ops.cast(self.positions, vectors.dtype) * flags, training=training
        )
        for block in self.blocks:
            x = block(x, present[:, None, :], training=training)
        x = self.norm(x) * flags
        return ops.sum(x, 1) / ops.maximum(ops.sum(flags, 1), 1.0)

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {**super().get_config(), "blocks": self.blocks_count, "heads": self.heads}
