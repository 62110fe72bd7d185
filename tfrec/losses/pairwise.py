"""Losses on one positive against sampled negatives."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tfrec.losses.weighted import weighted_mean

__all__ = ["bce_loss", "bpr_loss"]


def bpr_loss(
    queries: Any,
    items: Any,
    negatives: Any,
    *,
    collides: Any | None = None,
    own_negatives: Any | None = None,
    own_collides: Any | None = None,
    weights: Any | None = None,
    temperature: Any = 1.0,
) -> Any:
    """Mean of −log σ(positive − negative) over every pair of a row and a shared negative.

    Rendle et al., "BPR: Bayesian personalized ranking from implicit feedback", 2009, equation 1
    without its regulariser.

    Args:
        queries: float [batch, D].
        items: float [batch, D], row i's positive.
        negatives: float [n, D], shared by all rows.
        collides: bool [batch, n], negatives that are the row's own positive and don't count.
        own_negatives: float [batch, h, D], more negatives for each row alone.
        own_collides: bool [batch, h]; needed with them when `collides` is given.
        weights: float [batch]; 1 each unless given.
        temperature: Positive scalar that divides scores.

    Returns:
        float32 scalar.

    Example:
        >>> one = tf.constant([[1.0]])
        >>> round(float(bpr_loss(one, one, tf.constant([[1.0]]))), 4)  # log 2
        0.6931
    """
    positive, negative = _scores(queries, items, negatives, own_negatives, temperature)
    losses = tf.nn.softplus(negative - positive[:, None])
    return weighted_mean(_mean_of(losses, _beside(collides, own_collides)), weights)


def bce_loss(
    queries: Any,
    items: Any,
    negatives: Any,
    *,
    collides: Any | None = None,
    own_negatives: Any | None = None,
    own_collides: Any | None = None,
    weights: Any | None = None,
    temperature: Any = 1.0,
) -> Any:
    """Mean of −log σ(positive) plus the mean of −log σ(−negative) over the shared negatives.

    Args:
        queries: float [batch, D].
        items: float [batch, D], row i's positive.
        negatives: float [n, D], shared by all rows.
        collides: bool [batch, n], negatives that are the row's own positive and don't count.
        own_negatives: float [batch, h, D], more negatives for each row alone.
        own_collides: bool [batch, h]; needed with them when `collides` is given.
        weights: float [batch]; 1 each unless given.
        temperature: Positive scalar that divides scores.

    Returns:
        float32 scalar.

    Example:
        >>> zero = tf.constant([[0.0]])
        >>> round(float(bce_loss(zero, zero, zero)), 4)  # 2 log 2
        1.3863
    """
    positive, negative = _scores(queries, items, negatives, own_negatives, temperature)
    losses = _mean_of(tf.nn.softplus(negative), _beside(collides, own_collides))
    return weighted_mean(tf.nn.softplus(-positive) + losses, weights)


def _scores(
    queries: Any, items: Any, negatives: Any, own: Any | None, temperature: Any
) -> tuple[Any, Any]:
    queries = tf.cast(queries, tf.float32) / tf.cast(temperature, tf.float32)
    positive = tf.reduce_sum(queries * tf.cast(items, tf.float32), 1)
    negative = tf.matmul(queries, tf.cast(negatives, tf.float32), transpose_b=True)
    if own is not None:
        own = tf.linalg.matvec(tf.cast(own, tf.float32), queries)
        negative = tf.concat([negative, own], 1)
    return positive, negative


def _beside(collides: Any | None, own: Any | None) -> Any | None:
    return collides if collides is None or own is None else tf.concat([collides, own], 1)


def _mean_of(losses: Any, collides: Any | None) -> Any:
    if collides is None:
        return tf.reduce_mean(losses, 1)
    keep = tf.cast(~collides, tf.float32)
    return tf.math.divide_no_nan(tf.reduce_sum(losses * keep, 1), tf.reduce_sum(keep, 1))
