"""Softmax over the whole catalogue, in blocks of bounded memory."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tfrec.losses.product_logsumexp import MASKED, product_logsumexp
from tfrec.losses.weighted import weighted_mean

__all__ = ["full_softmax"]

# 256 MB of float32 for one block of scores at most.
_SCORES = 1 << 26


def full_softmax(
    queries: Any,
    targets: Any,
    catalogue: Any,
    *,
    allowed: Any | None = None,
    weights: Any | None = None,
    temperature: Any = 1.0,
    block: int | None = None,
) -> Any:
    """Mean of −log softmax of each row's target among all items.

    Catalogues of more than one block are walked twice: once for log Σ exp, and once, block by
    block, for the gradient, so that memory is O(batch × block) and not O(batch × items).

    Args:
        queries: float [batch, D].
        targets: int [batch], positions in the catalogue.
        catalogue: float [N, D]; N is static.
        allowed: bool [N], items that compete; all unless given. A target always does.
        weights: float [batch]; 1 each unless given.
        temperature: Positive scalar.
        block: Items a block; chosen by the batch size unless given.

    Returns:
        float32 scalar.

    Example:
        >>> q, v = tf.constant([[1.0]]), tf.constant([[0.0], [0.0], [0.0], [0.0]])
        >>> round(float(full_softmax(q, tf.constant([2]), v)), 4)  # log 4
        1.3863
    """
    queries = tf.cast(queries, tf.float32) / tf.cast(temperature, tf.float32)
    catalogue = tf.cast(catalogue, tf.float32)
    size = int(catalogue.shape[0])
    if block is None:
        block = max(1, _SCORES // max(1, queries.shape[0] or 1024))
    own = tf.reduce_sum(queries * tf.gather(catalogue, targets), 1)
    out = None if allowed is None else tf.where(allowed, 0.0, MASKED)
    if size <= block:
        total = product_logsumexp(queries, catalogue, bias=out)
    elif out is None:
        total = _blocked_logsumexp(queries, catalogue, block)
    else:
        # As one more coordinate: a pass over all scores costs what the product of two more does.
        competing = tf.concat([catalogue, out[:, None]], 1)
        queries = tf.concat([queries, tf.ones_like(queries[:, :1])], 1)
        total = _blocked_logsumexp(queries, competing, block)
    if allowed is not None:
        # A target that doesn't compete is added to those that do.
        total = tf.where(tf.gather(allowed, targets), total, _log_add(total, own))
    return weighted_mean(total - own, weights)


def _log_add(left: Any, right: Any) -> Any:
    high, low = tf.maximum(left, right), tf.minimum(left, right)
    return high + tf.math.log1p(tf.exp(low - high))


@tf.custom_gradient
def _logsumexp(queries: Any, catalogue: Any, block: Any) -> Any:
    size = int(catalogue.shape[0])
    width = int(block)
    spans = [(start, min(start + width, size)) for start in range(0, size, width)]
    total = tf.fill(tf.shape(queries)[:1], MASKED)
    for start, end in spans:
        scores = tf.matmul(queries, catalogue[start:end], transpose_b=True)
        total = _log_add(total, tf.reduce_logsumexp(scores, 1))

    def gradient(upstream: Any) -> tuple[Any, Any, None]:
        weighed = upstream[:, None] * queries
        to_queries = tf.zeros_like(queries)
        to_catalogue = []
        for start, end in spans:
            part = catalogue[start:end]
            shares = tf.exp(tf.matmul(queries, part, transpose_b=True) - total[:, None])
            to_queries += tf.matmul(shares, part)
            to_catalogue.append(tf.matmul(shares, weighed, transpose_a=True))
        return upstream[:, None] * to_queries, tf.concat(to_catalogue, 0), None

    return total, gradient


def _blocked_logsumexp(queries: Any, catalogue: Any, block: int) -> Any:
    return _logsumexp(queries, catalogue, block)
