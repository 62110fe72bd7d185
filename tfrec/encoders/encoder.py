"""The base of frozen encoders: raw media of one modality in, one vector each out."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

__all__ = ["Encoder"]


class Encoder(keras.layers.Layer):
    """A frozen pretrained model that turns prepared raw media into vectors.

    As a layer it works in graph ops alone, so that the same weights run in preprocessing and inside
    an exported model; `encode` is the fast way for NumPy batches. Its configuration is its handle:
    loading it from a file resolves the handle again, so that weights of 100 MB aren't copied into
    every run directory.

    Attributes:
        handle: What the user wrote: `minilm`, a preset's name, `hf:PATH`, a path.
        modality: `text`, `image`, `audio` or `video`.
        dimension: Width of its vectors.
        fingerprint: Sixteen hexadecimal digits of its files and options: equal where vectors are.
        image_size: (height, width) in pixels that pictures and frames are to be decoded to; None
            for other modalities.
        sample_rate: Samples per second that sounds are to be decoded to; None for others.
    """

    def __init__(self, handle: str, modality: str, dimension: int, fingerprint: str) -> None:
        super().__init__(trainable=False, autocast=False, dtype="float32")
        self.handle = handle
        self.modality = modality
        self.dimension = dimension
        self.fingerprint = fingerprint
        self.image_size: tuple[int, int] | None = None
        self.sample_rate: int | None = None
        # Its parts are built already, and nothing here depends on the input's shape.
        self.built = True

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Encodes a batch in graph ops.

        Args:
            inputs: string [batch]; uint8 [batch, height, width, 3]; int16 [batch, samples]; or
                uint8 [batch, frames, height, width, 3].

        Returns:
            float32 [batch, dimension].
        """
        raise NotImplementedError

    def encode(self, batch: np.ndarray, batch_size: int = 32) -> np.ndarray:
        """Encodes a NumPy batch of any length.

        Args:
            batch: What `call` takes, as an array; texts as an object array of str or bytes.
            batch_size: Elements in one pass.

        Returns:
            float32 [len(batch), dimension], in the order given.
        """
        if len(batch) == 0:
            return np.zeros((0, self.dimension), np.float32)
        parts = [
            self._compiled()(self._padded(batch[start : start + batch_size], batch_size)).numpy()
            for start in range(0, len(batch), batch_size)
        ]
        return np.concatenate(parts)[: len(batch)]

    def _compiled(self) -> Any:
        # Without XLA: on a CPU its depthwise convolutions took ten times as long.
        if not hasattr(self, "_function"):
            self._function = tf.function(self.call)
        return self._function

    @staticmethod
    def _padded(batch: np.ndarray, size: int) -> np.ndarray:
        # One shape, one compilation: the last batch is filled up with copies of its first element.
        missing = size - len(batch)
        return np.concatenate([batch, np.repeat(batch[:1], missing, 0)]) if missing else batch

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, int]:
        """One vector for each element."""
        return (input_shape[0], self.dimension)

    def get_config(self) -> dict[str, Any]:
        """The handle and the options that `resolve` takes."""
        return {"handle": self.handle, "modality": self.modality}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Encoder:
        """Resolves the handle again.

        Raises:
            EncoderNotFoundError: It names nothing on this machine.
        """
        from tfrec.encoders.resolving import resolve

        return resolve(**config)
