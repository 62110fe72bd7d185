"""A video as frames: an image network on each, and pooling over time."""

from __future__ import annotations

from typing import Any, Literal

import keras

from tfrec.registry import register
from tfrec.towers.image_cnn import ImageCnnTower

__all__ = ["VideoTower"]

ops = keras.ops


@register("tower", "frames")
@keras.saving.register_keras_serializable("tfrec")
class VideoTower(ImageCnnTower):
    """The image network on each frame, then the mean, a GRU or attention over time.

    The mean knows what is seen, the GRU also in which order; attention weighs each frame by a
    learned score (Yang et al., "Hierarchical attention networks", 2016).

    Args:
        dimension: Width of the result.
        pooling: Over time: `mean`, `gru`, `attention`.
        channels: Of each layer of the image network.
        patch: Side of a patch in pixels.
        dropout: Of the pooled features, in training.
        normalize: Whether to bring the result to unit length times a learned scale.
        **kwargs: Keras' own.
    """

    modalities = frozenset({"video"})

    def __init__(
        self,
        dimension: int,
        *,
        pooling: Literal["mean", "gru", "attention"] = "mean",
        channels: tuple[int, ...] = (24, 32, 48),
        patch: int = 4,
        dropout: float = 0.0,
        normalize: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            dimension,
            channels=channels,
            patch=patch,
            dropout=dropout,
            normalize=normalize,
            **kwargs,
        )
        self.pooling = pooling

    def build_features(self, inputs_shape: Any) -> int:
        """Makes the image network and the pooling."""
        width = super().build_features((inputs_shape[0], *inputs_shape[2:]))
        if self.pooling == "gru":
            self.recurrence = keras.layers.GRU(width, dtype=self.dtype_policy)
            self.recurrence.build((None, None, width))
        elif self.pooling == "attention":
            self.hidden = self.dense(width, activation="tanh")
            self.hidden.build((None, width))
            self.score = self.dense(1, use_bias=False)
            self.score.build((None, width))
        return width

    def features(self, inputs: Any, training: bool | None) -> Any:
        """Embeds uint8 [batch, frames, height, width, 3]."""
        shape = ops.shape(inputs)
        frames = ops.reshape(inputs, (-1, *inputs.shape[2:]))
        vectors = super().features(frames, training)
        vectors = ops.reshape(vectors, (shape[0], inputs.shape[1] or shape[1], vectors.shape[-1]))
        if self.pooling == "gru":
            return self.recurrence(vectors, training=training)
        if self.pooling == "attention":
            weights = ops.softmax(self.score(self.hidden(vectors)), 1)
            return ops.sum(weights * vectors, 1)
        return ops.mean(vectors, 1)

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {**super().get_config(), "pooling": self.pooling}
