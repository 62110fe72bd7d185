"""Small data in memory."""

from __future__ import annotations

import numpy as np

from tfrec.input import ItemTable, Timelines

DAY = 86_400


def timelines(events, users=None, profile=None):
    """Timelines from rows (user, item, day, label); users are 0 … U - 1."""
    events = sorted(events, key=lambda row: (row[0], row[2]))
    users = users if users is not None else max((row[0] for row in events), default=-1) + 1
    count = np.bincount([row[0] for row in events], minlength=users) if events else [0] * users
    size = len(events)
    profile = profile or {}
    return Timelines(
        user_ids=np.array([f"u{user}" for user in range(users)], object),
        user_index=np.arange(users, dtype=np.int32),
        offsets=np.concatenate([[0], np.cumsum(count)]).astype(np.int64),
        item_index=np.array([row[1] for row in events], np.int32),
        timestamp=np.array([row[2] * DAY for row in events], np.int64),
        event=np.zeros(size, np.int32),
        label=np.array([row[3] if len(row) > 3 else 1 for row in events], np.float32),
        weight=np.ones(size, np.float32),
        dwell=np.zeros(size, np.float32),
        sentiment=np.zeros(size, np.float32),
        context={},
        profile=profile,
        profile_present={name: np.ones(users, bool) for name in profile},
    )


def item_table(count, train=None, *, features=None, encoded=None, specs=None, present=None):
    """A catalogue; `train` gives the counts."""
    counts = np.zeros(count, np.int64)
    if train is not None:
        counts = np.bincount(train.item_index[train.label > 0], minlength=count).astype(np.int64)
    encoded = encoded or {}
    features = features or {}
    names = [*features, *(name for name in encoded if name not in features)]
    return ItemTable(
        ids=np.array([f"i{item}" for item in range(count)], object),
        train_count=counts,
        train_last=np.zeros(count, np.int64),
        train_weight=counts.astype(np.float32),
        features=features,
        encoded=encoded,
        present=present or {name: np.ones(count, bool) for name in names},
        specs=specs or {},
    )
