"""The gated multimodal unit."""

from __future__ import annotations

from typing import Any

import keras

from tfrec.fusion.fusion import Fusion
from tfrec.fusion.masking import masked_softmax
from tfrec.registry import register

__all__ = ["GatedMultimodalUnit"]

ops = keras.ops


@register("fusion", "gated")
@keras.saving.register_keras_serializable("tfrec")
class GatedMultimodalUnit(Fusion):
    """f = Σ z_k ∘ tanh(W_k x_k + b_k): each coordinate asks every modality how much to take.

    Gates come from all modalities together, z = softmax_k(U [x_1; …; x_m; p_1; …; p_m] + c), one a
    coordinate, over those that are present. Arevalo, Solorio, Montes-y-Gómez & González, "Gated
    multimodal units for information fusion", 2017; equations 1 to 3, whose sigmoid for two
    modalities is this softmax, and whose unnormalised gates for more are normalised here, so that a
    missing modality's share goes to the others.

    Args:
        dimension: Width of the result.
        activation: Of each modality's own map: `tanh` as published, or `linear`, which keeps
            lengths that matter (an id's).
        dropout: Of the gates' input, in training.
        **kwargs: Keras' own.
    """

    def __init__(
        self, dimension: int, *, activation: str = "tanh", dropout: float = 0.0, **kwargs: Any
    ) -> None:
        super().__init__(dimension, **kwargs)
        self.activation = activation
        self.dropout = dropout

    def build_fusion(self, modalities: int) -> None:
        """Makes maps and gates."""
        size = self.dimension
        self.maps = self.per_modality(modalities, size, "maps")
        self.biases = self.add_weight(shape=(modalities, size), initializer="zeros", name="biases")
        self.gates = self.built_dense(modalities * (size + 1), modalities * size, name="gates")
        self.dropout_layer = keras.layers.Dropout(self.dropout, dtype=self.dtype_policy)

    def fuse(self, vectors: Any, present: Any, training: bool | None) -> Any:
        """Gates and sums."""
        count, size = len(self.names), self.dimension
        mapped = self.mapped(vectors, self.maps) + ops.cast(self.biases, vectors.dtype)
        mapped = keras.activations.get(self.activation)(mapped)
        flat = self.dropout_layer(self.flat(vectors, present), training=training)
        logits = ops.reshape(self.gates(flat), (-1, count, size))
        gates = masked_softmax(logits, present[:, :, None], axis=1)
        fused = ops.sum(ops.cast(gates, mapped.dtype) * mapped, 1)
        return fused, ops.mean(gates, -1)

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {
            **super().get_config(),
            "activation": self.activation,
            "dropout": self.dropout,
        }
