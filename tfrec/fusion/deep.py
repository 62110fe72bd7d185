"""A residual network over the concatenation."""

from __future__ import annotations

from typing import Any

import keras

from tfrec.fusion.fusion import Fusion
from tfrec.registry import register

__all__ = ["DeepFusion"]


@register("fusion", "deep")
@keras.saving.register_keras_serializable("tfrec")
class DeepFusion(Fusion):
    """x = W [x_1; …; x_m; p] + b, then blocks x + V gelu(U norm(x)), then a norm.

    The residual network of Gorishniy et al., "Revisiting deep learning models for tabular data",
    2021, section 3.2. Also the plain choice for a user's profile features.

    Args:
        dimension: Width of the result.
        blocks: How many.
        inner: Width of a block's inner layer, as a multiple of `dimension`.
        dropout: Of the inner layer, in training.
        **kwargs: Keras' own.
    """

    def __init__(
        self,
        dimension: int,
        *,
        blocks: int = 2,
        inner: int = 2,
        dropout: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(dimension, **kwargs)
        self.blocks_count = blocks
        self.inner = inner
        self.dropout = dropout

    def build_fusion(self, modalities: int) -> None:
        """Makes the blocks."""
        size = self.dimension
        self.entry = self.built_dense(modalities * (size + 1), size)
        self.norms, self.ins, self.outs = [], [], []
        for _ in range(self.blocks_count):
            self.ins.append(self.built_dense(size, size * self.inner, activation="gelu"))
            self.outs.append(self.built_dense(size * self.inner, size))
        for _ in range(self.blocks_count + 1):
            norm = keras.layers.LayerNormalization(epsilon=1e-6, dtype=self.dtype_policy)
            norm.build((None, size))
            self.norms.append(norm)
        self.dropout_layer = keras.layers.Dropout(self.dropout, dtype=self.dtype_policy)

    def fuse(self, vectors: Any, present: Any, training: bool | None) -> Any:
        """Maps."""
        x = self.entry(self.flat(vectors, present))
        for norm, into, out in zip(self.norms, self.ins, self.outs, strict=False):
            x = x + out(self.dropout_layer(into(norm(x)), training=training))
        return self.norms[-1](x)

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {
            **super().get_config(),
            "blocks": self.blocks_count,
            "inner": self.inner,
            "dropout": self.dropout,
        }
