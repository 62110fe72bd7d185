"""Low-rank multimodal fusion."""

from __future__ import annotations

from typing import Any

import keras

from tfrec.fusion.fusion import Fusion
from tfrec.fusion.signed_root import unit_signed_root
from tfrec.registry import register

__all__ = ["LowRankFusion"]

ops = keras.ops


@register("fusion", "low_rank")
@keras.saving.register_keras_serializable("tfrec")
class LowRankFusion(Fusion):
    """f = Σ_r w_r ν(Π_k W_k^(r) [x_k; 1]) + b: the full tensor product of modalities, at low rank.

    Liu et al., "Efficient low-rank multimodal fusion with modality-specific factors" (LMF), 2018,
    equations 5 to 8. The appended 1 keeps the products of fewer modalities; a missing one is [0;
    1], which leaves the products of the others. The factors start near 1, so that a product of five
    neither vanishes nor explodes. ν, which isn't theirs, is the signed root of a rank's term,
    brought to length 1 (Yu et al. 2017, MFB): without it products with a modality of noise cost
    14 % of what was found of known items; without it, too, f is exactly their tensor product.

    Args:
        dimension: Width of the result.
        rank: Terms in the sum.
        normalize: Whether there is ν.
        **kwargs: Keras' own.
    """

    def __init__(
        self, dimension: int, *, rank: int = 4, normalize: bool = True, **kwargs: Any
    ) -> None:
        super().__init__(dimension, **kwargs)
        if rank < 1:
            raise ValueError(f"`rank` must be positive. Received: rank={rank}")
        self.rank = rank
        self.normalize = normalize

    def build_fusion(self, modalities: int) -> None:
        """Makes the factors."""
        units = self.rank * self.dimension
        initializer = keras.initializers.VarianceScaling(
            modalities * self.rank, "fan_avg", "uniform"
        )
        self.factors = self.add_weight(
            shape=(modalities, self.dimension, units), initializer=initializer, name="factors"
        )
        self.constants = self.add_weight(
            shape=(modalities, units), initializer="ones", name="constants"
        )
        # A learned weight of each rank's term, as the authors' code has it.
        self.output_weights = self.add_weight(
            shape=(self.rank,),
            initializer=keras.initializers.RandomNormal(stddev=self.rank**-0.5),
            name="rank_weights",
        )
        self.bias = self.add_weight(shape=(self.dimension,), initializer="zeros", name="bias")

    def fuse(self, vectors: Any, present: Any, training: bool | None) -> Any:
        """Multiplies over modalities, in float32, and sums over ranks."""
        terms = ops.cast(self.mapped(vectors, self.factors), "float32") + self.constants
        product = terms[:, 0]
        for place in range(1, len(self.names)):
            product = product * terms[:, place]
        product = ops.reshape(product, (-1, self.rank, self.dimension))
        if self.normalize:
            product = unit_signed_root(product)
        fused = ops.einsum("r,brd->bd", self.output_weights, product) + self.bias
        return ops.cast(fused, vectors.dtype)

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {**super().get_config(), "rank": self.rank, "normalize": self.normalize}
