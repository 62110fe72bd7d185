"""A pretrained image model as a tower: frozen, partly or wholly tuned, or with LoRA."""

from __future__ import annotations

from typing import Any, Literal

import keras

from tfrec.encoders.image import pixel_scaling
from tfrec.registry import register
from tfrec.towers.pretrained import PretrainedTower
from tfrec.towers.tuning import Tuning

__all__ = ["PretrainedImageTower"]

ops = keras.ops


@register("tower", "pretrained_image")
@keras.saving.register_keras_serializable("tfrec")
class PretrainedImageTower(PretrainedTower):
    """Any keras-hub image model by handle; its positions' vectors pooled.

    A picture is resized to what the model was trained with, its pixels scaled as the preset says. A
    feature whose model stays frozen is cheaper as the data's `encoder`, which runs once.

    Args:
        dimension: Width of the result.
        handle: `preset:NAME`, `NAME` or a path; see `tfrec.encoders.find_preset`.
        tuning: What is trained: `none`, the `last` layers, `lora` (models with attention), `all`.
        layers: For `last`: how many.
        rank: For `lora`.
        pooling: Over positions: `mean`, `max` or `attention` (a learned score for each patch).
        dropout: Of the pooled vector, in training.
        normalize: Whether to bring the result to unit length times a learned scale.
        **kwargs: Keras' own.

    Raises:
        DescriptionError: The handle names no image model.
    """

    modalities = frozenset({"image"})

    def __init__(
        self,
        dimension: int,
        *,
        handle: str,
        tuning: Tuning = "none",
        layers: int = 2,
        rank: int = 8,
        pooling: Literal["mean", "max", "attention"] = "mean",
        dropout: float = 0.0,
        normalize: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            dimension,
            "image",
            handle=handle,
            tuning=tuning,
            layers=layers,
            rank=rank,
            pooling=pooling,
            dropout=dropout,
            normalize=normalize,
            **kwargs,
        )
        self._size, self._scale, self._offset = pixel_scaling(self.preset)

    def features(self, inputs: Any, training: bool | None) -> Any:
        """Embeds uint8 [batch, height, width, 3]."""
        pixels = ops.cast(inputs, "float32")
        if tuple(inputs.shape[1:3]) != self._size:
            pixels = ops.image.resize(pixels, self._size, "bilinear", antialias=True)
        features = self.backbone(
            pixels * self._scale + self._offset,
            training=bool(training) and self.learns,
        )
        positions = ops.reshape(features, (ops.shape(features)[0], -1, self.width))
        return self.dropout_layer(self.pool(positions), training=training)
