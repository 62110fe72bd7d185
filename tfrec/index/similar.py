"""How many cells a search by cosine has to look into: items ask it, and cells were tried for users.

Items are drawn, each asks for those most like it; half of them choose the number of cells probed,
doubled until the recall is reached, and the recall of the other half is what is reported.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tfrec.index.exact import ExactIndex
from tfrec.index.index import Index
from tfrec.index.ivf import IvfIndex
from tfrec.index.tuning import recall_of

__all__ = ["tune_similar"]

_ITEMS = 512
_BATCH = 64


def tune_similar(
    index: IvfIndex, vectors: np.ndarray, *, target: float = 0.98, k: int = 10, seed: int = 0
) -> float:
    """Sets `cosine_probes` for the recall that is wanted, or to all cells where none reaches it.

    Args:
        index: The index.
        vectors: float32 [N, D], what it was built from, at least two.
        target: Recall at `k` of the exact answer.
        k: Items that are asked for.
        seed: Of the items that are drawn.

    Returns:
        The recall on items that took no part in the choice.
    """
    random = np.random.default_rng(seed)
    rows = random.choice(len(vectors), min(_ITEMS, len(vectors)), replace=False).astype(np.int32)
    k = min(k, len(vectors) - 1)
    choosing, held = rows[::2], rows[1::2]
    exact = ExactIndex(vectors)
    truth = _similar(exact, vectors, choosing, k)
    index.cosine_probes = 1
    while (
        recall_of(_similar(index, vectors, choosing, k), truth) < target
        and index.cosine_probes < index.cells
    ):
        index.cosine_probes *= 2
    return recall_of(_similar(index, vectors, held, k), _similar(exact, vectors, held, k))


def _similar(index: Index, vectors: np.ndarray, rows: np.ndarray, k: int) -> np.ndarray:
    found = []
    for start in range(0, len(rows), _BATCH):
        asked = rows[start : start + _BATCH]
        queries = tf.math.l2_normalize(tf.constant(vectors[asked], tf.float32), -1)
        own = tf.constant(asked[:, None])
        found.append(index.search(queries, tf.constant(k), own, cosine=True).items.numpy())
    return np.concatenate(found)
