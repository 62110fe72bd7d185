"""Small timelines with known structure."""

from __future__ import annotations

import numpy as np

from tfrec.input import Timelines
from tfrec.teachers.content import ContentBlock


def timelines(histories: list[list[int]]) -> Timelines:
    """One user a list of items, in time order, all positive."""
    lengths = [len(history) for history in histories]
    events = sum(lengths)
    ones, zeros = np.ones(events, np.float32), np.zeros(events, np.float32)
    return Timelines(
        user_ids=np.array([str(user) for user in range(len(histories))], object),
        user_index=np.arange(len(histories), dtype=np.int32),
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        item_index=np.array([i for history in histories for i in history], np.int32),
        timestamp=np.array([t for length in lengths for t in range(length)], np.int64),
        event=np.zeros(events, np.int32),
        label=ones,
        weight=ones,
        dwell=zeros,
        sentiment=zeros,
        context={},
        profile={},
        profile_present={},
    )


def two_tastes(
    seed: int, users: int = 120, items: int = 60, length: int = 8
) -> tuple[Timelines, Timelines, np.ndarray]:
    """Users who stay within one half of the items: train, validation, and each item's half."""
    generator = np.random.default_rng(seed)
    half = np.arange(items) % 2
    past, later = [], []
    for user in range(users):
        own = generator.permutation(np.flatnonzero(half == user % 2))[: length + 2]
        past.append(own[:length].tolist())
        later.append(own[length:].tolist())
    return timelines(past), timelines(later), half


def block(values: np.ndarray) -> ContentBlock:
    """Content that every item has."""
    return ContentBlock(np.asarray(values, np.float32), np.ones(len(values), bool))
