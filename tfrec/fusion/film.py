"""Feature-wise linear modulation."""

from __future__ import annotations

from typing import Any

import keras

from tfrec.fusion.fusion import Fusion
from tfrec.registry import register

__all__ = ["FilmFusion"]

ops = keras.ops


@register("fusion", "film")
@keras.saving.register_keras_serializable("tfrec")
class FilmFusion(Fusion):
    """f = mean_k ((1 + γ_k) ∘ W_k x_k + β_k), where γ_k, β_k come from the other modalities.

    Perez et al., "FiLM: visual reasoning with a general conditioning layer", 2018, equations 1 and
    2, each modality modulated by the mean of the others that are present. γ and β start at 0, which
    is the mean of the modalities' own maps.

    Args:
        dimension: Width of the result.
        **kwargs: Keras' own.
    """

    def build_fusion(self, modalities: int) -> None:
        """Makes the maps and the modulation."""
        self.maps = self.per_modality(modalities, self.dimension, "maps")
        if modalities > 1:
            self.context = self.built_dense(self.dimension, self.dimension, activation="relu")
            small = keras.initializers.RandomNormal(stddev=0.02)
            self.modulation = self.built_dense(
                self.dimension, 2 * self.dimension, kernel_initializer=small
            )

    def fuse(self, vectors: Any, present: Any, training: bool | None) -> Any:
        """Modulates and averages."""
        flags = present[:, :, None]
        mapped = self.mapped(vectors, self.maps)
        if len(self.names) > 1:
            others = ops.sum(vectors, 1, keepdims=True) - vectors
            count = ops.sum(flags, 1, keepdims=True) - flags
            context = self.context(others / ops.maximum(count, 1.0))
            gamma, beta = ops.split(self.modulation(context), 2, -1)
            mapped = (1.0 + gamma) * mapped + beta
        mapped = mapped * flags
        return ops.sum(mapped, 1) / ops.maximum(ops.sum(flags, 1), 1.0)
