"""What each modality adds to the lists: the quality that is lost when its share is taken away.

An item's vector is a sum of its modalities' parts (`tfrec.model.parts`), so a list without one of
them is the ranking by `query · (vector - part)`: the same model, not another training, asked the
same users.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from tfrec.evaluation.figures import Contribution
from tfrec.evaluation.held_out import HeldOut
from tfrec.evaluation.metrics import RankedLists
from tfrec.evaluation.top_k import top_k
from tfrec.evaluation.uncertainty import paired_difference

__all__ = ["MAX_ITEMS", "measure_contributions"]

# Catalogues of more are not taken apart: every item is fused up to 64 times.
MAX_ITEMS = 20_000
_USERS = 2_000


def measure_contributions(
    held_out: HeldOut,
    queries: NDArray[np.float32],
    vectors: NDArray[np.float32],
    parts: Mapping[str, NDArray[np.float32]],
    primary: str,
) -> tuple[Contribution, ...]:
    """Ranks again without each part.

    Args:
        held_out: The question.
        queries: float32 [U, D].
        vectors: float32 [N, D].
        parts: float32 [N, D] by modality; parts that are zero throughout add nothing.
        primary: For example `ndcg@20`.

    Returns:
        By descending loss; of 2,000 users spread over all at most.
    """
    k = int(primary.rpartition("@")[2])
    chosen = np.unique(np.linspace(0, len(held_out) - 1, min(_USERS, len(held_out))).astype(int))
    seen, relevant = held_out.seen.take(chosen), held_out.relevant.take(chosen)

    def quality(items: NDArray[np.float32]) -> NDArray[np.float64]:
        found = top_k(queries[chosen], items, k, seen=seen, candidates=held_out.candidates)
        return RankedLists(found.items, relevant, items=len(items)).ndcg(k)

    whole = quality(vectors)
    found = []
    for name, part in parts.items():
        without = quality(vectors - part)
        lost = paired_difference(whole, without)
        found.append(
            Contribution(
                name=name,
                without=float(without.mean()),
                lost=lost.value,
                low=lost.low,
                high=lost.high,
            )
        )
    return tuple(sorted(found, key=lambda one: -one.lost))
