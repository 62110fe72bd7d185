"""From a sequence's vectors to one."""

from __future__ import annotations

from typing import Any, Literal

import keras

__all__ = ["Pooling", "TokenPooling"]

ops = keras.ops

Pooling = Literal["cls", "mean", "max", "attention"]
_NEVER = -1e9


@keras.saving.register_keras_serializable("tfrec")
class TokenPooling(keras.layers.Layer):
    """The first token, the mean, the maximum, or a learned attention over those present.

    Attention is softmax(vᵀ tanh(W x)) (Yang et al., "Hierarchical attention networks", 2016).

    Args:
        mode: `cls` takes the first token, `mean`, `max`, `attention`.
        **kwargs: Keras' own.
    """

    def __init__(self, mode: Pooling = "mean", **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)
        self.mode = mode

    def build(self, tokens_shape: Any, mask_shape: Any = None) -> None:
        """Makes the scores' layers."""
        if self.mode == "attention":
            width = tokens_shape[-1]
            policy = self.dtype_policy
            self.hidden = keras.layers.Dense(width, activation="tanh", dtype=policy)
            self.hidden.build((None, width))
            self.score = keras.layers.Dense(1, use_bias=False, dtype=policy)
            self.score.build((None, width))
        self.built = True

    def call(self, tokens: Any, mask: Any = None) -> Any:
        """Pools.

        Args:
            tokens: float [batch, length, width].
            mask: bool or int [batch, length], 0 for padding; all count unless given.

        Returns:
            float [batch, width]; zeros for a row of padding alone, `cls` aside.
        """
        tokens = ops.cast(tokens, self.compute_dtype)
        if self.mode == "cls":
            return tokens[:, 0]
        if mask is None:
            mask = ops.ones(ops.shape(tokens)[:2], "bool")
        there = ops.cast(mask, "bool")[:, :, None]
        some = ops.any(there, 1)
        if self.mode == "max":
            highest = ops.max(ops.where(there, tokens, ops.full_like(tokens, -1e4)), 1)
            return ops.where(some, highest, ops.zeros_like(highest))
        flags = ops.cast(there, "float32")
        if self.mode == "attention":
            logits = ops.cast(self.score(self.hidden(tokens)), "float32")
            weights = ops.softmax(ops.where(there, logits, _NEVER), 1) * flags
        else:
            weights = flags / ops.maximum(ops.sum(flags, 1, keepdims=True), 1.0)
        tokens = ops.where(there, tokens, ops.zeros_like(tokens))
        return ops.sum(ops.cast(weights, tokens.dtype) * tokens, 1)

    def compute_output_shape(self, tokens_shape: Any, mask_shape: Any = None) -> Any:
        """One vector for each row."""
        return (tokens_shape[0], tokens_shape[-1])

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {**super().get_config(), "mode": self.mode}
