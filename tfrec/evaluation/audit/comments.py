"""Rules on comments: items and events know of those alone that the train part could know.

They need the raw comments, which are read here on their own, not by preprocessing's readers.
"""

from __future__ import annotations

import glob
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tfrec.errors import DataError
from tfrec.evaluation.audit.audited import Audited
from tfrec.evaluation.audit.finding import Finding, fault, ok, skipped
from tfrec.schema import COMMENTS, COMMENTS_COUNT

__all__ = ["comments", "event_sentiment", "read_comments"]

# Shorter texts ("nice") stand in other comments by chance.
_LETTERS = 12


def read_comments(data: Audited, root: str | Path) -> pd.DataFrame:
    """The raw comments on items of the catalogue: user, item (index), text, time, learnt.

    `learnt` tells whether the train part may know it: it was written before the first moment of
    validation, or for other splits not after its author's last train event.

    Raises:
        DataError: A file is missing or unreadable.
    """
    config = data.manifest.dataset.comments
    assert config is not None
    pattern = str(Path(root) / config.path)
    paths = sorted(glob.glob(pattern))
    if not paths:
        raise DataError(
            pattern, "the raw comments must be there", received="no such file",
            remedy="Name the folder that the description's paths start from: --data-root",
        )  # fmt: skip
    try:
        raw = pd.concat([_read(path) for path in paths])
        columns = [config.user, config.item, config.text, config.timestamp]
        table = raw[columns].dropna()
    except (OSError, ValueError, KeyError) as error:
        raise DataError(
            pattern, "comments must be readable as described", received=str(error)
        ) from error
    table.columns = pd.Index(["user", "item", "text", "time"])
    table["user"], table["item"] = table["user"].astype(str), table["item"].astype(str)
    places = {item: place for place, item in enumerate(data.items.ids)}
    table = table[table["item"].isin(places)].copy()
    table["item"] = table["item"].map(places)
    table["text"] = [" ".join(str(text).split()) for text in table["text"]]
    table["time"] = _moments(table["time"])
    cut = data.manifest.split_times.get("validation")
    if data.manifest.dataset.split.method == "global_time" and cut is not None:
        table["end"] = cut - 1
    else:
        train = data.train
        last = dict(zip(train.user_ids, train.timestamp[train.offsets[1:] - 1], strict=True))
        table["end"] = table["user"].map(last).fillna(-1).astype(np.int64)
    table["learnt"] = table["time"] <= table["end"]
    return table


def _read(path: str) -> pd.DataFrame:
    if path.endswith(".parquet"):
        return pd.read_parquet(path)
    if ".jsonl" in path:
        return pd.read_json(path, lines=True, dtype=False)
    return pd.read_csv(path, dtype=str, keep_default_na=False)


def _moments(column: pd.Series[Any]) -> NDArray[np.int64]:
    numbers = pd.to_numeric(column, errors="coerce")
    if numbers.notna().all():
        return np.floor(numbers.to_numpy(np.float64)).astype(np.int64)
    moments = pd.to_datetime(column, utc=True, format="ISO8601")
    epoch = pd.Timestamp(0, tz="UTC")
    return ((moments - epoch) // pd.Timedelta(seconds=1)).to_numpy(np.int64)


def comments(data: Audited, table: pd.DataFrame | None) -> Finding:
    """An item's comments, and how many there are, are those of the train part's time."""
    rule = "comments"
    if COMMENTS not in data.items.present:
        return skipped(rule, "the data has no comments")
    if table is None:
        return skipped(rule, "needs the raw comments: --data-root DIR")
    size = len(data.items)
    allowed = np.bincount(table["item"][table["learnt"]], minlength=size)
    spec = data.items.specs[COMMENTS_COUNT]
    stored = data.items.features[COMMENTS_COUNT] * (spec.deviation or 1.0) + (spec.mean or 0.0)
    counted = np.where(data.items.present[COMMENTS_COUNT], np.rint(np.expm1(stored)), 0)
    more = np.flatnonzero(counted > allowed)
    if len(more):
        item = more[0]
        return fault(
            rule,
            f"{len(more):,} items count comments of the future; {data.items.ids[item]!r} counts"
            f" {int(counted[item])}, {allowed[item]} were written before the train part ended",
        )
    texts = data.items.features[COMMENTS]
    past = set(zip(table["item"][table["learnt"]], table["text"][table["learnt"]], strict=True))
    later = table[~table["learnt"] & (table["text"].str.len() >= _LETTERS)]
    for item, text in zip(later["item"], later["text"], strict=True):
        if (item, text) not in past and text in texts[item]:
            own = any(text in other for place, other in past if place == item)
            if not own:
                return fault(
                    rule,
                    f"item {data.items.ids[item]!r} holds a comment of the future: {text[:60]!r}",
                )
    return ok(
        rule,
        f"{int(counted.sum()):,} comments in items, none later than the train part"
        f" ({int((~table['learnt']).sum()):,} later ones left out)",
    )


def event_sentiment(data: Audited, table: pd.DataFrame | None) -> Finding:
    """A train event's sentiment comes from a comment between the event and the train part's end."""
    rule = "sentiment of events"
    if data.manifest.dataset.comments is None:
        return skipped(rule, "the data has no comments")
    if table is None:
        return skipped(rule, "needs the raw comments: --data-root DIR")
    train = data.train
    chosen = np.flatnonzero(train.sentiment != 0)
    known = table[table["learnt"]]
    latest = known.groupby(["user", "item"])["time"].max().to_dict()
    users = train.user_ids[train.rows]
    for place in chosen:
        key = (str(users[place]), int(train.item_index[place]))
        if latest.get(key, -1) < train.timestamp[place]:
            return fault(
                rule,
                f"a train event of user {key[0]!r} on {data.items.ids[key[1]]!r} has a sentiment"
                " that no comment of the train part's time gives",
            )
    return ok(rule, f"{len(chosen):,} train events have one, each from before the train part ended")
