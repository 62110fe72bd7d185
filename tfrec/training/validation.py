"""The figure that training is stopped by: full-catalogue ranking of held-out positives."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tfrec.evaluation.compressed_rows import CompressedRows
from tfrec.evaluation.metrics import RankedLists, mean
from tfrec.evaluation.top_k import TopK, top_k
from tfrec.input import Timelines, query_inputs

__all__ = ["Validation"]


class Validation:
    """Users of the validation part with a positive that is new to them, and what they had seen.

    Args:
        train: Their past, every event.
        validation: What they did then.
        items: Catalogue size.
        length: Of histories.
        negatives: Whether events that are not positive are in histories.
        users: At most so many, the same ones for a seed.
        seed: Of their choice.
    """

    def __init__(
        self,
        train: Timelines,
        validation: Timelines,
        *,
        items: int,
        length: int,
        negatives: bool = False,
        users: int = 5_000,
        seed: int = 0,
    ) -> None:
        past = train.select(validation.user_index)
        seen = CompressedRows.from_pairs(past.rows, past.item_index, rows=len(past))
        liked = validation.positives()
        new = ~_contains(seen, liked.rows, liked.item_index)
        relevant = CompressedRows.from_pairs(
            liked.rows[new], liked.item_index[new], rows=len(liked)
        )
        chosen = np.flatnonzero(relevant.counts > 0)
        if len(chosen) > users:
            chosen = np.sort(np.random.default_rng(seed).choice(chosen, users, replace=False))
        self.users = len(chosen)
        self._items = items
        self._seen, self._relevant = seen.take(chosen), relevant.take(chosen)
        index = validation.user_index[chosen]
        history = past.select(index)
        at = np.array([validation.timestamp[validation.offsets[row]] for row in chosen], np.int64)
        self.inputs = query_inputs(history if negatives else history.positives(), length, at=at)
        # A user who is only in the validation part has a profile there, and none in the past.
        here = validation.select(index)
        for name, flags in here.profile_present.items():
            self.inputs[name], self.inputs[f"{name}/present"] = here.profile[name], flags

    @property
    def history_lengths(self) -> npt.NDArray[np.int64]:
        """Events in each user's history, as far as the model is given it, int64 [users]."""
        return (self.inputs["history"] >= 0).sum(1)

    def measure(
        self, queries: npt.NDArray[np.float32], vectors: npt.NDArray[np.float32], metric: str
    ) -> float:
        """A metric of some vectors.

        Args:
            queries: float32 [users, D].
            vectors: float32 [items, D].
            metric: `ndcg@K` or `recall@K`.

        Returns:
            Its mean over users.
        """
        return mean(self.values(queries, vectors, metric))

    def values(
        self,
        queries: npt.NDArray[np.float32],
        vectors: npt.NDArray[np.float32],
        metric: str,
        rows: npt.NDArray[np.int64] | None = None,
    ) -> npt.NDArray[np.float64]:
        """As `measure`, float64 [users], of all users or of some, whose queries are given."""
        name, _, k = metric.partition("@")
        lists = self.best(queries, vectors, int(k), rows=rows)
        relevant = self._relevant if rows is None else self._relevant.take(rows)
        ranked: Any = RankedLists(lists.items, relevant, items=self._items)
        values: npt.NDArray[np.float64] = getattr(ranked, name)(int(k))
        return values

    def best(
        self,
        queries: npt.NDArray[np.float32],
        vectors: npt.NDArray[np.float32],
        k: int,
        *,
        candidates: npt.NDArray[np.int64] | None = None,
        rows: npt.NDArray[np.int64] | None = None,
    ) -> TopK:
        """Lists of all users or of some, whose queries are given, without what they had seen."""
        seen = self._seen if rows is None else self._seen.take(rows)
        return top_k(queries, vectors, k, seen=seen, candidates=candidates)


def _contains(
    rows: CompressedRows, row: npt.NDArray[np.integer[Any]], item: npt.NDArray[np.integer[Any]]
) -> npt.NDArray[np.bool_]:
    known = rows.row_of << 32 | rows.indices
    return np.isin(row.astype(np.int64) << 32 | item, known)
