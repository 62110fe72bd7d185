"""Frozen image and video encoders."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from tfrec.encoders.backbone import check_modality, load_backbone, load_part
from tfrec.encoders.encoder import Encoder
from tfrec.encoders.presets import Preset

__all__ = ["ImageEncoder", "VideoEncoder", "pixel_scaling"]


def pixel_scaling(preset: Preset) -> tuple[tuple[int, int], Any, Any]:
    """What a preset's pictures were: (height, width), and the scale and offset of their pixels.

    Raises:
        DescriptionError: keras-hub can't read it.
    """
    import keras_hub

    converter = load_part(keras_hub.layers.ImageConverter, preset, "image converter")
    height, width = converter.image_size
    scale = 1.0 if converter.scale is None else converter.scale
    offset = 0.0 if converter.offset is None else converter.offset
    return (int(height), int(width)), scale, offset


class ImageEncoder(Encoder):
    """A keras-hub image backbone, its pixel scaling, and the mean over positions.

    Pictures come decoded to `image_size`, whole, their sides squashed: nothing of a poster is cut
    off. Those of another size are resized first. The preset's own scale and offset bring pixels to
    the range that the model was trained on.

    Args:
        preset: The folder.
        modality: `image`, or `video` for `VideoEncoder`.
    """

    def __init__(self, preset: Preset, modality: str = "image") -> None:
        backbone = load_backbone(preset)
        check_modality(backbone, "image", f"encoder {preset.handle}", f"a feature of {modality}")
        size, scale, offset = pixel_scaling(preset)
        features = tuple(backbone.output.shape[1:])
        super().__init__(
            preset.handle,
            modality,
            int(features[-1]),
            preset.fingerprint(modality=modality, pooling="mean"),
        )
        self.image_size = size
        self._scale, self._offset = scale, offset
        self.backbone = backbone

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Encodes pictures.

        Args:
            inputs: uint8 [batch, height, width, 3].

        Returns:
            float32 [batch, dimension].
        """
        pixels = tf.cast(inputs, tf.float32)
        if tuple(inputs.shape[1:3]) != self.image_size:
            pixels = tf.image.resize(pixels, self.image_size, method="bilinear", antialias=True)
            pixels = tf.ensure_shape(pixels, [None, *(self.image_size or ()), 3])
        features = self.backbone(pixels * self._scale + self._offset)
        features = tf.cast(features, tf.float32)
        return tf.reduce_mean(features, list(range(1, len(features.shape) - 1)))


class VideoEncoder(ImageEncoder):
    """An image encoder over a video's frames, and the mean over time.

    Args:
        preset: The folder of an image model.
    """

    def __init__(self, preset: Preset) -> None:
        super().__init__(preset, "video")

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Encodes videos.

        Args:
            inputs: uint8 [batch, frames, height, width, 3].

        Returns:
            float32 [batch, dimension].
        """
        shape = keras.ops.shape(inputs)
        frames = tf.reshape(inputs, [-1, *shape[2:]])
        frames = tf.ensure_shape(frames, [None, *inputs.shape[2:]])
        vectors = super().call(frames)
        return tf.reduce_mean(tf.reshape(vectors, [shape[0], shape[1], self.dimension]), 1)
