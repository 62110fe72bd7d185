"""In-batch sampled softmax: the other rows' items are the negatives."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tfrec.losses.product_logsumexp import MASKED, product_logsumexp
from tfrec.losses.weighted import weighted_mean

__all__ = ["in_batch_softmax"]


def in_batch_softmax(
    queries: Any,
    items: Any,
    *,
    item_ids: Any | None = None,
    equal_vectors: bool = False,
    log_q: Any | None = None,
    weights: Any | None = None,
    temperature: Any = 1.0,
    others: Any | None = None,
    other_ids: Any | None = None,
    other_log_q: Any | None = None,
    own_others: Any | None = None,
    own_ids: Any | None = None,
    own_log_q: Any | None = None,
    groups: Any | None = None,
    other_groups: Any | None = None,
) -> Any:
    """Mean of −log softmax of each row's own item among all rows' items.

    score(i, j) = ⟨q_i, v_j⟩ / temperature − log q_j. The correction by an item's chance q_j to be
    in a batch makes the sampled softmax stand for the full one (Bengio & Senécal, 2008; Yi et al.,
    "Sampling-bias-corrected neural modeling for large corpus item recommendations", 2019,
    equation 4). A constant in all log q_j changes nothing.

    Args:
        queries: float [batch, D].
        items: float [batch, D], row i's positive.
        item_ids: int [batch]; when given, an equal item in another row is not a negative.
        equal_vectors: Whether rows of equal `item_ids` have equal vectors and `log_q`, as where an
            item is its id alone. What a row's own item scores in other rows is then taken off its
            sum at once, where a mask would walk all scores once more.
        log_q: float [batch], logarithm of each item's sampling probability or expected count.
        weights: float [batch]; a row of weight 0 is neither learnt from nor a negative.
        temperature: Positive scalar.
        others: float [n, D], more negatives for every row, or None.
        other_ids: int [n]; needed with `others` when `item_ids` is given.
        other_log_q: float [n]; needed with `others` when `log_q` is given.
        own_others: float [batch, h, D], more negatives for each row alone, or None.
        own_ids: int [batch, h]; -1, or the row's own item, is not a negative.
        own_log_q: float [batch, h]; 0 unless given.
        groups: int [batch]; when given, rows of one group are no negatives of each other. Rows of
            one user are in a batch together, whatever their items' frequency, which no `log_q`
            corrects: each would learn that what its user liked before and after is wrong.
        other_groups: int [n], -1 for none; needed with `others` when `groups` is given.

    Returns:
        float32 scalar.

    Example:
        >>> q = tf.constant([[1.0, 0.0], [0.0, 1.0]])
        >>> round(float(in_batch_softmax(q, q)), 4)  # log(1 + exp(-1))
        0.3133
    """
    candidates = tf.cast(_together(items, others), tf.float32)
    queries = tf.cast(queries, tf.float32) / tf.cast(temperature, tf.float32)
    positive = tf.reduce_sum(queries * candidates[: tf.shape(queries)[0]], -1)
    bias = None if log_q is None else -tf.cast(_together(log_q, other_log_q), tf.float32)
    if bias is not None:
        positive += bias[: tf.shape(queries)[0]]
    own = own_times = keep = None
    if own_others is not None:
        own = tf.linalg.matvec(tf.cast(own_others, tf.float32), queries)
        own = own if own_log_q is None else own - tf.cast(own_log_q, tf.float32)
        if own_ids is not None:
            out = own_ids < 0 if item_ids is None else _no_negatives(own_ids, item_ids)
            own += tf.cast(out, tf.float32) * MASKED
        own_times = tf.ones_like(own)
    at_once = equal_vectors and others is None and groups is None
    if item_ids is not None and at_once:
        again = -_others_alike(item_ids, weights)[:, None]
        own_times = again if own_times is None else tf.concat([own_times, again], 1)
        own = positive[:, None] if own is None else tf.concat([own, positive[:, None]], 1)
    else:
        for own_key, other_key in ((item_ids, other_ids), (groups, other_groups)):
            if own_key is not None:
                differs = own_key[:, None] != _together(own_key, other_key)[None, :]
                keep = differs if keep is None else keep & differs
        if keep is not None:
            keep = tf.linalg.set_diag(keep, tf.fill(tf.shape(keep)[:1], True))
    if weights is not None:
        filler = tf.where(tf.cast(weights, tf.float32) > 0, 0.0, MASKED)
        if others is not None:
            filler = tf.concat([filler, tf.zeros(tf.shape(others)[:1])], 0)
        bias = filler if bias is None else bias + filler
    total = product_logsumexp(
        queries, candidates, bias=bias, own=own, own_times=own_times, keep=keep
    )
    return weighted_mean(total - positive, weights)


def _others_alike(ids: Any, weights: Any | None) -> Any:
    """How many other rows that count have a row's item, float32 [batch]."""
    counts = tf.ones_like(ids) if weights is None else tf.cast(weights > 0, ids.dtype)
    order = tf.argsort(ids)
    ranked = tf.gather(ids, order)
    group = tf.cumsum(tf.concat([[0], tf.cast(ranked[1:] != ranked[:-1], tf.int32)], 0))
    sums = tf.math.unsorted_segment_sum(tf.gather(counts, order), group, ids.shape[0])
    alike = tf.scatter_nd(order[:, None], tf.gather(sums, group), tf.shape(ids))
    return tf.cast(tf.maximum(alike - 1, 0), tf.float32)


def _together(first: Any, second: Any | None) -> Any:
    return first if second is None else tf.concat([first, second], 0)


def _no_negatives(own_ids: Any, item_ids: Any) -> Any:
    return (own_ids < 0) | (own_ids == item_ids[:, None])
