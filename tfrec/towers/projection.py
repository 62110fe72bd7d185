"""Vectors that are there already: precomputed embeddings and frozen encodings."""

from __future__ import annotations

from typing import Any

import keras

from tfrec.registry import register
from tfrec.towers.tower import Tower

__all__ = ["ProjectionTower"]


@register("tower", "projection")
@keras.saving.register_keras_serializable("tfrec")
class ProjectionTower(Tower):
    """LayerNorm, optional hidden layers, dense.

    The layer norm makes the vector's own length irrelevant (an image encoder's is 30, a sentence
    encoder's 1).

    Args:
        dimension: Width of the result.
        hidden: Widths of hidden layers with GELU; none unless given.
        dropout: Of the normalised vector and of each hidden layer, in training.
        normalize: Whether to bring the result to unit length times a learned scale.
        **kwargs: Keras' own.
    """

    modalities = frozenset({"vector"})

    def __init__(
        self,
        dimension: int,
        *,
        hidden: tuple[int, ...] = (),
        dropout: float = 0.0,
        normalize: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(dimension, normalize=normalize, **kwargs)
        self.hidden = tuple(hidden)
        self.dropout = dropout

    def build_features(self, inputs_shape: Any) -> int:
        """Makes the stack."""
        policy = self.dtype_policy
        layers: list[Any] = [keras.layers.LayerNormalization(dtype=policy)]
        layers.append(keras.layers.Dropout(self.dropout, dtype=policy))
        for units in self.hidden:
            layers.append(self.dense(units, activation="gelu"))
            layers.append(keras.layers.Dropout(self.dropout, dtype=policy))
        self.stack = keras.Sequential(layers)
        self.stack.build((None, inputs_shape[-1]))
        return int(self.hidden[-1] if self.hidden else inputs_shape[-1])

    def features(self, inputs: Any, training: bool | None) -> Any:
        """Normalises and maps float [batch, width]."""
        return self.stack(inputs, training=training)

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {**super().get_config(), "hidden": self.hidden, "dropout": self.dropout}
