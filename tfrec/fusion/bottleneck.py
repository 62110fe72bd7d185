"""Attention bottlenecks between modalities."""

from __future__ import annotations

from typing import Any

import keras

from tfrec.fusion.fusion import Fusion
from tfrec.fusion.transformer_block import TransformerBlock
from tfrec.registry import register

__all__ = ["BottleneckFusion"]

ops = keras.ops


@register("fusion", "bottleneck")
@keras.saving.register_keras_serializable("tfrec")
class BottleneckFusion(Fusion):
    """Each modality's transformer sees its own tokens and a few shared ones, and writes into these.

    Nagrani et al., "Attention bottlenecks for multimodal fusion" (MBT), 2021, equations 8 and 9: in
    each layer every modality updates its copy of the bottleneck, and the copies of those present
    are averaged. The result is the normed mean of the last bottleneck and of the modalities' own
    tokens.

    Args:
        dimension: Width of the result; a multiple of `heads`.
        bottlenecks: Shared tokens (4 in the paper, whose modalities have hundreds of tokens).
        layers: How many.
        heads: Attention heads.
        inner: Width of a block's inner layer, as a multiple of `dimension`.
        **kwargs: Keras' own.
    """

    reads_tokens = True

    def __init__(
        self,
        dimension: int,
        *,
        bottlenecks: int = 2,
        layers: int = 1,
        heads: int = 2,
        inner: int = 2,
        **kwargs: Any,
    ) -> None:
        super().__init__(dimension, **kwargs)
        if dimension % heads:
            raise ValueError(f"`heads` must divide {dimension}. Received: heads={heads}")
        if bottlenecks < 1 or layers < 1:
            raise ValueError(
                "`bottlenecks` and `layers` must be positive."
                f" Received: bottlenecks={bottlenecks}, layers={layers}"
            )
        self.bottlenecks = bottlenecks
        self.layers_count = layers
        self.heads = heads
        self.inner = inner

    def build_fusion(self, modalities: int) -> None:
        """Makes the shared tokens and a block for each modality and layer."""
        self.shared = self.add_weight(
            shape=(self.bottlenecks, self.dimension),
            initializer=keras.initializers.RandomNormal(stddev=0.02),
            name="shared",
        )
        self.blocks = []
        for _ in range(modalities * self.layers_count):
            block = TransformerBlock(self.heads, inner=self.inner, dtype=self.dtype_policy)
            block.build((None, None, self.dimension))
            self.blocks.append(block)
        self.norm = keras.layers.LayerNormalization(epsilon=1e-6, dtype=self.dtype_policy)
        self.norm.build((None, self.dimension))

    def fuse_tokens(self, tokens: list[Any], present: Any, training: bool | None) -> Any:
        """Attends within, averages between."""
        count = ops.maximum(ops.sum(present, 1), 1.0)[:, None, None]
        some = ops.max(present, 1)[:, None, None]
        shape = (ops.shape(present)[0], self.bottlenecks, self.dimension)
        shared = ops.broadcast_to(ops.cast(self.shared, present.dtype)[None], shape)
        tokens = list(tokens)
        for layer in range(self.layers_count):
            written = ops.zeros_like(shared)
            for place, part in enumerate(tokens):
                block = self.blocks[layer * len(tokens) + place]
                x = block(ops.concatenate([part, shared], 1), training=training)
                own = part.shape[1] or ops.shape(part)[1]
                tokens[place] = x[:, :own]
                written = written + x[:, own:] * present[:, place][:, None, None]
            # With nothing present the bottleneck stays as it was.
            shared = ops.where(some > 0, written / count, shared)
        own_means = ops.stack([ops.mean(part, 1) for part in tokens], 1) * present[:, :, None]
        fused = ops.mean(shared, 1) + ops.sum(own_means, 1) / count[:, 0]
        return self.norm(fused), None

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {
            **super().get_config(),
            "bottlenecks": self.bottlenecks,
            "layers": self.layers_count,
            "heads": self.heads,
            "inner": self.inner,
        }
