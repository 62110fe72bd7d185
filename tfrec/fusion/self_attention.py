"""Self-attention over modality tokens."""

from __future__ import annotations

from typing import Any

import keras

from tfrec.fusion.fusion import Fusion
from tfrec.fusion.transformer_block import TransformerBlock
from tfrec.registry import register

__all__ = ["SelfAttentionFusion"]

ops = keras.ops


@register("fusion", "self_attention")
@keras.saving.register_keras_serializable("tfrec")
class SelfAttentionFusion(Fusion):
    """A transformer over all modalities' tokens and a first one, whose state is the result.

    As BERT's [CLS] (Devlin et al., 2019) over modalities, as in UNITER (Chen et al., 2020); an
    embedding of its modality is added to each token. What is missing isn't attended to.

    Args:
        dimension: Width of the result; a multiple of `heads`.
        blocks: Transformer blocks.
        heads: Attention heads.
        inner: Width of a block's inner layer, as a multiple of `dimension`.
        dropout: In the blocks, in training.
        **kwargs: Keras' own.
    """

    reads_tokens = True

    def __init__(
        self,
        dimension: int,
        *,
        blocks: int = 1,
        heads: int = 2,
        inner: int = 2,
        dropout: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(dimension, **kwargs)
        if dimension % heads:
            raise ValueError(f"`heads` must divide {dimension}. Received: heads={heads}")
        self.blocks_count = blocks
        self.heads = heads
        self.inner = inner
        self.dropout = dropout

    def build_fusion(self, modalities: int) -> None:
        """Makes the first token, the modalities' embeddings and the blocks."""
        small = keras.initializers.RandomNormal(stddev=0.02)
        self.first = self.add_weight(shape=(self.dimension,), initializer=small, name="first")
        self.kinds = self.add_weight(
            shape=(modalities, self.dimension), initializer=small, name="kinds"
        )
        self.blocks = []
        for _ in range(self.blocks_count):
            block = TransformerBlock(
                self.heads, inner=self.inner, dropout=self.dropout, dtype=self.dtype_policy
            )
            block.build((None, None, self.dimension))
            self.blocks.append(block)
        self.norm = keras.layers.LayerNormalization(epsilon=1e-6, dtype=self.dtype_policy)
        self.norm.build((None, self.dimension))

    def fuse_tokens(self, tokens: list[Any], present: Any, training: bool | None) -> Any:
        """Attends."""
        first = ops.cast(self.first, present.dtype)[None, None]
        rows = [ops.broadcast_to(first, (ops.shape(present)[0], 1, self.dimension))]
        flags = [ops.ones_like(present[:, :1])]
        for place, part in enumerate(tokens):
            kind = ops.cast(self.kinds[place], part.dtype)
            rows.append(part + kind)
            flags.append(ops.repeat(present[:, place : place + 1], ops.shape(part)[1], 1))
        x = ops.concatenate(rows, 1)
        attends = (ops.concatenate(flags, 1) > 0)[:, None, :]
        for block in self.blocks:
            x = block(x, attends, training=training)
        return self.norm(x[:, 0]), None

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {
            **super().get_config(),
            "blocks": self.blocks_count,
            "heads": self.heads,
            "inner": self.inner,
            "dropout": self.dropout,
        }
