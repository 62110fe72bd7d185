"""Masked reductions that stay finite when nothing is present, in every precision."""

from __future__ import annotations

import keras

__all__ = ["masked_softmax"]


def masked_softmax(logits: keras.KerasTensor, present: keras.KerasTensor) -> keras.KerasTensor:
    """Softmax over the last axis among what is present; zeros when nothing is.

    Computed in float32: in float16 the usual large negative number for what is absent overflows.

    Args:
        logits: float [..., n].
        present: float or bool, broadcastable to it; 0 for absent.

    Returns:
        float32 [..., n], summing to 1, or to 0 where nothing is present.

    Example:
        >>> masked_softmax(keras.ops.array([[1.0, 1.0, 9.0]]), keras.ops.array([[1.0, 1.0, 0.0]]))
        <tf.Tensor: ... numpy=array([[0.5, 0.5, 0. ]], dtype=float32)>
    """
    ops = keras.ops
    present = ops.cast(present, "float32")
    logits = ops.where(present > 0, ops.cast(logits, "float32"), -1e9)
    shifted = logits - ops.stop_gradient(ops.max(logits, -1, keepdims=True))
    weights = ops.exp(shifted) * present
    return weights / ops.maximum(ops.sum(weights, -1, keepdims=True), 1e-9)
