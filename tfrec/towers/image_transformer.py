"""A small vision transformer."""

from __future__ import annotations

from typing import Any

import keras

from tfrec.fusion import TransformerBlock
from tfrec.registry import register
from tfrec.towers.tower import Tower

__all__ = ["ImageTransformerTower"]

ops = keras.ops


@register("tower", "image_transformer")
@keras.saving.register_keras_serializable("tfrec")
class ImageTransformerTower(Tower):
    """Patches as tokens with learned positions, transformer blocks, attention pooling.

    Dosovitskiy et al., "An image is worth 16x16 words" (ViT), 2021, pooled by a learned score over
    patches instead of its class token.

    Args:
        dimension: Width of the result.
        patch: Side of a patch in pixels; the picture's sides are multiples of it.
        width: Of the tokens.
        blocks: How many.
        heads: Attention heads; they divide `width`.
        dropout: In the blocks, in training.
        normalize: Whether to bring the result to unit length times a learned scale.
        **kwargs: Keras' own.
    """

    modalities = frozenset({"image"})

    def __init__(
        self,
        dimension: int,
        *,
        patch: int = 8,
        width: int = 48,
        blocks: int = 2,
        heads: int = 3,
        dropout: float = 0.0,
        normalize: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(dimension, normalize=normalize, **kwargs)
        if width % heads:
            raise ValueError(f"`heads` must divide {width}. Received: heads={heads}")
        self.patch = patch
        self.width = width
        self.blocks_count = blocks
        self.heads = heads
        self.dropout = dropout

    def build_features(self, inputs_shape: Any) -> int:
        """Makes patches, positions and blocks."""
        height, width = inputs_shape[1:3]
        if height % self.patch or width % self.patch:
            raise ValueError(
                f"`patch` must divide the picture's sides, {height} and {width}."
                f" Received: patch={self.patch}"
            )
        policy = self.dtype_policy
        self.patches = keras.layers.Conv2D(self.width, self.patch, self.patch, dtype=policy)
        self.patches.build((None, *inputs_shape[1:]))
        self.positions = self.add_weight(
            shape=((height // self.patch) * (width // self.patch), self.width),
            initializer=keras.initializers.RandomNormal(stddev=0.02),
            name="positions",
            dtype="float32",
        )
        self.blocks = []
        for _ in range(self.blocks_count):
            block = TransformerBlock(self.heads, dropout=self.dropout, dtype=policy)
            block.build((None, None, self.width))
            self.blocks.append(block)
        self.norm = keras.layers.LayerNormalization(epsilon=1e-6, dtype=policy)
        self.norm.build((None, None, self.width))
        self.score = self.dense(1, use_bias=False, name="score")
        self.score.build((None, self.width))
        return self.width

    def features(self, inputs: Any, training: bool | None) -> Any:
        """Attends over uint8 [batch, height, width, 3], scaled to -1 … 1."""
        x = self.patches(ops.cast(inputs, self.compute_dtype) / 127.5 - 1.0)
        x = ops.reshape(x, (-1, self.positions.shape[0], self.width))
        x = x + ops.cast(self.positions, x.dtype)
        for block in self.blocks:
            x = block(x, training=training)
        x = self.norm(x)
        weights = ops.softmax(ops.cast(self.score(x), "float32"), 1)
        return ops.sum(ops.cast(weights, x.dtype) * x, 1)

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {
            **super().get_config(),
            "patch": self.patch,
            "width": self.width,
            "blocks": self.blocks_count,
            "heads": self.heads,
            "dropout": self.dropout,
        }
