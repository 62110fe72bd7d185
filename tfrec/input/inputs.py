"""What the two towers are given, from arrays in memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tfrec import schema
from tfrec.errors import DataError
from tfrec.input.items import ItemTable
from tfrec.input.timelines import Timelines

__all__ = ["ItemInputs", "query_inputs"]

Array = npt.NDArray[Any]

ITEM_INDEX = schema.ITEM_INDEX
USER_INDEX = schema.USER_INDEX
HISTORY = "history"
HISTORY_AGE = "history_age"
HISTORY_EVENT = "history_event"
PADDING = -1
SECONDS_A_DAY = 86_400.0


def query_inputs(
    timelines: Timelines, length: int, *, at: npt.NDArray[np.int64] | None = None
) -> dict[str, Array]:
    """Inputs of the query tower for a question asked after each user's last event.

    Args:
        timelines: The users, with the events that their history is made of (for a model that reads
            positives, `timelines.positives()`).
        length: Latest events that are kept.
        at: int64 [U], when each question is asked, Unix seconds; a user's last event unless given.

    Returns:
        `user_index` int32 [U]; `history` int32 [U, length], in time order, right-aligned, -1 is
        padding; `history_age` float32 [U, length], days; `history_event` int32 [U, length]; each
        profile feature and NAME/present; each context feature, missing.
    """
    ends = timelines.offsets[1:]
    place = ends[:, None] - length + np.arange(length)
    inside = place >= timelines.offsets[:-1, None]
    place = np.where(inside, place, 0)
    if timelines.events:
        items = np.where(inside, timelines.item_index[place], PADDING)
        events = np.where(inside, timelines.event[place], schema.MISSING_INDEX)
        times = timelines.timestamp[place]
        latest = np.where(inside[:, -1], times[:, -1], 0)
    else:
        items = np.full(place.shape, PADDING)
        events = np.full(place.shape, schema.MISSING_INDEX)
        times = np.zeros(place.shape, np.int64)
        latest = np.zeros(len(timelines), np.int64)
    asked = latest if at is None else at
    age = np.where(inside, (asked[:, None] - times) / SECONDS_A_DAY, 0.0)
    inputs: dict[str, Array] = {
        USER_INDEX: timelines.user_index,
        HISTORY: items.astype(np.int32),
        HISTORY_AGE: age.astype(np.float32),
        HISTORY_EVENT: events.astype(np.int32),
    }
    for name, value in timelines.profile.items():
        inputs[name] = value
        inputs[schema.present(name)] = timelines.profile_present[name]
    for name, value in timelines.context.items():
        inputs[schema.context(name)] = np.zeros(len(timelines), value.dtype)
    return inputs


class ItemInputs:
    """Inputs of the item tower for items of the catalogue.

    Args:
        items: The catalogue.
        features: Names of those that the tower reads, each the encoding where there is one.

    Example:
        >>> import numpy as np
        >>> from tfrec.input.items import ItemTable
        >>> none = np.zeros(2)
        >>> table = ItemTable(ids=none, train_count=np.array([3, 0]), train_last=none,
        ...                   train_weight=none, features={}, encoded={}, present={}, specs={})
        >>> ItemInputs(table, ())(np.array([0, 1]))["item_index"].tolist()
        [0, -1]
    """

    def __init__(self, items: ItemTable, features: Sequence[str]) -> None:
        for name in features:
            if name not in items.specs:
                raise DataError(
                    "items",
                    f"the prepared data must have the feature `{name}`",
                    received=", ".join(items.specs) or "no features",
                    remedy="Train anew, or preprocess with the description the run was trained on",
                )
        self._items = items
        self._features = tuple(features)

    def __call__(self, rows: npt.NDArray[np.integer[Any]]) -> dict[str, Array]:
        """Inputs for some items.

        Args:
            rows: int [b], positions in the catalogue.

        Returns:
            `item_index` int32 [b], -1 for a cold item, whose id nothing was learnt of; each feature
            and NAME/present.
        """
        warm = self._items.warm[rows]
        inputs: dict[str, Array] = {
            ITEM_INDEX: np.where(warm, rows, PADDING).astype(np.int32),
        }
        for name in self._features:
            inputs[name] = self._items.value(name)[rows]
            inputs[schema.present(name)] = self._items.present[name][rows]
        return inputs
