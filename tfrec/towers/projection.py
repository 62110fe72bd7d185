"""Vectors that are there already: precomputed embeddings and frozen encodings."""

from __future__ import annotations

from typing import Any

import keras

from tfrec.registry import register
from tfrec.towers.tower import Tower

__all__ = ["ProjectionTower"]


ops = keras.ops


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
        self.vector_width = int(inputs_shape[-1])
        self.stack = keras.Sequential(layers)
        self.stack.build((None, inputs_shape[-1]))
        return int(self.hidden[-1] if self.hidden else inputs_shape[-1])

    def features(self, inputs: Any, training: bool | None) -> Any:
        """Normalises and maps float [batch, width]."""
        self.check_width(inputs, self.vector_width)
        return self.stack(inputs, training=training)

    def normalised(self, inputs: Any) -> Any:
        """What of the layer norm learns nothing: float32 [batch, width] of mean 0 and deviation 1.

        Of vectors that don't change it need be done once, and `of_normalised` does the rest.
        """
        inputs = ops.cast(inputs, "float32")
        centred = inputs - ops.mean(inputs, -1, keepdims=True)
        spread = ops.mean(ops.square(centred), -1, keepdims=True)
        return centred * ops.rsqrt(spread + self.stack.layers[0].epsilon)

    def of_normalised(self, normalised: Any, training: bool | None = None) -> Any:
        """What `call` gives for the vectors that `normalised` was made of, to rounding.

        The layer norm's scale and shift go into the dense layer's weights, so that a wide vector is
        read by one product, and its gradient by another: x̂ ∘ γ + β by W is x̂ (γ ∘ W) + β W.
        """
        norm, layers = self.stack.layers[0], [*self.stack.layers[1:], self.projection]
        if self.dropout and training:
            output = ops.cast(normalised * norm.gamma + norm.beta, self.compute_dtype)
        else:
            first, layers = layers[1], layers[2:]
            kernel = ops.expand_dims(norm.gamma, 1) * first.kernel
            bias = ops.matmul(ops.expand_dims(norm.beta, 0), first.kernel) + first.bias
            output = ops.matmul(
                ops.cast(normalised, self.compute_dtype), ops.cast(kernel, self.compute_dtype)
            )
            output = first.activation(output + ops.cast(bias, self.compute_dtype))
        for layer in layers:
            output = layer(output, **({"training": training} if _drops(layer) else {}))
        return self.scaled(output)

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {**super().get_config(), "hidden": self.hidden, "dropout": self.dropout}


def _drops(layer: Any) -> bool:
    return isinstance(layer, keras.layers.Dropout)
