"""log Σ exp over products of vectors, with a gradient that walks the scores as seldom as can be."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

__all__ = ["MASKED", "product_logsumexp"]

# exp of it is 0 in float32, and it is finite, so that no gradient is NaN.
MASKED = -1e9


def product_logsumexp(
    queries: Any, candidates: Any, *, own: Any | None = None, keep: Any | None = None
) -> Any:
    """The logarithm of (Σ_j exp ⟨q_i, c_j⟩ + Σ_h exp own_ih), of each row i.

    TensorFlow's own operations and their gradients walk the [batch, n] scores some ten times,
    which takes longer than the products. Here they are exponentiated once: what normalises a row
    and what weighs it multiply the [batch, D] products instead, where D is far less than n.

    Args:
        queries: float32 [batch, D].
        candidates: float32 [n, D].
        own: float32 [batch, h], more scores of each row, or None.
        keep: bool [batch, n], the candidates that count for each row; all unless given.

    Returns:
        float32 [batch].

    Example:
        >>> one = tf.constant([[1.0]])
        >>> product_logsumexp(one, tf.zeros([4, 1])).numpy().round(4)  # log 4
        array([1.3863], dtype=float32)
    """
    own = tf.zeros_like(queries[:, :0]) if own is None else own

    @tf.custom_gradient
    def total(queries: Any, candidates: Any, own: Any) -> Any:
        scores = tf.matmul(queries, candidates, transpose_b=True)
        if keep is not None:
            scores = tf.where(keep, scores, MASKED)
        greatest = tf.maximum(tf.reduce_max(scores, 1), tf.reduce_max(own, 1))[:, None]
        powers, own_powers = tf.exp(scores - greatest), tf.exp(own - greatest)
        total = tf.reduce_sum(powers, 1, keepdims=True)
        total += tf.reduce_sum(own_powers, 1, keepdims=True)

        def gradient(upstream: Any) -> tuple[Any, Any, Any]:
            share = upstream[:, None] / total
            return (
                share * tf.matmul(powers, candidates),
                tf.matmul(powers, share * queries, transpose_a=True),
                share * own_powers,
            )

        return (tf.math.log(total) + greatest)[:, 0], gradient

    return total(queries, candidates, own)
