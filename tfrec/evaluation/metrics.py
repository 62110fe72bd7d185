"""Metrics of ranked lists, one value a user, vectorised over users.

`lists` are item indices, best first, int [users, length], -1 where a list ends early; `relevant`
holds each user's relevant items. A list that is shorter than k is judged as if it went on with
wrong items, and repeats in it are refused (see `check_lists`).

Users without a relevant item have no recall: their value is NaN, and `mean` leaves them out; pass
`np.nan_to_num` to count them as 0 instead. docs/metrics.md has formulas and sources in one table.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tfrec.errors import DataError
from tfrec.evaluation.compressed_rows import CompressedRows

__all__ = ["RankedLists", "check_lists", "mean"]

Values = NDArray[np.float64]


def mean(values: Values) -> float:
    """The mean over users that have a value; NaN when none has.

    Example:
        >>> mean(np.array([0.5, np.nan, 1.0]))
        0.75
    """
    valid = values[~np.isnan(values)]
    return float(valid.mean()) if len(valid) else float("nan")


def check_lists(lists: NDArray[np.integer[Any]], items: int) -> None:
    """Refuses lists that would be judged wrongly.

    Args:
        lists: Integers [users, length].
        items: Catalogue size.

    Raises:
        DataError: An item doesn't exist, is listed twice for a user, or follows the end of a list.
    """
    if lists.size and (lists.min() < -1 or lists.max() >= items):
        raise DataError(
            "lists",
            f"an item index is from 0 to {items - 1}, or -1 after the end",
            received=int(lists.max() if lists.max() >= items else lists.min()),
        )
    ordered = np.sort(lists, axis=1)
    repeated = ((ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0)).any(axis=1)
    if repeated.any():
        raise DataError(
            "lists",
            "an item is listed once",
            received=f"a repeat in row {int(repeated.argmax())}",
            remedy="Drop duplicates, keeping the best rank",
        )
    gap = ((lists[:, 1:] >= 0) & (lists[:, :-1] < 0)).any(axis=1)
    if gap.any():
        raise DataError(
            "lists", "-1 only follows a list's end", received=f"in row {int(gap.argmax())}"
        )


class RankedLists:
    """Ranked lists beside what is relevant; each metric is float64 [users].

    Args:
        lists: Integers [users, length], best first, -1 after the end.
        relevant: Relevant items, a row a user.
        items: Catalogue size.

    Raises:
        DataError: The lists break a rule of `check_lists`, or there are not as many as users.

    Example:
        Two of three relevant items, at ranks 1 and 3: recall 2/3, precision 2/4, and DCG
        1 + 1/2 over the ideal 1 + 1/log2(3) + 1/2.

        >>> relevant = CompressedRows.from_pairs([0, 0, 0], [5, 7, 9], rows=1)
        >>> ranked = RankedLists(np.array([[7, 1, 5, 2]]), relevant, items=10)
        >>> ranked.precision(4).tolist(), ranked.recall(4).round(4).tolist()
        ([0.5], [0.6667])
        >>> ranked.ndcg(4).round(4).tolist()
        [0.7039]
    """

    def __init__(
        self, lists: NDArray[np.integer[Any]], relevant: CompressedRows, *, items: int
    ) -> None:
        if len(lists) != len(relevant):
            raise DataError(
                "lists",
                "lists and relevant items are of the same users",
                received=f"{len(lists)} lists, {len(relevant)} users",
            )
        check_lists(lists, items)
        self.lists = lists
        self.relevant = relevant
        self.items = items
        # Hits are few: one pair each, in order of user and rank, and no table of zeros.
        self._user, self._place = np.nonzero(relevant.contains(lists))
        starts = np.searchsorted(self._user, np.arange(len(lists)))
        self._nth = np.arange(1, len(self._user) + 1) - starts[self._user]
        self._wanted = relevant.counts.astype(np.float64)

    def hit_count(self, k: int) -> Values:
        """Relevant items in the top k."""
        return self._summed(np.ones(len(self._place)), self._place < k)

    def precision(self, k: int) -> Values:
        """Hits over k, also for a list that is shorter (scikit-learn's and RecTools' way)."""
        return self._defined(self.hit_count(k) / k)

    def recall(self, k: int) -> Values:
        """Hits over the number of relevant items."""
        return self._of_wanted(self.hit_count(k))

    def f1(self, k: int) -> Values:
        """Harmonic mean of precision and recall: 2 hits / (k + relevant)."""
        return self._defined(2 * self.hit_count(k) / (k + self._wanted))

    def accuracy(self, k: int) -> Values:
        """Share of the catalogue put on its right side: listed and relevant, or neither."""
        listed = (self.lists[:, :k] >= 0).sum(axis=1)
        wrong = listed + self._wanted - 2 * self.hit_count(k)
        return self._defined(1 - wrong / self.items)

    def hit_rate(self, k: int) -> Values:
        """1 with at least one hit in the top k."""
        return self._defined((self.hit_count(k) > 0).astype(np.float64))

    def ndcg(self, k: int) -> Values:
        """DCG with gain 1, over that of the ideal list of min(k, relevant) hits.

        Järvelin & Kekäläinen 2002 with discount 1/log2(rank + 1).
        """
        gained = self._summed(discounts(self.lists.shape[1])[self._place], self._place < k)
        ideal = np.concatenate([[np.nan], np.cumsum(discounts(k))])
        return gained / ideal[np.minimum(self._wanted, k).astype(int)]

    def graded_ndcg(
        self, k: int, grades: NDArray[np.floating[Any]], *, gain: Literal["linear", "exp"] = "exp"
    ) -> Values:
        """DCG of graded relevance over that of the ideal order.

        Args:
            k: Depth.
            grades: float [entries], not negative, one for each of `relevant.indices`.
            gain: `exp` gives 2^grade - 1 (Burges et al. 2005; trec's and ranx's `ndcg_burges`);
                `linear` the grade itself (scikit-learn's).

        Raises:
            DataError: A grade is negative, or there is not one for each relevant item.
        """
        grades = np.asarray(grades, np.float64)
        if grades.shape != self.relevant.indices.shape or (grades < 0).any():
            raise DataError("grades", "one grade, 0 or more, for each relevant item")
        gains = np.exp2(grades) - 1 if gain == "exp" else grades
        # Greatest first within each user: position there is the ideal rank.
        order = np.lexsort((-gains, self.relevant.row_of))
        rank = np.arange(len(gains)) - np.repeat(self.relevant.offsets[:-1], self.relevant.counts)
        worth = np.where(rank < k, 1 / np.log2(rank + 2), 0) * gains[order]
        ideal = np.bincount(self.relevant.row_of, worth, minlength=len(self.lists))
        user, place = self._user, self._place
        keys = (self.relevant.row_of << 32) | self.relevant.indices
        entry = np.searchsorted(keys, (user << 32) | self.lists[user, place].astype(np.int64))
        gained = self._summed(gains[entry] / np.log2(place + 2), place < k)
        return np.divide(gained, ideal, out=np.full(len(ideal), np.nan), where=ideal > 0)

    def mrr(self, k: int) -> Values:
        """One over the rank of the first hit within k, 0 without one."""
        return self._defined(
            self._summed(1 / (self._place + 1), (self._nth == 1) & (self._place < k))
        )

    def average_precision(
        self, k: int, *, over: Literal["reachable", "relevant"] = "reachable"
    ) -> Values:
        """Mean over relevant items of the precision at their rank, 0 for those not listed.

        Args:
            k: Depth.
            over: What the sum is divided by: `reachable` is min(k, relevant), so that a perfect
                list scores 1 at every k; `relevant` is all of them (RecTools, ranx, trec).
        """
        total = self._summed(self._nth / (self._place + 1), self._place < k)
        wanted = np.minimum(self._wanted, k) if over == "reachable" else self._wanted
        return np.divide(total, wanted, out=np.full(len(total), np.nan), where=wanted > 0)

    def r_precision(self) -> Values:
        """Precision at as many places as there are relevant items (needs lists that long)."""
        within = self._place < self._wanted[self._user]
        return self._of_wanted(self._summed(np.ones(len(self._place)), within))

    def all(self, ks: Iterable[int]) -> dict[str, Values]:
        """Every metric at every k, by name: `recall@10`, `ndcg@10` and so on."""
        found: dict[str, Values] = {}
        for k in ks:
            for name in METRICS:
                found[f"{NAMES[name]}@{k}"] = getattr(self, name)(k)
        return found

    def _summed(self, worth: Values, counted: NDArray[np.bool_]) -> Values:
        sums = np.bincount(self._user[counted], worth[counted], minlength=len(self.lists))
        return sums.astype(np.float64)

    def _defined(self, values: Values) -> Values:
        return np.where(self._wanted > 0, values, np.nan)

    def _of_wanted(self, values: Values) -> Values:
        wanted = self._wanted
        return np.divide(values, wanted, out=np.full(len(values), np.nan), where=wanted > 0)


METRICS = (
    "precision",
    "recall",
    "f1",
    "accuracy",
    "hit_rate",
    "ndcg",
    "mrr",
    "average_precision",
)
NAMES = {name: "map" if name == "average_precision" else name for name in METRICS}


def discounts(k: int) -> Values:
    """1 / log2(rank + 1) of ranks 1 … k, float64 [k]."""
    return 1 / np.log2(np.arange(2, k + 2))
