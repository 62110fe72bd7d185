"""What the served graph knows of each user: recent events, seen items, profile."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfrec.export.source import UserRecords
from tfrec.export.string_index import StringIndex
from tfrec.index.index import kept_variable

__all__ = ["History", "UserStore", "align_right"]

PADDING = -1


class History(NamedTuple):
    """The events that a query tower reads, right-aligned, -1 before the first.

    Attributes:
        items: int32 [b, L].
        age: float32 [b, L], days before the query.
        event: int32 [b, L].
    """

    items: tf.Tensor
    age: tf.Tensor
    event: tf.Tensor


class UserStore(tf.Module):
    """Looks users up by position; position -1 is a user of whom nothing is known.

    Lists of different lengths lie one after another, with an empty one for position -1 at the end.

    Args:
        records: The users.
        length: Most recent events of a history.
    """

    def __init__(self, records: UserRecords, length: int) -> None:
        super().__init__(name="users")
        self._length = length
        self.strings = StringIndex(list(records.ids), "users")
        self.offsets = _offsets(records.offsets, "users/history_offsets")
        self.item_index = _padded(records.item_index, PADDING, "users/history_items")
        self.age = _padded(records.age, 0.0, "users/history_age")
        self.event = _padded(records.event, 0, "users/history_event")
        self.seen_offsets = _offsets(records.seen_offsets, "users/seen_offsets")
        self.seen = _padded(records.seen, PADDING, "users/seen_items")
        self._profile = {
            name: _spare_row(values, f"users/profile/{name}")
            for name, values in records.profile.items()
        }

    def history(self, users: tf.Tensor) -> History:
        """The most recent events of users by position, int32 [b]."""
        start, end = self._bounds(self.offsets, users)
        places = end[:, None] - self._length + tf.range(self._length, dtype=tf.int64)
        inside = places >= start[:, None]
        places = tf.maximum(places, 0)
        return History(
            tf.where(inside, tf.gather(self.item_index.value(), places), PADDING),
            tf.where(inside, tf.gather(self.age.value(), places), 0.0),
            tf.where(inside, tf.gather(self.event.value(), places), 0),
        )

    def seen_items(self, users: tf.Tensor) -> tf.Tensor:
        """Items that users have met: int32 [b, most of one user], -1 is padding."""
        start, end = self._bounds(self.seen_offsets, users)
        longest = tf.reduce_max(tf.concat([end - start, [0]], 0))
        places = start[:, None] + tf.range(longest)
        inside = places < end[:, None]
        found = tf.gather(self.seen.value(), tf.where(inside, places, 0))
        return tf.where(inside, found, PADDING)

    def profile(self, users: tf.Tensor) -> dict[str, tf.Tensor]:
        """Profile features of users by position, nothing present for position -1."""
        rows = self._row(users)
        return {name: tf.gather(values.value(), rows) for name, values in self._profile.items()}

    def _row(self, users: tf.Tensor) -> tf.Tensor:
        return tf.where(users < 0, self.strings.size, users)

    def _bounds(self, offsets: tf.Variable, users: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        row = self._row(users)
        return tf.gather(offsets.value(), row), tf.gather(offsets.value(), row + 1)


def align_right(items: tf.Tensor, length: int) -> tf.Tensor:
    """The last `length` non-negative items of each row, moved to the right, -1 before them.

    Args:
        items: int32 [b, h].
        length: Width of the result.

    Returns:
        int32 [b, length].

    Example:
        >>> align_right(tf.constant([[7, -1, 8, 9, -1]]), 4).numpy().tolist()
        [[-1, 7, 8, 9]]
    """
    padded = tf.pad(items, [[0, 0], [length, 0]], constant_values=PADDING)
    order = tf.argsort(tf.cast(padded >= 0, tf.int32), axis=1, stable=True)
    aligned = tf.gather(padded, order, axis=1, batch_dims=1)[:, -length:]
    return tf.ensure_shape(aligned, [None, length])


def _offsets(offsets: np.ndarray, name: str) -> tf.Variable:
    return kept_variable(np.append(offsets, offsets[-1]).astype(np.int64), name)


def _padded(values: np.ndarray, filler: float, name: str) -> tf.Variable:
    # A spare element, so that there is one to gather where no user has an event.
    return kept_variable(np.append(values, np.asarray(filler, values.dtype)), name)


def _spare_row(values: np.ndarray, name: str) -> tf.Variable:
    if values.dtype == object:
        rows = np.empty(len(values) + 1, np.object_)
        rows[:-1] = [v.encode() if isinstance(v, str) else bytes(v or b"") for v in values]
        rows[-1] = b""
        return tf.Variable(rows, trainable=False, dtype=tf.string, shape=[None], name=name)
    spare = np.zeros((1, *values.shape[1:]), values.dtype)
    return kept_variable(np.concatenate([values, spare]), name)
