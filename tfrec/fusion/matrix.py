"""A matrix for each modality, summed."""

from __future__ import annotations

from typing import Any

import keras

from tfrec.fusion.fusion import Fusion
from tfrec.registry import register

__all__ = ["MatrixSum"]

ops = keras.ops


@register("fusion", "matrix")
@keras.saving.register_keras_serializable("tfrec")
class MatrixSum(Fusion):
    """f = Σ_k W_k x_k, which is W [x_1; …; x_m]: the plain linear fusion, without bias.

    A modality's weight is the share of ‖W_k x_k‖.

    Args:
        dimension: Width of the result.
        **kwargs: Keras' own.
    """

    def build_fusion(self, modalities: int) -> None:
        """Makes the matrices."""
        width = modalities * self.dimension
        self.matrix = self.built_dense(width, self.dimension, use_bias=False)

    def fuse(self, vectors: Any, present: Any, training: bool | None) -> Any:
        """Multiplies and sums."""
        return self.matrix(ops.reshape(vectors, (-1, len(self.names) * self.dimension)))
