"""A product of Gaussian experts."""

from __future__ import annotations

from typing import Any

import keras

from tfrec.fusion.fusion import Fusion
from tfrec.registry import register

__all__ = ["ProductOfExperts"]

ops = keras.ops


@register("fusion", "product_of_experts")
@keras.saving.register_keras_serializable("tfrec")
class ProductOfExperts(Fusion):
    """f = Σ_k T_k ∘ μ_k / (1 + Σ_k T_k): the mean of a product of Gaussians with a unit prior.

    Wu & Goodman, "Multimodal generative models for scalable weakly-supervised learning", 2018,
    section 2.2. Each modality says a mean and a precision T_k > 0 for each coordinate; what is
    missing is left out of the product, and with nothing present the prior's mean, 0, remains. Made
    for data in which much is missing.

    Args:
        dimension: Width of the result.
        **kwargs: Keras' own.
    """

    def build_fusion(self, modalities: int) -> None:
        """Makes means and precisions."""
        self.maps = self.per_modality(modalities, 2 * self.dimension, "maps")
        self.biases = self.add_weight(
            shape=(modalities, 2 * self.dimension), initializer="zeros", name="biases"
        )

    def fuse(self, vectors: Any, present: Any, training: bool | None) -> Any:
        """Multiplies Gaussians, in float32."""
        both = ops.cast(self.mapped(vectors, self.maps), "float32") + self.biases
        mean, raw = ops.split(both, 2, -1)
        precision = ops.softplus(raw) * ops.cast(present, "float32")[:, :, None]
        total = 1.0 + ops.sum(precision, 1, keepdims=True)
        fused = ops.sum(precision * mean / total, 1)
        shares = ops.mean(precision, -1)
        shares = shares / ops.maximum(ops.sum(shares, -1, keepdims=True), 1e-9)
        return ops.cast(fused, vectors.dtype), shares
