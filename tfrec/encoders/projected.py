"""A frozen encoder whose vectors preprocessing brought to fewer dimensions."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfrec.encoders.encoder import Encoder
from tfrec.errors import CorruptDataError

__all__ = ["ProjectedEncoder", "load_projection"]


class ProjectedEncoder(Encoder):
    """`(encoder(x) - mean) @ components`, by the numbers that the data was prepared with.

    Args:
        encoder: The encoder.
        mean: float32 [encoder.dimension].
        components: float32 [encoder.dimension, dimension].
    """

    def __init__(self, encoder: Encoder, mean: np.ndarray, components: np.ndarray) -> None:
        super().__init__(encoder.handle, encoder.modality, components.shape[1], encoder.fingerprint)
        self.encoder = encoder
        self.image_size = encoder.image_size
        self.sample_rate = encoder.sample_rate
        self._mean, self._components = mean, components

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Encodes and projects a batch; float32 [batch, dimension]."""
        vectors = tf.cast(self.encoder(inputs), tf.float32)
        return tf.matmul(vectors - tf.constant(self._mean), tf.constant(self._components))


def load_projection(path: Path, encoder: Encoder) -> ProjectedEncoder:
    """Reads a projection that preprocessing fitted.

    Raises:
        CorruptDataError: The file is missing or of another encoder.
    """
    try:
        with np.load(path) as saved:
            mean, components = saved["mean"], saved["components"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise CorruptDataError(
            str(path),
            "the data's projections are needed for an export",
            received=str(error),
            remedy="Preprocess again, or name the data's place by --data",
        ) from error
    if mean.shape != (encoder.dimension,) or len(components) != encoder.dimension:
        raise CorruptDataError(
            str(path),
            f"the projection is of vectors of {encoder.dimension} numbers",
            received=f"{len(components)}",
            remedy="Preprocess again with this encoder",
        )
    return ProjectedEncoder(encoder, mean, components)
