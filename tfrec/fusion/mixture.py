"""A mixture of one expert for each modality."""

from __future__ import annotations

from typing import Any

import keras

from tfrec.fusion.fusion import Fusion
from tfrec.fusion.masking import masked_softmax
from tfrec.registry import register

__all__ = ["MixtureOfExperts"]

ops = keras.ops


@register("fusion", "mixture")
@keras.saving.register_keras_serializable("tfrec")
class MixtureOfExperts(Fusion):
    """f = Σ_k g_k E_k(x_k), g = softmax over the modalities present, E_k of one hidden layer.

    Jacobs, Jordan, Nowlan & Hinton, "Adaptive mixtures of local experts", 1991: the gate reads all
    modalities and trusts one more than another, item by item. Scalar gates, where the gated unit
    has one for each coordinate.

    Args:
        dimension: Width of the result.
        hidden: Width of each expert's hidden layer; `dimension` unless given.
        **kwargs: Keras' own.
    """

    def __init__(self, dimension: int, *, hidden: int | None = None, **kwargs: Any) -> None:
        super().__init__(dimension, **kwargs)
        self.hidden = dimension if hidden is None else hidden

    def build_fusion(self, modalities: int) -> None:
        """Makes experts and gate."""
        self.inner = self.per_modality(modalities, self.hidden, "inner")
        self.inner_biases = self.add_weight(
            shape=(modalities, self.hidden), initializer="zeros", name="inner_biases"
        )
        scaling = keras.initializers.VarianceScaling(modalities, "fan_avg", "uniform")
        self.outer = self.add_weight(
            shape=(modalities, self.hidden, self.dimension), initializer=scaling, name="outer"
        )
        self.gate = self.built_dense(modalities * (self.dimension + 1), modalities)

    def fuse(self, vectors: Any, present: Any, training: bool | None) -> Any:
        """Asks experts and weighs."""
        hidden = self.mapped(vectors, self.inner) + ops.cast(self.inner_biases, vectors.dtype)
        answers = self.mapped(keras.activations.gelu(hidden), self.outer)
        weights = masked_softmax(self.gate(self.flat(vectors, present)), present)
        return ops.einsum("bk,bkd->bd", ops.cast(weights, answers.dtype), answers), weights

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {**super().get_config(), "hidden": self.hidden}
