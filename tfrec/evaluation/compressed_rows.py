"""Sets of items by user, held as compressed sparse rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["CompressedRows"]


@dataclass(frozen=True)
class CompressedRows:
    """A set of item indices for each user: `indices[offsets[u]:offsets[u + 1]]`, ascending.

    Attributes:
        offsets: int64 [users + 1].
        indices: int32 [entries], ascending and distinct within a row.

    Example:
        >>> rows = CompressedRows.from_pairs([1, 0, 1, 1], [7, 3, 2, 7], rows=3)
        >>> rows.offsets.tolist(), rows.indices.tolist()
        ([0, 1, 3, 3], [3, 2, 7])
    """

    offsets: NDArray[np.int64]
    indices: NDArray[np.int32]

    @classmethod
    def from_pairs(
        cls,
        row: NDArray[np.integer] | Sequence[int],
        item: NDArray[np.integer] | Sequence[int],
        *,
        rows: int,
    ) -> CompressedRows:
        """Collects pairs in any order; repeats count once.

        Args:
            row: Integers [pairs], the user of each pair, 0 … rows - 1.
            item: Integers [pairs], its item.
            rows: How many users there are.
        """
        row, item = np.asarray(row, np.int64), np.asarray(item, np.int64)
        # One sortable number a pair; item indices are int32, so 32 bits hold them.
        pairs = np.unique((row << 32) | item)
        counts = np.bincount(pairs >> 32, minlength=rows) if len(pairs) else np.zeros(rows, int)
        offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        return cls(offsets, (pairs & 0xFFFFFFFF).astype(np.int32))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, row: int) -> NDArray[np.int32]:
        return self.indices[self.offsets[row] : self.offsets[row + 1]]

    @property
    def counts(self) -> NDArray[np.int64]:
        """Items of each row, int64 [rows]."""
        return np.diff(self.offsets)

    @property
    def row_of(self) -> NDArray[np.int64]:
        """The row of each entry, int64 [entries]."""
        return np.repeat(np.arange(len(self)), self.counts)

    def take(self, rows: NDArray[np.integer]) -> CompressedRows:
        """The rows asked for, in the order asked; a row of -1 gives an empty set.

        Args:
            rows: Integers [chosen].
        """
        rows = np.asarray(rows, np.int64)
        counts = np.where(rows >= 0, self.counts[rows], 0) if len(self) else rows * 0
        offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        start = np.repeat(self.offsets[:-1][rows] if len(self) else rows * 0, counts)
        within = np.arange(offsets[-1]) - np.repeat(offsets[:-1], counts)
        return CompressedRows(offsets, self.indices[start + within])

    def keep(self, allowed: NDArray[np.bool_]) -> CompressedRows:
        """Drops the items that are not allowed.

        Args:
            allowed: bool [items].
        """
        kept = allowed[self.indices]
        totals = np.concatenate([[0], np.cumsum(kept)])
        return CompressedRows(totals[self.offsets], self.indices[kept])

    def without(self, other: CompressedRows) -> CompressedRows:
        """Drops from each row the items that the same row of `other` holds."""
        ours = (self.row_of << 32) | self.indices
        theirs = (other.row_of << 32) | other.indices
        kept = ~np.isin(ours, theirs, assume_unique=True)
        totals = np.concatenate([[0], np.cumsum(kept)])
        return CompressedRows(totals[self.offsets], self.indices[kept])

    def contains(self, lists: NDArray[np.integer]) -> NDArray[np.bool_]:
        """Which entries of ranked lists are in the row's set.

        Args:
            lists: Integers [rows, k]; -1 stands for no item.

        Returns:
            bool [rows, k].
        """
        keys = (self.row_of << 32) | self.indices
        wanted = (np.arange(len(lists))[:, None] << 32) | lists.astype(np.int64)
        if not len(keys):
            return np.zeros(lists.shape, bool)
        # Both are sorted by row, so a binary search beats a hash of everything.
        found = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        return (keys[found] == wanted) & (lists >= 0)
