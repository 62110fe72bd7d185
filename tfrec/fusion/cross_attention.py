"""One modality asks the others."""

from __future__ import annotations

from typing import Any

import keras

from tfrec.fusion.fusion import Fusion
from tfrec.registry import register

__all__ = ["CrossAttentionFusion"]

ops = keras.ops


@register("fusion", "cross_attention")
@keras.saving.register_keras_serializable("tfrec")
class CrossAttentionFusion(Fusion):
    """f = norm(q + attention(q, the other modalities' tokens)), q from the asking modality.

    As text asks pictures in ViLBERT (Lu et al., 2019), in one direction. Where the asking modality
    is missing, a learned vector asks; where all others are, nothing is added.

    Args:
        dimension: Width of the result; a multiple of `heads`.
        query: The modality that asks; unless given `text`, else the first by name.
        heads: Attention heads.
        **kwargs: Keras' own.
    """

    reads_tokens = True

    def __init__(
        self, dimension: int, *, query: str | None = None, heads: int = 2, **kwargs: Any
    ) -> None:
        super().__init__(dimension, **kwargs)
        if dimension % heads:
            raise ValueError(f"`heads` must divide {dimension}. Received: heads={heads}")
        self.query = query
        self.heads = heads

    def build_fusion(self, modalities: int) -> None:
        """Makes the attention."""
        asking = self.query or ("text" if "text" in self.names else self.names[0])
        if asking not in self.names:
            raise ValueError(
                f"`query` must be one of {', '.join(self.names)}. Received: query={asking}"
            )
        self.asking = self.names.index(asking)
        small = keras.initializers.RandomNormal(stddev=0.02)
        self.unasked = self.add_weight(shape=(self.dimension,), initializer=small, name="unasked")
        if modalities > 1:
            self.kinds = self.add_weight(
                shape=(modalities - 1, self.dimension), initializer=small, name="kinds"
            )
            self.attention = keras.layers.MultiHeadAttention(
                self.heads, self.dimension // self.heads, dtype=self.dtype_policy
            )
            self.attention.build((None, 1, self.dimension), (None, None, self.dimension))
        self.norm = keras.layers.LayerNormalization(epsilon=1e-6, dtype=self.dtype_policy)
        self.norm.build((None, self.dimension))

    def fuse_tokens(self, tokens: list[Any], present: Any, training: bool | None) -> Any:
        """Asks."""
        there = present[:, self.asking : self.asking + 1]
        unasked = ops.cast(self.unasked, present.dtype)
        query = ops.where(there > 0, ops.mean(tokens[self.asking], 1), unasked)
        others = [place for place in range(len(tokens)) if place != self.asking]
        if others:
            rows, flags = [], []
            for row, place in enumerate(others):
                part = tokens[place]
                rows.append(part + ops.cast(self.kinds[row], part.dtype))
                flags.append(ops.repeat(present[:, place : place + 1], ops.shape(part)[1], 1))
            flag = ops.concatenate(flags, 1)
            read = self.attention(
                query[:, None],
                ops.concatenate(rows, 1),
                attention_mask=(flag > 0)[:, None, :],
                training=training,
            )[:, 0]
            query = query + read * ops.max(flag, 1, keepdims=True)
        return self.norm(query), None

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {**super().get_config(), "query": self.query, "heads": self.heads}
