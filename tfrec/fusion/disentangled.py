"""What modalities share, and what each has for itself."""

from __future__ import annotations

from typing import Any

import keras

from tfrec.fusion.fusion import Fusion
from tfrec.registry import register

__all__ = ["DisentangledFusion"]

ops = keras.ops


@register("fusion", "disentangled")
@keras.saving.register_keras_serializable("tfrec")
class DisentangledFusion(Fusion):
    """f = W [mean_k S(x_k); mean_k P_k(x_k)]: one shared map, and a private one for each modality.

    Hazarika, Zimmermann & Poria, "MISA: modality-invariant and -specific representations", 2020. In
    training two losses are added: the shared parts of an item's modalities lie close together (mean
    squared distance, where the paper matches moments), and shared and private parts stand at right
    angles (its equation 7, by item).

    Args:
        dimension: Width of the result.
        similarity: Weight of the first loss.
        difference: Weight of the second.
        **kwargs: Keras' own.
    """

    def __init__(
        self,
        dimension: int,
        *,
        similarity: float = 0.1,
        difference: float = 0.1,
        **kwargs: Any,
    ) -> None:
        super().__init__(dimension, **kwargs)
        self.similarity = similarity
        self.difference = difference

    def build_fusion(self, modalities: int) -> None:
        """Makes the maps."""
        self.shared = self.built_dense(self.dimension, self.dimension, activation="tanh")
        self.private = self.per_modality(modalities, self.dimension, "private")
        self.output_layer = self.built_dense(2 * self.dimension, self.dimension)

    def fuse(self, vectors: Any, present: Any, training: bool | None) -> Any:
        """Splits and joins."""
        flags = present[:, :, None]
        count = ops.maximum(ops.sum(flags, 1), 1.0)
        shared = self.shared(vectors) * flags
        private = ops.tanh(self.mapped(vectors, self.private)) * flags
        centre = ops.sum(shared, 1) / count
        if training:
            apart, angle = self.losses_of(shared, private, centre, flags)
            self.add_loss(self.similarity * apart + self.difference * angle)
        parts = ops.concatenate([centre, ops.sum(private, 1) / count], -1)
        return self.output_layer(parts)

    def losses_of(self, shared: Any, private: Any, centre: Any, flags: Any) -> tuple[Any, Any]:
        """How far the shared parts lie apart, and how far from right angles the two kinds stand."""
        shared, private, centre, flags = (
            ops.cast(x, "float32") for x in (shared, private, centre, flags)
        )
        total = ops.maximum(ops.sum(flags), 1.0)
        apart = ops.sum(ops.square(shared - centre[:, None]) * flags) / (total * self.dimension)
        product = ops.sum(shared * private, -1)
        lengths = ops.sum(ops.square(shared), -1) * ops.sum(ops.square(private), -1)
        angle = ops.sum(ops.square(product) / (lengths + 1e-6)) / total
        return apart, angle

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {
            **super().get_config(),
            "similarity": self.similarity,
            "difference": self.difference,
        }
