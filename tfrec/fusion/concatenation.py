"""Concatenation and a dense layer."""

from __future__ import annotations

from typing import Any

import keras

from tfrec.fusion.fusion import Fusion
from tfrec.registry import register

__all__ = ["Concatenation"]


@register("fusion", "concatenation")
@keras.saving.register_keras_serializable("tfrec")
class Concatenation(Fusion):
    """f = act(W [x_1; …; x_m; p_1; …; p_m] + b), p_k = 1 where modality k is present.

    Args:
        dimension: Width of the result.
        activation: Keras' name of it; `None` keeps the layer linear.
        **kwargs: Keras' own.
    """

    def __init__(self, dimension: int, *, activation: str | None = None, **kwargs: Any) -> None:
        super().__init__(dimension, **kwargs)
        self.activation = activation

    def build_fusion(self, modalities: int) -> None:
        """Makes W and b."""
        width = modalities * (self.dimension + 1)
        self.output_layer = self.built_dense(width, self.dimension, activation=self.activation)

    def fuse(self, vectors: Any, present: Any, training: bool | None) -> Any:
        """Concatenates."""
        return self.output_layer(self.flat(vectors, present))

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {**super().get_config(), "activation": self.activation}
