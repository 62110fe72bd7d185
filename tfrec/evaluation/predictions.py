"""Lists that anything wrote as a Parquet file, checked and counted before they are judged."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tfrec.errors import DataError

__all__ = ["Predictions", "read_predictions"]


@dataclass(frozen=True)
class Predictions:
    """Ranked lists of a split's users.

    Attributes:
        lists: int32 [users, k], best first, -1 after the end; in the users' order.
        unknown_users: Rows of users that the split doesn't have, ignored.
        unknown_items: Rows of items that the catalogue doesn't have, ignored.
        duplicates: Rows that repeat an item of the user's at a better rank, ignored.
        beyond: Rows after the k-th of a user, ignored.
        short: Users with fewer than k items.
        without: Users without any.
    """

    lists: NDArray[np.int32]
    unknown_users: int
    unknown_items: int
    duplicates: int
    beyond: int
    short: int
    without: int

    def ignored(self) -> str:
        """What was left out, in words; empty when nothing was."""
        told = (
            (self.unknown_users, "rows of users outside the split ignored"),
            (self.unknown_items, "rows of items outside the catalogue ignored"),
            (self.duplicates, "repeats of an item ignored"),
            (self.beyond, "rows beyond the depth ignored"),
            (self.without, "users without a list"),
            (self.short, "lists shorter than the depth"),
        )
        return ", ".join(f"{count:,} {words}" for count, words in told if count)


def read_predictions(
    path: str | Path, users: NDArray[Any], items: NDArray[Any], k: int
) -> Predictions:
    """Reads `user_id`, `rank` (1 is best), `item_id`, and checks `score` where it is there.

    Args:
        path: A Parquet file, as `tfrec recommend` writes it.
        users: Ids of the split's users, [U] of str; the order of the lists.
        items: Ids of the catalogue, [N] of str.
        k: Depth of the lists.

    Raises:
        DataError: A column is missing or null, a rank is below 1 or given twice to a user, a score
            is not finite, or none of the rows is of the split's users.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise DataError(
            str(path),
            "predictions are a Parquet file",
            received=str(error).splitlines()[0],
            remedy="Write it with `tfrec recommend`",
        ) from error
    missing = [name for name in ("user_id", "rank", "item_id") if name not in table.column_names]
    if missing:
        raise DataError(
            str(path),
            "predictions have the columns user_id, rank, item_id",
            received=f"no {', '.join(missing)} among {', '.join(table.column_names)}",
        )
    for name in ("user_id", "rank", "item_id"):
        if table.column(name).null_count:
            raise DataError(
                str(path), f"`{name}` may not be null", received=f"{table.column(name).null_count}"
            )
    rank = table.column("rank").to_numpy()
    if len(rank) and not (np.issubdtype(rank.dtype, np.number) and rank.min() >= 1):
        raise DataError(str(path), "a rank is a number from 1 on", received=f"{rank.min()}")
    if "score" in table.column_names:
        wrong = ~np.isfinite(table.column("score").to_numpy().astype(np.float64))
        if wrong.any():
            raise DataError(
                str(path),
                "a score must be finite",
                received=f"{int(wrong.sum()):,} NaN or infinite, first in row {wrong.argmax() + 1}",
            )
    user = _places(table.column("user_id"), users)
    item = _places(table.column("item_id"), items)
    if not (user >= 0).any():
        raise DataError(
            str(path),
            "predictions are for users of the split",
            received="none of them" if len(user) else "an empty file",
            remedy="Name the same --split as for `tfrec recommend`",
        )
    kept = np.flatnonzero((user >= 0) & (item >= 0))
    kept = kept[np.lexsort((rank[kept], user[kept]))]
    user_, rank_, item_ = user[kept], rank[kept], item[kept]
    twice = (user_[1:] == user_[:-1]) & (rank_[1:] == rank_[:-1])
    if twice.any():
        raise DataError(
            str(path),
            "a rank is given once to a user",
            received=f"rank {rank_[1:][twice][0]} twice for user {users[user_[1:][twice][0]]!r}",
        )
    # The first of equal pairs in this order is the one with the best rank.
    _, first = np.unique(user_ * np.int64(len(items)) + item_, return_index=True)
    first.sort()
    user_, item_ = user_[first], item_[first]
    place = np.arange(len(user_)) - np.searchsorted(user_, user_)
    inside = place < k
    lists = np.full((len(users), k), -1, np.int32)
    lists[user_[inside], place[inside]] = item_[inside]
    length = (lists >= 0).sum(axis=1)
    return Predictions(
        lists=lists,
        unknown_users=int((user < 0).sum()),
        unknown_items=int(((user >= 0) & (item < 0)).sum()),
        duplicates=len(kept) - len(first),
        beyond=int((~inside).sum()),
        short=int(((length > 0) & (length < k)).sum()),
        without=int((length == 0).sum()),
    )


def _places(column: Any, known: NDArray[Any]) -> NDArray[np.int64]:
    """The position of each id among the known ones, -1 for another."""
    import pyarrow as pa
    import pyarrow.compute as pc

    found = pc.index_in(
        column.cast(pa.string()), value_set=pa.array([str(one) for one in known], pa.string())
    )
    return np.asarray(pc.fill_null(found, -1).to_numpy(), np.int64)
