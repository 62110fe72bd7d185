"""log Σ exp over products of vectors, with a gradient that walks the scores as seldom as can be."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

__all__ = ["MASKED", "product_logsumexp"]

# exp of it is 0 in float32, and it is finite, so that no gradient is NaN.
MASKED = -1e9
# Scores within ± this are exponentiated as they are: a sum of 10^10 of exp(60) is a float32, and so
# is what is left of exp(-60) divided by it.
_SAFE = 60.0


def product_logsumexp(
    queries: Any,
    candidates: Any,
    *,
    bias: Any | None = None,
    own: Any | None = None,
    own_times: Any | None = None,
    keep: Any | None = None,
) -> Any:
    """The logarithm of (Σ_j exp(⟨q_i, c_j⟩ + b_j) + Σ_h t_ih exp own_ih), of each row i.

    TensorFlow's own operations and their gradients walk the [batch, n] scores some ten times,
    which takes longer than the products. Here they are written, exponentiated, and read by two
    products, no more:

    - What normalises a row and what weighs it or a candidate multiply the [batch, D] and [n, D]
      sides, where D is far less than n; the row's sum is one more column of the product that its
      gradient needs.
    - The row's greatest score is taken off only where lengths of vectors don't rule out that
      `exp` overflows.

    Args:
        queries: float32 [batch, D].
        candidates: float32 [n, D].
        bias: float32 [n], added to every row's score of a candidate, or None; has no gradient.
        own: float32 [batch, h], more scores of each row, or None.
        own_times: float32 [batch, h], how often each of `own` counts, once unless given; negative
            ones take away what the products have, so that the sum must stay positive.
        keep: bool [batch, n], the candidates that count for each row; all unless given.

    Returns:
        float32 [batch].

    Example:
        >>> one = tf.constant([[1.0]])
        >>> product_logsumexp(one, tf.zeros([4, 1])).numpy().round(4)  # log 4
        array([1.3863], dtype=float32)
    """
    own = tf.zeros_like(queries[:, :0]) if own is None else own
    times = tf.ones_like(own) if own_times is None else own_times
    bias = tf.zeros_like(candidates[:, 0]) if bias is None else bias
    reached = tf.concat(
        [
            _longest(queries) * _longest(candidates),
            tf.reshape(own, [-1]),
            # A bias that leaves a candidate out is as safe as none.
            tf.where(bias > 0.1 * MASKED, tf.abs(bias), 0.0),
        ],
        0,
    )
    safe = tf.reduce_max(reached) < _SAFE

    @tf.custom_gradient
    def total(queries: Any, candidates: Any, own: Any) -> Any:
        scores = tf.matmul(queries, candidates, transpose_b=True)

        def as_they_are() -> tuple[Any, ...]:
            powers = tf.exp(scores)
            powers = powers if keep is None else tf.where(keep, powers, 0.0)
            return powers, tf.exp(bias)[:, None], tf.exp(own), tf.zeros_like(queries[:, :1])

        def below_the_greatest() -> tuple[Any, ...]:
            kept = scores + bias
            kept = kept if keep is None else tf.where(keep, kept, MASKED)
            top = tf.maximum(tf.reduce_max(kept, 1), tf.reduce_max(own, 1))[:, None]
            ones = tf.ones_like(candidates[:, :1])
            return tf.exp(kept - top), ones, tf.exp(own - top), top

        powers, factors, own_powers, top = tf.cond(safe, as_they_are, below_the_greatest)
        own_powers *= times
        weighed = tf.concat([factors * candidates, factors], 1)
        product = tf.matmul(powers, weighed)
        total = product[:, -1:] + tf.reduce_sum(own_powers, 1, keepdims=True)

        def gradient(upstream: Any) -> tuple[Any, ...]:
            share = upstream[:, None] / total
            return (
                share * product[:, :-1],
                factors * tf.matmul(powers, share * queries, transpose_a=True),
                share * own_powers,
            )

        return (tf.math.log(total) + top)[:, 0], gradient

    return total(queries, candidates, own)


def _longest(vectors: Any) -> Any:
    """The greatest length of some vectors, [1]."""
    return tf.sqrt(tf.reduce_max(tf.reduce_sum(tf.square(vectors), 1), keepdims=True))
