"""Joins feedback to impressions by request id, one shard of request ids at a time.

    impressions ─ first of each id ─┐
                                    ├─ join ─ after the impression? shown? ─▶ sums of each request
    feedback ─ first of each ───────┘                                       └▶ reward of each slot

All events of a request are in one shard, so shards know nothing of each other. Rows are put in
order (time, file, line) before anything is chosen among them: neither the order of files nor the
number of workers changes a figure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from tfrec.online.events.ignored import Ignored

__all__ = ["Joined", "join"]

_ORDER = ["timestamp", "file", "line"]


@dataclass
class Joined:
    """The impressions of a shard with what came of them.

    Attributes:
        impressions: One row a request, in order of time; the schema's columns.
        sums: One row a request, aligned: what `experiments.metrics` adds up.
        request: int64 [slots], the row of the request that each shown slot belongs to.
        place: int64 [slots], its place on the list.
        clicked: bool [slots].
        reward: float64 [slots], sum of the values of the chosen event.
        ignored: What was left out.
    """

    impressions: pd.DataFrame
    sums: pd.DataFrame
    request: npt.NDArray[np.int64]
    place: npt.NDArray[np.int64]
    clicked: npt.NDArray[np.bool_]
    reward: npt.NDArray[np.float64]
    ignored: Ignored


def join(
    impressions: pd.DataFrame, feedback: pd.DataFrame, reward: str, clock_skew: float
) -> Joined:
    """Joins a shard.

    Args:
        impressions: Frame of the schema.
        feedback: Frame of the schema.
        reward: The event whose values are summed by slot.
        clock_skew: Seconds that feedback may seem to come before its impression.
    """
    ignored = Ignored()
    impressions = impressions.sort_values(_ORDER, kind="stable")
    twice = impressions.duplicated("request_id")
    ignored.add_rows("duplicate_impression", impressions[twice], "request_id")
    impressions = impressions[~twice].reset_index(drop=True)
    known, slot = _known_feedback(impressions, feedback, clock_skew, ignored)

    lengths = impressions["items"].map(len).to_numpy(np.int64)
    request = np.repeat(np.arange(len(impressions)), lengths)
    start = np.cumsum(lengths) - lengths
    place = np.arange(len(request)) - np.repeat(start, lengths)
    kind, row = known["event"].to_numpy(), known["row"].to_numpy(np.int64)
    value = known["value"].to_numpy(np.float64)
    on_slot = slot >= 0
    at = start[row] + slot
    clicked = np.zeros(len(request), bool)
    clicked[at[(kind == "click") & on_slot]] = True
    chosen = (kind == reward) & on_slot
    rewards = np.bincount(at[chosen], weights=value[chosen], minlength=len(request))

    def total(event: str, weights: npt.NDArray[np.float64] | None = None) -> Any:
        mask = kind == event
        return np.bincount(
            row[mask],
            weights=None if weights is None else weights[mask],
            minlength=len(impressions),
        ).astype(np.float64)

    latency = impressions["latency_ms"].to_numpy(np.float64)
    sums = pd.DataFrame(
        {
            "requests": np.ones(len(impressions)),
            "items": lengths.astype(np.float64),
            "clicks": total("click"),
            "converted": np.minimum(total("conversion"), 1.0),
            "dwell": total("dwell", value),
            "satisfaction": total("satisfaction", value),
            "ratings": total("satisfaction"),
            "latency": np.nan_to_num(latency),
            "timed": (~np.isnan(latency)).astype(np.float64),
            "empty": (lengths == 0).astype(np.float64),
        }
    )
    return Joined(impressions, sums, request, place, clicked, rewards.astype(np.float64), ignored)


def _known_feedback(
    impressions: pd.DataFrame, feedback: pd.DataFrame, clock_skew: float, ignored: Ignored
) -> tuple[pd.DataFrame, npt.NDArray[np.int64]]:
    """Feedback that counts, with the row of its request, and its slot; -1 for the whole list."""
    feedback = feedback.sort_values([*_ORDER, "event", "item"], kind="stable")
    # A click is there or not; a dwell may come in several pieces.
    once = feedback["event"].isin(["click", "conversion"])
    exact = feedback["timestamp"].where(~once, 0.0)
    value = feedback["value"].where(~once, 0.0)
    keys = feedback[["request_id", "item", "event"]].assign(exact=exact, value=value)
    # Feedback from before its impression can't stand for a later one, so it goes first.
    rows = pd.Index(impressions["request_id"]).get_indexer(feedback["request_id"])
    unknown = rows < 0
    ignored.add_rows("unknown_request", feedback[unknown], "request_id")
    shown_at = (
        np.where(
            unknown, -np.inf, impressions["timestamp"].to_numpy(np.float64).take(rows, mode="clip")
        )
        if len(impressions)
        else np.full(len(feedback), -np.inf)
    )
    early = ~unknown & (feedback["timestamp"].to_numpy(np.float64) < shown_at - clock_skew)
    ignored.add_rows("before_impression", feedback[early], "request_id")
    kept = ~unknown & ~early
    feedback, keys, rows = feedback[kept], keys[kept], rows[kept]
    twice = keys.duplicated().to_numpy()
    ignored.add_rows("duplicate_feedback", feedback[twice], "request_id")
    feedback, rows = feedback[~twice], rows[~twice]
    slot = _slots(impressions, feedback, rows)
    ignored.add_rows("not_shown", feedback[slot == -2], "item")
    inside = slot > -2
    return feedback[inside].assign(row=rows[inside]), slot[inside]


def _slots(
    impressions: pd.DataFrame, feedback: pd.DataFrame, rows: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Place of the item on its list; -1 without an item, -2 when it isn't there."""
    lists = impressions["items"].to_numpy()
    items = feedback["item"].to_numpy()
    found = np.full(len(feedback), -1, np.int64)
    for number, (row, item) in enumerate(zip(rows, items, strict=True)):
        if item:
            try:
                found[number] = lists[row].index(item)
            except ValueError:
                found[number] = -2
    return found
