"""Attention over a history given the candidate: for ranking, not for retrieval."""

from __future__ import annotations

from typing import Any

import keras

__all__ = ["TargetAttention"]

ops = keras.ops


@keras.saving.register_keras_serializable("tfrec")
class TargetAttention(keras.layers.Layer):
    """Σ_t a(x_t, c) x_t with a an MLP on [x; c; x - c; x ∘ c], without a softmax.

    Zhou et al., "Deep interest network for click-through rate prediction" (DIN), 2018, equation 3:
    the weights are not brought to sum 1, so that their sum says how strong the interest is. The
    user's vector depends on the candidate, so no index of items can answer for it: it belongs to a
    ranking model.

    Args:
        dimension: Width of the vectors.
        hidden: Units of the attention's hidden layer.
        **kwargs: Keras' own.
    """

    def __init__(self, dimension: int, *, hidden: int = 32, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)
        if dimension < 1 or hidden < 1:
            raise ValueError(
                "`dimension` and `hidden` must be positive."
                f" Received: dimension={dimension}, hidden={hidden}"
            )
        self.dimension = dimension
        self.hidden_units = hidden

    def build(self, vectors_shape: Any, present_shape: Any, candidate_shape: Any) -> None:
        """Makes the attention's layers."""
        if {vectors_shape[-1], candidate_shape[-1]} != {self.dimension}:
            raise ValueError(
                f"history and candidate must be {self.dimension} wide."
                f" Received: {vectors_shape[-1]} and {candidate_shape[-1]}"
            )
        policy = self.dtype_policy
        self.hidden = keras.layers.Dense(self.hidden_units, activation="silu", dtype=policy)
        self.hidden.build((None, 4 * self.dimension))
        self.score = keras.layers.Dense(1, dtype=policy)
        self.score.build((None, self.hidden_units))
        self.built = True

    def call(self, vectors: Any, present: Any, candidate: Any) -> Any:
        """Pools a batch of histories.

        Args:
            vectors: float [batch, length, dimension].
            present: bool [batch, length], False for padding.
            candidate: float [batch, dimension].

        Returns:
            float [batch, dimension]; zeros for an empty history.
        """
        there = ops.cast(present, "bool")[:, :, None]
        vectors = ops.cast(vectors, self.compute_dtype)
        vectors = ops.where(there, vectors, ops.zeros_like(vectors))
        asked = ops.zeros_like(vectors) + ops.cast(candidate, vectors.dtype)[:, None]
        joined = ops.concatenate([vectors, asked, vectors - asked, vectors * asked], -1)
        weights = self.score(self.hidden(joined))
        weights = ops.where(there, weights, ops.zeros_like(weights))
        return ops.sum(weights * vectors, 1)

    def compute_output_shape(self, vectors_shape: Any, *others: Any) -> Any:
        """One vector for each row."""
        return (vectors_shape[0], self.dimension)

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {
            **super().get_config(),
            "dimension": self.dimension,
            "hidden": self.hidden_units,
        }
