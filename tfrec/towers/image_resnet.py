"""A residual convolutional network over pictures."""

from __future__ import annotations

from typing import Any

import keras

from tfrec.registry import register
from tfrec.towers.strides import halving
from tfrec.towers.tower import Tower

__all__ = ["ImageResnetTower"]

ops = keras.ops


@register("tower", "image_resnet")
@keras.saving.register_keras_serializable("tfrec")
class ImageResnetTower(Tower):
    """A patch layer, then residual blocks of two convolutions; mean and maximum over positions.

    He et al., "Identity mappings in deep residual networks", 2016: norm and ReLU before each
    convolution. Norms are by layer, not by batch, so that a picture's vector depends on no other.

    Args:
        dimension: Width of the result.
        channels: Of each stage; each after the first halves height and width.
        blocks: Residual blocks in a stage.
        patch: Side in pixels of the first layer's patches.
        dropout: Of the pooled features, in training.
        normalize: Whether to bring the result to unit length times a learned scale.
        **kwargs: Keras' own.
    """

    modalities = frozenset({"image"})

    def __init__(
        self,
        dimension: int,
        *,
        channels: tuple[int, ...] = (32, 64),
        blocks: int = 1,
        patch: int = 4,
        dropout: float = 0.0,
        normalize: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(dimension, normalize=normalize, **kwargs)
        if not channels or blocks < 1 or patch < 1:
            raise ValueError(
                "`channels` must not be empty, `blocks` and `patch` be positive."
                f" Received: channels={channels}, blocks={blocks}, patch={patch}"
            )
        self.channels = tuple(channels)
        self.blocks_count = blocks
        self.patch = patch
        self.dropout = dropout

    def build_features(self, inputs_shape: Any) -> int:
        """Makes the stages."""
        policy = self.dtype_policy
        self.first = keras.layers.Conv2D(
            self.channels[0], self.patch, self.patch, padding="same", dtype=policy
        )
        shape = (None, *inputs_shape[1:])
        self.first.build(shape)
        shape = self.first.compute_output_shape(shape)
        self.branches, self.shortcuts = [], []
        for stage, channels in enumerate(self.channels):
            for block in range(self.blocks_count):
                stride = halving(shape) if stage and not block else (1, 1)
                layers: list[Any] = []
                for step in (stride, (1, 1)):
                    layers.append(keras.layers.LayerNormalization(epsilon=1e-6, dtype=policy))
                    layers.append(keras.layers.ReLU(dtype=policy))
                    layers.append(
                        keras.layers.Conv2D(channels, 3, step, padding="same", dtype=policy)
                    )
                branch = keras.Sequential(layers)
                branch.build(shape)
                shortcut = None
                if stride != (1, 1) or shape[-1] != channels:
                    shortcut = keras.layers.Conv2D(
                        channels, 1, stride, padding="same", use_bias=False, dtype=policy
                    )
                    shortcut.build(shape)
                shape = branch.compute_output_shape(shape)
                self.branches.append(branch)
                self.shortcuts.append(shortcut)
        self.norm = keras.layers.LayerNormalization(epsilon=1e-6, dtype=policy)
        self.norm.build(shape)
        self.dropout_layer = keras.layers.Dropout(self.dropout, dtype=policy)
        return 2 * self.channels[-1]

    def features(self, inputs: Any, training: bool | None) -> Any:
        """Convolves uint8 [batch, height, width, 3], scaled to -1 … 1."""
        x = self.first(ops.cast(inputs, self.compute_dtype) / 127.5 - 1.0)
        for branch, shortcut in zip(self.branches, self.shortcuts, strict=True):
            x = branch(x, training=training) + (x if shortcut is None else shortcut(x))
        x = ops.relu(self.norm(x))
        pooled = ops.concatenate([ops.mean(x, (1, 2)), ops.max(x, (1, 2))], -1)
        return self.dropout_layer(pooled, training=training)

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {
            **super().get_config(),
            "channels": self.channels,
            "blocks": self.blocks_count,
            "patch": self.patch,
            "dropout": self.dropout,
        }
