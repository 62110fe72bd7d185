"""Named rules of quality: ranges, allowed values, windows of time, bots, the k-core.

Rules on single rows are applied as they are read. Those that look at other events work on the
sorted events of a partition (`bot_events`) or on all partitions at once (`find_core`), and never
let a later part decide about an earlier one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from preprocessing.cells import as_number, as_text, parse_moment
from preprocessing.rejecting import RowCheck
from preprocessing.spilling import save_array
from tfrec.config import ColumnRules
from tfrec.errors import DescriptionError

__all__ = [
    "CorePaths",
    "bot_events",
    "check_columns",
    "check_window",
    "find_core",
    "parse_window",
    "sum_repeats",
]

Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
_HOUR = 3600


def check_columns(check: RowCheck, columns: dict[str, Any], rules: ColumnRules) -> None:
    """Refuses rows outside a range, and rows with a value that isn't allowed."""
    for column, (low, high) in rules.ranges.items():
        numbers, wrong = as_number(columns[column])
        check.refuse(wrong, "bad_number", columns[column], column)
        with np.errstate(invalid="ignore"):
            outside = np.zeros(len(numbers), bool)
            if low is not None:
                outside |= numbers < low
            if high is not None:
                outside |= numbers > high
        check.refuse(outside, "out_of_range", columns[column], column)
    for column, values in rules.allowed.items():
        text = as_text(columns[column])
        known = pc.or_(pc.is_in(text, value_set=pa.array(values)), pc.is_null(text))
        check.refuse(~known.to_numpy(zero_copy_only=False), "not_allowed", text, column)


def parse_window(since: int | str | None, until: int | str | None) -> tuple[int | None, int | None]:
    """The window's moments as Unix seconds.

    Raises:
        DescriptionError: One is no moment.

    Example:
        >>> parse_window("1970-01-02", None)
        (86400, None)
    """
    moments = []
    for name, value in (("since", since), ("until", until)):
        moment = None if value is None else parse_moment(value)
        if value is not None and moment is None:
            raise DescriptionError(
                f"interactions.{name}",
                "a moment is Unix seconds or ISO 8601",
                received=repr(value),
                remedy="Write for example 2024-05-31 or 1717113600",
            )
        moments.append(moment)
    return moments[0], moments[1]


def check_window(check: RowCheck, times: Ints, window: tuple[int | None, int | None]) -> None:
    """Refuses events before the window, or at or after its end."""
    since, until = window
    outside = np.zeros(len(times), bool)
    if since is not None:
        outside |= times < since
    if until is not None:
        outside |= times >= until
    check.refuse(outside, "outside_window", times)


def bot_events(users: Ints, times: Ints, parts: Ints, bound: int) -> Mask:
    """Events of users with more than `bound` events in some 60 minutes.

    Args:
        users: int64 [events], sorted.
        times: int64 [events], sorted within each user.
        parts: Of each event.
        bound: Most events of 60 minutes.

    Returns:
        bool [events]: those in the first part in which its user exceeds the bound, counting nothing
        that comes in a later part, and those in later parts.

    Example:
        >>> users, parts = np.array([0, 0, 0, 0, 1]), np.array([0, 1, 1, 2, 0])
        >>> bot_events(users, np.array([0, 9000, 9001, 99999, 5]), parts, 1).tolist()
        [False, True, True, True, False]
    """
    refused = np.zeros(len(users), bool)
    for part in range(3):
        seen = np.flatnonzero(parts <= part)
        own_users, own_times = users[seen], times[seen]
        # Of sorted events, more than `bound` share an hour if one and the `bound`-th after it do.
        exceeds = np.zeros(len(seen), bool)
        exceeds[bound:] = (own_users[bound:] == own_users[:-bound]) & (
            own_times[bound:] - own_times[:-bound] < _HOUR
        )
        bots = np.unique(own_users[exceeds])
        refused |= np.isin(users, bots) & (parts >= part)
    return refused


def sum_repeats(
    users: Ints, items: Ints, events: Ints, parts: Ints, values: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """For each event the sum over all of its user, item, type and part.

    Example:
        >>> one = np.zeros(3, int)
        >>> sum_repeats(one, np.array([7, 8, 7]), one, one, np.float32([1, 2, 3])).tolist()
        [4.0, 2.0, 4.0]
    """
    keys = np.stack([users, items, events, parts])
    _, groups = np.unique(keys, axis=1, return_inverse=True)
    sums = np.zeros(int(groups.max(initial=-1)) + 1)
    np.add.at(sums, groups.reshape(-1), values.astype(np.float64))
    return sums[groups.reshape(-1)].astype(np.float32)


@dataclass(frozen=True)
class CorePaths:
    """Where one partition keeps the events of the train part while the core is sought.

    Attributes:
        users, items: `.npy` int64 [train events].
        dropped: `.npy` bool [train events], written by `find_core`.
    """

    users: Path
    items: Path
    dropped: Path

    @classmethod
    def of(cls, folder: Path, partition: int) -> CorePaths:
        """The paths of a partition."""
        return cls(
            *(folder / f"core-{name}-{partition:05d}.npy" for name in ("users", "items", "dropped"))
        )


def find_core(
    partitions: Sequence[CorePaths], items: int, min_user: int, min_item: int
) -> tuple[int, int]:
    """Finds the largest set of events in which every user and item has enough of them.

    Users lie in one partition each, so only the counts of items are global: each pass over the
    partitions drops users by the items that are left, then items by the users that are left.

    Args:
        partitions: Train events.
        items: Catalogue size.
        min_user: Least events of a user.
        min_item: Least events of an item.

    Returns:
        Events that are left, and events that are dropped.
    """
    alive = np.ones(items, bool)
    while True:
        counts = np.zeros(items, np.int64)
        kept_events = dropped_events = 0
        for paths in partitions:
            users, events = np.load(paths.users, mmap_mode="r"), np.load(paths.items, mmap_mode="r")
            kept = alive[events]
            per_user = np.bincount(users[kept], minlength=int(users.max(initial=-1)) + 1)
            kept &= per_user[users] >= min_user
            counts += np.bincount(events[kept], minlength=items)
            save_array(paths.dropped, ~kept)
            kept_events += int(kept.sum())
            dropped_events += int((~kept).sum())
        still = alive & (counts >= min_item)
        # An item without any event left can't drop another one.
        if not (alive & ~still & (counts > 0)).any():
            return kept_events, dropped_events
        alive = still
