"""Masked reductions that stay finite when nothing is present, in every precision."""

from __future__ import annotations

import keras

__all__ = ["masked_softmax"]


def masked_softmax(
    logits: keras.KerasTensor, present: keras.KerasTensor, axis: int = -1
) -> keras.KerasTensor:
    """Softmax over an axis among what is present; zeros when nothing is.

    Computed in float32: in float16 the usual large negative number for what is absent overflows.

    Args:
        logits: float, any shape.
        present: float or bool, broadcastable to it; 0 for absent.
        axis: Along which the result sums to 1.

    Returns:
        float32 of the same shape, summing to 1, or to 0 where nothing is present.

    Example:
        >>> masked_softmax(keras.ops.array([[1.0, 1.0, 9.0]]), keras.ops.array([[1.0, 1.0, 0.0]]))
        <tf.Tensor: ... numpy=array([[0.5, 0.5, 0. ]], dtype=float32)>
    """
    ops = keras.ops
    present = ops.cast(present, "float32")
    logits = ops.where(present > 0, ops.cast(logits, "float32"), -1e9)
    shifted = logits - ops.stop_gradient(ops.max(logits, axis, keepdims=True))
    weights = ops.exp(shifted) * present
    return weights / ops.maximum(ops.sum(weights, axis, keepdims=True), 1e-9)
