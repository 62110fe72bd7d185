"""Time cut into periods, and what was known at the start of each.

edges      e0        e1        e2        e3
events  ───┼─────────┼─────────┼─────────┼──▶ time
period 1   train ────┤ validate│  test   │
before e0   e0 to e1  e1 to e2
period 2   train before e1 ──── e1 to e2  e2 to e3
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tfrec.errors import DataError, DescriptionError
from tfrec.input import ItemTable, Timelines
from tfrec.schema import Split

__all__ = ["Cut", "cut_at", "period_edges"]

# The share of all events that the first training has at least.
WARM_UP = 0.4
DAY = 86_400


@dataclass(frozen=True)
class Cut:
    """What was known at one moment, and what came next.

    Attributes:
        items: The catalogue, with the popularity that the train part gives it.
        parts: Events before the validation period, of it, and of the period that is asked for.
        start, end: The asked period, Unix seconds; `end` is not in it.
    """

    items: ItemTable
    parts: dict[Split, Timelines]
    start: int
    end: int


def period_edges(
    timestamps: NDArray[np.int64], periods: int, days: float | None = None
) -> NDArray[np.int64]:
    """Edges of the periods: the first belongs to validation alone.

    Args:
        timestamps: int64 [E], of all events, in any order.
        periods: How many are asked for, at least 1.
        days: Length of each, the last ending with the last event. Without it every period has
            about equally many events, and at least 40 % of all lie before the first edge.

    Returns:
        int64 [periods + 2], ascending and distinct.

    Raises:
        DescriptionError: There are too few different moments for so many periods, or nothing lies
            before the first.
    """
    if not len(timestamps):
        raise DataError("events", "a replay needs events", received="none")
    end = int(timestamps.max()) + 1
    if days is not None:
        length = max(1, round(days * DAY))
        edges = end - length * np.arange(periods + 1, -1, -1, dtype=np.int64)
    else:
        ordered = np.sort(timestamps)
        shares = np.linspace(WARM_UP, 1, periods + 2)[:-1]
        edges = np.append(ordered[(shares * len(ordered)).astype(int)], end)
    if len(np.unique(edges)) < len(edges) or not (timestamps < edges[0]).any():
        raise DescriptionError(
            "--periods",
            "every period, and the time before the first, must have events",
            received=f"{periods} periods" + (f" of {days:g} days" if days is not None else ""),
            remedy="Ask for fewer, or shorter ones",
        )
    return np.asarray(edges, np.int64)


def cut_at(items: ItemTable, everything: Timelines, edges: NDArray[np.int64], period: int) -> Cut:
    """What was known before a period, and the period.

    Args:
        items: The catalogue; its popularity is counted again.
        everything: All events.
        edges: Of `period_edges`.
        period: From 0.
    """
    validation, start, end = (int(edge) for edge in edges[period : period + 3])
    time = everything.timestamp
    parts: dict[Split, Timelines] = {
        "train": _some(everything, time < validation),
        "validation": _some(everything, (time >= validation) & (time < start)),
        "test": _some(everything, (time >= start) & (time < end)),
    }
    train = parts["train"].positives()
    last = np.zeros(len(items), np.int64)
    np.maximum.at(last, train.item_index, train.timestamp)
    counted = replace(
        items,
        train_count=np.bincount(train.item_index, minlength=len(items)).astype(np.int64),
        train_last=last,
        train_weight=np.bincount(
            train.item_index, train.weight.astype(np.float64), minlength=len(items)
        ).astype(np.float32),
    )
    return Cut(counted, parts, start, end)


def _some(timelines: Timelines, keep: NDArray[np.bool_]) -> Timelines:
    """Some events, and the users who have any."""
    kept = timelines.where(keep)
    return kept.select(kept.user_index[np.diff(kept.offsets) > 0])
