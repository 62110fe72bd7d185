"""Factorised bilinear pooling with normalisation."""

from __future__ import annotations

from typing import Any

import keras

from tfrec.fusion.fusion import Fusion
from tfrec.fusion.signed_root import unit_signed_root
from tfrec.registry import register

__all__ = ["FactorizedBilinear"]

ops = keras.ops


@register("fusion", "mfb")
@keras.saving.register_keras_serializable("tfrec")
class FactorizedBilinear(Fusion):
    """z = sum-pool_q(U_1 x_1 ∘ … ∘ U_m x_m), sign(z) √|z|, unit length, a dense layer.

    Yu, Yu, Fan & Tao, "Multi-modal factorized bilinear pooling" (MFB), 2017, section 3.2. A missing
    modality is a factor of 1.

    Args:
        dimension: Width of the result.
        factors: q, terms that are pooled into each coordinate (5 in the paper).
        dropout: Of the product, in training (0.1 in the paper).
        **kwargs: Keras' own.
    """

    def __init__(
        self, dimension: int, *, factors: int = 5, dropout: float = 0.1, **kwargs: Any
    ) -> None:
        super().__init__(dimension, **kwargs)
        self.factors = factors
        self.dropout = dropout

    def build_fusion(self, modalities: int) -> None:
        """Makes the maps."""
        self.maps = self.per_modality(modalities, self.factors * self.dimension, "maps")
        self.biases = self.add_weight(
            shape=(modalities, self.factors * self.dimension), initializer="ones", name="biases"
        )
        self.dropout_layer = keras.layers.Dropout(self.dropout, dtype="float32")
        self.output_layer = self.built_dense(self.dimension, self.dimension)

    def fuse(self, vectors: Any, present: Any, training: bool | None) -> Any:
        """Multiplies, pools and normalises, in float32."""
        maps = ops.cast(self.mapped(vectors, self.maps), "float32") + self.biases
        maps = ops.where(present[:, :, None] > 0, maps, ops.ones_like(maps))
        product = maps[:, 0]
        for place in range(1, len(self.names)):
            product = product * maps[:, place]
        product = self.dropout_layer(product, training=training)
        pooled = ops.sum(ops.reshape(product, (-1, self.dimension, self.factors)), -1)
        return self.output_layer(ops.cast(unit_signed_root(pooled), vectors.dtype))

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {**super().get_config(), "factors": self.factors, "dropout": self.dropout}
