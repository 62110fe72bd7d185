"""How many cells a query without a history has to look into.

What all newcomers are told is much alike, and not what others are: the popular items of all cells.
So the cells probed for known users may hold few of them.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from tfrec.index.exact import ExactIndex
from tfrec.index.index import Index
from tfrec.index.ivf import IvfIndex
from tfrec.index.tuning import recall_of

__all__ = ["tune_newcomers"]

_BATCH = 64


def tune_newcomers(
    index: IvfIndex,
    vectors: np.ndarray,
    queries: np.ndarray,
    *,
    target: float = 0.98,
    k: int = 10,
) -> float:
    """Sets `newcomer_probes` for the recall that is wanted, or to all cells where none reaches it.

    Args:
        index: The index, its `probes` chosen.
        vectors: float32 [N, D], what it was built from.
        queries: float32 [q, D] of users without a history, at least one; equal ones count once.
        target: Recall at `k` of the exact answer.
        k: Items that are asked for.

    Returns:
        The recall on queries that took no part in the choice, or on the only one.
    """
    queries = np.unique(queries, axis=0)
    choosing, held = (queries[::2], queries[1::2]) if len(queries) > 1 else (queries, queries)
    exact, found = _asking(ExactIndex(vectors), k), _asking(index, k)
    truth = exact(choosing)
    index.newcomer_probes = index.probes
    while recall_of(found(choosing), truth) < target and index.newcomer_probes < index.cells:
        index.newcomer_probes *= 2
    return recall_of(found(held), exact(held))


def _asking(index: Index, k: int) -> Callable[[np.ndarray], np.ndarray]:
    @tf.function(input_signature=[tf.TensorSpec([None, index.dimension], tf.float32)])
    def search(queries: tf.Tensor) -> tf.Tensor:
        new = tf.fill(tf.shape(queries)[:1], True)
        return index.search(queries, tf.constant(k), newcomers=new).items

    def ask(queries: np.ndarray) -> np.ndarray:
        parts = [search(queries[at : at + _BATCH]) for at in range(0, len(queries), _BATCH)]
        return np.concatenate([np.asarray(part) for part in parts])

    return ask
