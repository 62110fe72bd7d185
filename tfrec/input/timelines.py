"""Users' events in memory, column by column."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfrec import schema
from tfrec.errors import CorruptDataError
from tfrec.input.prepared import RECORD_TYPES, empty_value, stack
from tfrec.input.records import Column, read_columns
from tfrec.schema import DataLayout, FeatureSpec, Manifest, Split

__all__ = ["Timelines"]

Array = npt.NDArray[Any]

_EVENT_COLUMNS: dict[str, tuple[Any, Any]] = {
    schema.ITEM_INDEX: (tf.int64, np.int32),
    schema.TIMESTAMP: (tf.int64, np.int64),
    schema.EVENT: (tf.int64, np.int32),
    schema.LABEL: (tf.float32, np.float32),
    schema.WEIGHT: (tf.float32, np.float32),
    schema.DWELL: (tf.float32, np.float32),
    schema.SENTIMENT: (tf.float32, np.float32),
}


@dataclass(frozen=True)
class Timelines:
    """Events of users, sorted by user and then time: user u's lie at `offsets[u]:offsets[u + 1]`.

    Events of one user at one time keep the order in which they were recorded.

    Attributes:
        user_ids: object [U] of str.
        user_index: int32 [U], ascending.
        offsets: int64 [U + 1].
        item_index: int32 [E].
        timestamp: int64 [E], Unix seconds.
        event: int32 [E], index into the vocabulary of event types.
        label: float32 [E]; a positive has more than 0.
        weight: float32 [E].
        dwell: float32 [E], seconds watched or listened.
        sentiment: float32 [E], of the comment that went with the event.
        context: By name, int32 or float32 [E].
        profile: By name, [U] or [U, …] in prepared form.
        profile_present: By name, bool [U].
    """

    user_ids: Array
    user_index: npt.NDArray[np.int32]
    offsets: npt.NDArray[np.int64]
    item_index: npt.NDArray[np.int32]
    timestamp: npt.NDArray[np.int64]
    event: npt.NDArray[np.int32]
    label: npt.NDArray[np.float32]
    weight: npt.NDArray[np.float32]
    dwell: npt.NDArray[np.float32]
    sentiment: npt.NDArray[np.float32]
    context: Mapping[str, Array]
    profile: Mapping[str, Array]
    profile_present: Mapping[str, npt.NDArray[np.bool_]]

    def __len__(self) -> int:
        return len(self.user_index)

    @property
    def events(self) -> int:
        """How many events there are."""
        return len(self.item_index)

    @property
    def positive(self) -> npt.NDArray[np.bool_]:
        """Whether each event is a positive, bool [E]: the event's label is more than 0."""
        return self.label > 0

    @property
    def rows(self) -> npt.NDArray[np.int32]:
        """int32 [E]: position of each event's user in `user_index`."""
        return np.repeat(np.arange(len(self), dtype=np.int32), np.diff(self.offsets))

    @classmethod
    def load(cls, data: str | Path, split: Split) -> Timelines:
        """Reads one split of a prepared data directory.

        Args:
            data: The directory.
            split: `train`, `validation` or `test`; each holds only its own events.

        Returns:
            The timelines; chunks of a long one are joined.

        Raises:
            DataError: The directory holds no finished data.
            CorruptDataError: A file is damaged, or disagrees with the manifest.
        """
        layout = DataLayout(data)
        manifest = layout.read_manifest()
        types = {name: kinds[0] for name, kinds in _EVENT_COLUMNS.items()}
        types |= {schema.USER_ID: tf.string, schema.USER_INDEX: tf.int64}
        for spec in manifest.context_features:
            types[schema.context(spec.name)] = RECORD_TYPES[spec.modality]
        for spec in manifest.user_features:
            types[spec.name] = RECORD_TYPES[spec.modality]
            types[schema.present(spec.name)] = tf.int64
        columns = read_columns(layout.timeline_shards(split), types)
        where = str(layout.root / "timelines" / split)
        _check_whole(columns, manifest, split, where)
        records = _from_records(columns, manifest, where)
        return _merge(records, columns[schema.ITEM_INDEX].lengths)

    @classmethod
    def concatenate(cls, *parts: Timelines) -> Timelines:
        """Joins splits: one timeline a user, in time order; at one time, in the parts' order.

        A user's profile is the one of the last part that has the user.

        Raises:
            ValueError: No part is given, or they have other features.
        """
        if not parts:
            raise ValueError("`parts` must hold at least one. Received: none")
        names = {(frozenset(part.context), frozenset(part.profile)) for part in parts}
        if len(names) > 1:
            raise ValueError("`parts` must have the same features. Received: different ones")
        lengths = np.concatenate([np.diff(part.offsets) for part in parts])
        joined: dict[str, Any] = {}
        for field in fields(cls):
            values = [getattr(part, field.name) for part in parts]
            if isinstance(values[0], Mapping):
                joined[field.name] = {
                    name: _concatenate([value[name] for value in values]) for name in values[0]
                }
            elif field.name != "offsets":
                joined[field.name] = np.concatenate(values)
        offsets = np.zeros(len(lengths) + 1, np.int64)
        return _merge(cls(offsets=offsets, **joined), lengths)

    def positives(self) -> Timelines:
        """The same users with only their positive events."""
        return self.where(self.positive)

    def where(self, keep: npt.NDArray[np.bool_]) -> Timelines:
        """The same users with only some of their events.

        Args:
            keep: bool [E].
        """
        counts = np.bincount(self.rows[keep], minlength=len(self))
        events = {name: getattr(self, name)[keep] for name in _EVENT_COLUMNS}
        return replace(
            self,
            offsets=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
            context={name: value[keep] for name, value in self.context.items()},
            **events,
        )

    def select(self, users: npt.NDArray[np.integer[Any]]) -> Timelines:
        """Timelines of some users, in the order given.

        Args:
            users: int, their `user_index`; one that isn't here has no events and no profile.
        """
        users = np.asarray(users, np.int32)
        place = np.searchsorted(self.user_index, users)
        place = np.minimum(place, max(len(self) - 1, 0))
        known = self.user_index[place] == users if len(self) else np.zeros(len(users), bool)
        starts = np.where(known, self.offsets[place], 0)
        counts = np.where(known, self.offsets[np.minimum(place + 1, len(self))] - starts, 0)
        offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        order = np.arange(offsets[-1]) + np.repeat(starts - offsets[:-1], counts)
        ids = np.full(len(users), "", object)
        ids[known] = self.user_ids[place[known]]
        profile = {}
        for name, value in self.profile.items():
            profile[name] = np.full(
                (len(users), *value.shape[1:]), "" if value.dtype == object else 0, value.dtype
            )
            profile[name][known] = value[place[known]]
        flags = {}
        for name, flag in self.profile_present.items():
            flags[name] = np.zeros(len(users), bool)
            flags[name][known] = flag[place[known]]
        return replace(
            self,
            user_ids=ids,
            user_index=users.astype(np.int32, copy=False),
            offsets=offsets,
            context={name: value[order] for name, value in self.context.items()},
            profile=profile,
            profile_present=flags,
            **{name: getattr(self, name)[order] for name in _EVENT_COLUMNS},
        )


