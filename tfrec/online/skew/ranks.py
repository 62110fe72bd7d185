"""A server's lists against those of the training-time model, for the same users."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from tfrec.evaluation import TopK

__all__ = ["RankSkew", "compare_ranks"]

# Relative to the larger of 1 and the score: the two multiply in different orders.
TOLERANCE = 1e-4


class RankSkew(BaseModel):
    """What was found.

    Attributes:
        users: Asked.
        k: Length of the lists.
        equal: Users whose list is the model's, place by place; items whose scores differ by less
            than rounding may stand in either order.
        overlap: Mean share of the model's list that the server's holds: below 1 with an
            approximate index.
        largest_difference: Between the server's scores and the model's of the same items, relative
            to the larger of 1 and the score.
        first: The first user whose list differs, and the place; empty when none does.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    users: int
    k: int
    equal: int
    overlap: float
    largest_difference: float
    first: str

    def alert(self, least_overlap: float = 1.0) -> bool:
        """Whether the server answers otherwise than the model.

        Args:
            least_overlap: With 1 every list must be equal; below, an approximate index may miss
                items, but scores must be the model's all the same.
        """
        if self.largest_difference > TOLERANCE:
            return True
        return self.equal < self.users if least_overlap >= 1 else self.overlap < least_overlap


def compare_ranks(
    users: Sequence[str],
    expected: TopK,
    scores: NDArray[np.float32],
    ids: NDArray[Any],
    answers: Sequence[tuple[Sequence[str], Sequence[float]]],
) -> RankSkew:
    """Compares.

    Args:
        users: Their ids, U of them.
        expected: The model's lists, [U, k].
        scores: The model's scores of all items, float32 [U, N], seen items at -inf.
        ids: The catalogue's, object [N] of str.
        answers: Item ids and scores that the server gave each user, best first.
    """
    place = {item: row for row, item in enumerate(ids)}
    equal, overlaps, largest, first = 0, [], 0.0, ""
    for row, (user, (items, given)) in enumerate(zip(users, answers, strict=True)):
        wanted = expected.items[row][expected.items[row] >= 0]
        found = np.array([place.get(item, -1) for item in items], np.int64)
        known = found >= 0
        ours = np.where(known, scores[row][found], -np.inf)
        # What the model would never list, or doesn't know, is a difference beyond all rounding.
        listed = np.isfinite(ours)
        safe = np.where(listed, ours, 0.0)
        gap = np.abs(safe - np.asarray(given)) / np.maximum(1, np.abs(safe))
        gap = np.where(listed, gap, np.inf)
        largest = max(largest, float(gap.max(initial=0.0)))
        overlaps.append(len(np.intersect1d(wanted, found)) / max(len(wanted), 1))
        best = expected.scores[row][: len(wanted)]
        slack = TOLERANCE * np.maximum(1, np.abs(best))
        same = len(found) == len(wanted) and len(np.unique(found)) == len(found)
        off = np.abs(ours - best) > slack if same else np.ones(1, bool)
        if same and not off.any():
            equal += 1
        elif not first:
            first = f"{user} at rank {int(off.argmax()) + 1}"
    return RankSkew(
        users=len(users),
        k=expected.items.shape[1],
        equal=equal,
        overlap=float(np.mean(overlaps)) if overlaps else 1.0,
        largest_difference=largest,
        first=first,
    )
