"""A small convolutional network over pictures."""

from __future__ import annotations

from typing import Any

import keras

from tfrec.registry import register
from tfrec.towers.strides import halving
from tfrec.towers.tower import Tower

__all__ = ["ImageCnnTower"]

ops = keras.ops


@register("tower", "image_cnn")
@keras.saving.register_keras_serializable("tfrec")
class ImageCnnTower(Tower):
    """Patches of 4x4 pixels, then convolutions of stride 2; mean and maximum over positions.

    The first layer reads each pixel once (its stride is its size), which is what makes it cheap.

    Args:
        dimension: Width of the result.
        channels: Of each layer, the first of them the patches'.
        patch: Side of a patch in pixels.
        dropout: Of the pooled features, in training.
        normalize: Whether to bring the result to unit length times a learned scale.
        **kwargs: Keras' own.
    """

    modalities = frozenset({"image"})

    def __init__(
        self,
        dimension: int,
        *,
        channels: tuple[int, ...] = (24, 32, 48),
        patch: int = 4,
        dropout: float = 0.0,
        normalize: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(dimension, normalize=normalize, **kwargs)
        if not channels or patch < 1:
            raise ValueError(
                "`channels` must not be empty and `patch` be positive."
                f" Received: channels={channels}, patch={patch}"
            )
        self.channels = tuple(channels)
        self.patch = patch
        self.dropout = dropout

    def build_features(self, inputs_shape: Any) -> int:
        """Makes the convolutions."""
        first, *rest = self.channels
        policy = self.dtype_policy
        options: dict[str, Any] = {"padding": "same", "activation": "relu", "dtype": policy}
        layers = [keras.layers.Conv2D(first, self.patch, self.patch, **options)]
        shape = layers[0].compute_output_shape((None, *inputs_shape[1:]))
        for channels in rest:
            layers.append(keras.layers.Conv2D(channels, 3, halving(shape), **options))
            shape = layers[-1].compute_output_shape(shape)
        self.stack = keras.Sequential(layers)
        self.stack.build((None, *inputs_shape[1:]))
        self.dropout_layer = keras.layers.Dropout(self.dropout, dtype=policy)
        return 2 * self.channels[-1]

    def features(self, inputs: Any, training: bool | None) -> Any:
        """Convolves uint8 [batch, height, width, 3], scaled to -1 … 1."""
        pixels = ops.cast(inputs, self.compute_dtype) / 127.5 - 1.0
        maps = self.stack(pixels, training=training)
        pooled = ops.concatenate([ops.mean(maps, (1, 2)), ops.max(maps, (1, 2))], -1)
        return self.dropout_layer(pooled, training=training)

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {
            **super().get_config(),
            "channels": self.channels,
            "patch": self.patch,
            "dropout": self.dropout,
        }