def _from_records(columns: Mapping[str, Column], manifest: Manifest, where: str) -> Timelines:
    count = len(columns[schema.USER_INDEX].lengths)
    flags = {}
    for spec in manifest.user_features:
        column = columns[schema.present(spec.name)]
        flags[spec.name] = np.zeros(count, bool)
        has = column.lengths > 0
        flags[spec.name][has] = column.values[column.splits[:-1][has]] > 0
    events = {
        name: columns[name].values.astype(kinds[1], copy=False)
        for name, kinds in _EVENT_COLUMNS.items()
    }
    return Timelines(
        user_ids=np.array([u.decode("utf-8") for u in columns[schema.USER_ID].values], object),
        user_index=columns[schema.USER_INDEX].values.astype(np.int32),
        offsets=np.zeros(count + 1, np.int64),
        context={
            spec.name: columns[schema.context(spec.name)].values.astype(_context_type(spec))
            for spec in manifest.context_features
        },
        profile={
            spec.name: stack(columns[spec.name], flags[spec.name], spec, where)
            for spec in manifest.user_features
        },
        profile_present=flags,
        **events,
    )


def _merge(parts: Timelines, lengths: npt.NDArray[np.int64]) -> Timelines:
    """Sorts chunks, of `lengths` events each, into one timeline a user."""
    users, last = np.unique(parts.user_index[::-1], return_index=True)
    last = len(parts.user_index) - 1 - last
    owner = np.repeat(parts.user_index, lengths)
    order = np.lexsort((parts.timestamp, owner))
    counts = np.bincount(np.searchsorted(users, owner), minlength=len(users))
    return replace(
        parts,
        user_ids=parts.user_ids[last],
        user_index=users.astype(np.int32),
        offsets=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        context={name: value[order] for name, value in parts.context.items()},
        profile={name: value[last] for name, value in parts.profile.items()},
        profile_present={name: value[last] for name, value in parts.profile_present.items()},
        **{name: getattr(parts, name)[order] for name in _EVENT_COLUMNS},
    )


def _concatenate(values: list[Array]) -> Array:
    """Concatenates; lists of tags are padded to the longest."""
    if values[0].ndim == 2:
        width = max(value.shape[1] for value in values)
        values = [np.pad(v, ((0, 0), (0, width - v.shape[1]))) for v in values]
    return np.concatenate(values)


def _context_type(spec: FeatureSpec) -> Any:
    return np.asarray(empty_value(spec)).dtype


def _check_whole(columns: Mapping[str, Column], manifest: Manifest, split: str, where: str) -> None:
    lengths = columns[schema.ITEM_INDEX].lengths
    names = [name for name in _EVENT_COLUMNS if name != schema.ITEM_INDEX]
    names += [schema.context(spec.name) for spec in manifest.context_features]
    for name in names:
        if not np.array_equal(columns[name].lengths, lengths):
            raise CorruptDataError(
                where,
                f"`{name}` must be as long as `{schema.ITEM_INDEX}` in every record",
                received="other lengths",
                remedy="Run `tfrec preprocess` again",
            )
    items = columns[schema.ITEM_INDEX].values
    inside = not len(items) or (items.min() >= 0 and items.max() < manifest.items)
    if not inside or lengths.sum() != manifest.events.get(split, 0):
        raise CorruptDataError(
            where,
            f"the split must hold the {manifest.events.get(split, 0):,} events of the manifest,"
            f" on its {manifest.items:,} items",
            received=f"{lengths.sum():,} events, greatest item index {items.max(initial=0)}",
            remedy="Run `tfrec preprocess` again",
        )
