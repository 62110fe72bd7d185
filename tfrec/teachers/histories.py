"""Users' positive events as sparse matrices in which the latest counts most."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from tfrec.input import Timelines

__all__ = ["decayed_gram", "history_matrix", "ndcg", "relevance_matrix"]

DECAY_SCALE = 5.0
CHUNK = 1_000


def history_matrix(timelines: Timelines, items: int, decay: float) -> Any:
    """Weighs a user's event by `(1 + age) ** -decay`, where the latest has age 0.

    Args:
        timelines: Positive events, U users.
        items: N, the catalogue's size.
        decay: 0 counts all alike.

    Returns:
        CSR float32 [U, N]; a repeated item's weights add up.
    """
    offsets = timelines.offsets
    lengths = np.diff(offsets)
    age = np.repeat(offsets[1:], lengths) - 1 - np.arange(timelines.events)
    weights = (1.0 + age).astype(np.float32) ** -decay
    shape = (len(timelines), items)
    matrix = sp.csr_matrix((weights, timelines.item_index.astype(np.int64), offsets), shape)
    matrix.sum_duplicates()
    return matrix


def relevance_matrix(timelines: Timelines, items: int) -> Any:
    """CSR float32 [U, N] with 1 at each item of the users' events."""
    matrix = history_matrix(timelines, items, 0.0)
    matrix.data[:] = 1.0
    return matrix


def decayed_gram(
    timelines: Timelines, items: int, power: float, *, user_power: float = 0.0
) -> npt.NDArray[np.float32]:
    """Counts pairs of items in one user's history, less the further apart they lie in its order.

    A pair at distance d adds `(1 + d / 5) ** -power`; a user of n events weighs `n ** -user_power`,
    rescaled so that an event weighs 1 on average. With both powers 0 this is `X.T @ X` of the
    interaction matrix, the Gram matrix of EASE (Steck, WWW 2019).

    Args:
        timelines: Positive events.
        items: N.
        power: How fast the pair's weight falls with distance.
        user_power: How much long histories are held back.

    Returns:
        float32 [N, N], symmetric positive semi-definite.

    Limitation:
        Pairs further apart than 1,000 events in one history count 0 when `power` is not 0.
    """
    offsets, index = timelines.offsets, timelines.item_index.astype(np.int64)
    lengths = np.diff(offsets)
    weight = np.maximum(lengths, 1.0) ** -user_power
    weight /= max(np.average(weight, weights=lengths) if lengths.sum() else 1.0, 1e-12)
    if power == 0:
        matrix = history_matrix(timelines, items, 0.0)
        scaled = sp.diags(np.sqrt(weight).astype(np.float32)) @ matrix
        return np.asarray((scaled.T @ scaled).toarray(), np.float32)
    gram = np.zeros((items, items), np.float32)
    kernel = ((1 + np.arange(2 * CHUNK) / DECAY_SCALE) ** -power).astype(np.float32)
    kernel[CHUNK:] = 0
    for user in np.flatnonzero(lengths):
        own = index[offsets[user] : offsets[user + 1]]
        distinct = len(np.unique(own)) == len(own)
        for start in range(0, len(own), CHUNK):
            rows = np.arange(start, min(start + CHUNK, len(own)))
            cols = np.arange(max(0, start - CHUNK), min(start + 2 * CHUNK, len(own)))
            distance = np.minimum(np.abs(rows[:, None] - cols[None]), 2 * CHUNK - 1)
            block = np.float32(weight[user]) * kernel[distance]
            if distinct:
                gram[np.ix_(own[rows], own[cols])] += block
            else:
                np.add.at(gram, (own[rows][:, None], own[cols][None]), block)
    return gram


def ndcg(
    scores: npt.NDArray[np.float32],
    seen: Any | None,
    relevant: Any,
    k: int = 20,
) -> float:
    """Mean NDCG@k of the rows that have something relevant; `scores` is overwritten where seen.

    Args:
        scores: float32 [U, N].
        seen: CSR [U, N] of what may not be recommended, or `None`.
        relevant: CSR [U, N].
        k: Cut of the list; the ideal is cut at min(k, |relevant|).

    Returns:
        The mean, or 0 when no row has anything relevant.

    Example:
        >>> one = sp.csr_matrix(np.array([[0, 1, 0]]))
        >>> round(ndcg(np.array([[3, 2, 1]], np.float32), None, one, k=2), 4)
        0.6309
    """
    if seen is not None:
        scores[seen.nonzero()] = -np.inf
    counts = np.diff(relevant.indptr)
    users = np.flatnonzero(counts > 0)
    if not len(users):
        return 0.0
    k = min(k, scores.shape[1])
    discount = 1 / np.log2(np.arange(2, k + 2))
    rows = scores[users]
    top = np.argpartition(-rows, k - 1, 1)[:, :k]
    order = np.argsort(-np.take_along_axis(rows, top, 1), 1, kind="stable")
    top = np.take_along_axis(top, order, 1)
    hits = np.take_along_axis(relevant[users].toarray() > 0, top, 1)
    ideal = np.cumsum(discount)[np.minimum(counts[users], k) - 1]
    return float(((hits * discount).sum(1) / ideal).mean())
