"""Turn a partition's rows into timelines: one user after another, in time order, split in parts.

read        the partition's rows of every range, in the order of the source
sort        by user and time
refuse      exact duplicates
split       each event is train, validation or test
refuse      by request: bots, repeats within a part, events outside the k-core of the train part
join        each comment to the event it belongs to; profiles to users
count       popularity, vocabularies and moments, of the train part alone
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from preprocessing.comments import SENTIMENT, TEXT
from preprocessing.entities import FILE, ID, LINE
from preprocessing.fitting import FeatureFit, fit_column, normalize_values
from preprocessing.interactions import (
    DWELL,
    EVENT,
    ITEM,
    LABEL,
    ORIGIN,
    PART,
    TIME,
    USER,
    WEIGHT,
    file_and_line,
)
from preprocessing.joining import attach_sentiment, exact_duplicates, repeats, sort_order
from preprocessing.quality import CorePaths, bot_events, sum_repeats
from preprocessing.rejecting import Refusals
from preprocessing.spilling import PartitionedWriter, read_partition, save_array, write_table
from preprocessing.splitting import assign_parts, train_ends
from tfrec.config import DatasetConfig, FeatureConfig

__all__ = ["CODE", "AssembleTimelines", "SelectTrainEvents", "TimelineSummary"]

CODE = "@code"
COMMENT_TABLE = pa.schema(
    [(ITEM, pa.int32()), (TIME, pa.int64()), (TEXT, pa.string()), (SENTIMENT, pa.float32())]
)
_EVENT_FEATURE = FeatureConfig(modality="categorical")


@dataclass
class TimelineSummary:
    """What a partition tells about its train part, and its counts.

    Attributes:
        events, positives: Of train, validation and test.
        seen: int64, items with any train event.
        items, counts, last, weights: Items with a positive train event, how many, the latest of
            them, the sum of their weights.
        event_types: Counts of event types.
        context, profile: Fits by feature.
        refusals: Rows refused here.
    """

    events: list[int]
    positives: list[int]
    seen: npt.NDArray[np.int64]
    items: npt.NDArray[np.int64]
    counts: npt.NDArray[np.int64]
    last: npt.NDArray[np.int64]
    weights: npt.NDArray[np.float64]
    event_types: FeatureFit
    context: dict[str, FeatureFit] = field(default_factory=dict)
    profile: dict[str, FeatureFit] = field(default_factory=dict)
    refusals: list[Refusals] = field(default_factory=list)


@dataclass(frozen=True)
class AssembleTimelines:
    """Assembles the timelines of one partition: a task.

    Attributes:
        key: Unique among the partitions.
        partition: Which one.
        config: The description.
        cuts: First moments of validation and test, for `global_time`.
        interactions, users, comments: Spilled files of every range.
        names: File names of each source, for refusals.
        shard_items: Items of one item shard, which comments are spilled by.
        shards: Item shards.
        core: Where the k-core is, if one is asked for.
        output: Folder for `events-P.arrow`, `users-P.arrow` and `comments-P.arrow`.
    """

    key: str
    partition: int
    config: DatasetConfig
    cuts: tuple[int, int] | None
    interactions: tuple[Path, ...]
    users: tuple[Path, ...]
    comments: tuple[Path, ...]
    names: dict[str, tuple[str, ...]]
    shard_items: int
    shards: int
    core: CorePaths | None
    output: Path

    def run(self) -> TimelineSummary:
        """Writes the partition and sums it up."""
        refusals = Refusals("interactions")
        rows, ids, parts = self._filtered(refusals)
        if self.core is not None:
            dropped = np.zeros(len(parts), bool)
            dropped[parts == 0] = np.load(self.core.dropped)
            rows, parts = self._drop(rows, parts, dropped, "below_core", ids, refusals)
        rows, ids = _forget_users(rows, ids)
        offsets = _offsets(_ints(rows, CODE), len(ids))
        ends = train_ends(self.cuts, offsets, _ints(rows, TIME), parts)
        sentiment = self._join_comments(rows, ids, parts, ends)
        rows = self._finish(rows, parts, sentiment)
        write_table(self.output / f"events-{self.partition:05d}.arrow", rows)
        trained = np.zeros(len(ids), bool)
        trained[_ints(rows, CODE)[parts == 0]] = True
        profile, refused_users = self._join_profiles(ids, trained)
        return self._summarise(rows, parts, profile, [refusals, refused_users])

    def write_core(self, paths: CorePaths) -> None:
        """Writes the train part's users and items, for the k-core."""
        rows, _, parts = self._filtered(Refusals("interactions"))
        save_array(paths.users, _ints(rows, CODE)[parts == 0])
        save_array(paths.items, _ints(rows, ITEM)[parts == 0])

    def _filtered(self, refusals: Refusals) -> tuple[Any, Any, npt.NDArray[np.int8]]:
        """Events by user and time, the users' ids, and the part of each event."""
        rows = read_partition(self.interactions, self.partition)
        ids, codes = _rank(rows.column(USER).combine_chunks())
        rows = rows.drop_columns([USER]).append_column(CODE, pa.array(codes))
        order = sort_order(codes, rows.column(TIME).to_numpy())
        rows = rows.take(pa.array(order))
        rule = self.config.interactions
        given = rows.column(PART).to_numpy()
        codes, items, times, types = _keys(rows)
        duplicate = exact_duplicates(codes, times, items, types)
        rows, given = self._drop(rows, given, duplicate, "duplicate_event", ids, refusals)
        if rule.duplicates == "first":
            codes, items, _, types = _keys(rows)
            repeated = repeats(codes, items, types, np.zeros_like(codes), keep_last=False)
            rows, given = self._drop(rows, given, repeated, "superseded_event", ids, refusals)
        offsets = _offsets(_ints(rows, CODE), len(ids))
        parts = assign_parts(self.config.split, self.cuts, offsets, _ints(rows, TIME), given)
        if rule.max_events_per_hour is not None:
            times = _ints(rows, TIME)
            bots = bot_events(
                _ints(rows, CODE), times, parts.astype(np.int64), rule.max_events_per_hour
            )
            rows, parts = self._drop(rows, parts, bots, "bot_user", ids, refusals)
        if rule.duplicates in ("last", "sum"):
            codes, items, _, types = _keys(rows)
            places = parts.astype(np.int64)
            name = "superseded_event"
            if rule.duplicates == "sum":
                name = "summed_event"
                for column in (WEIGHT, DWELL):
                    values = rows.column(column).to_numpy()
                    sums = sum_repeats(codes, items, types, places, values)
                    place = rows.schema.get_field_index(column)
                    rows = rows.set_column(place, column, pa.array(sums))
            repeated = repeats(codes, items, types, places, keep_last=True)
            rows, parts = self._drop(rows, parts, repeated, name, ids, refusals)
        return rows, ids, parts

    def _drop(
        self,
        rows: Any,
        parts: npt.NDArray[np.int8],
        dropped: npt.NDArray[np.bool_],
        rule: str,
        ids: Any,
        refusals: Refusals,
    ) -> tuple[Any, npt.NDArray[np.int8]]:
        if not dropped.any():
            return rows, parts
        names = self.names["interactions"]
        for row in rows.filter(pa.array(dropped)).select([ORIGIN, CODE, ITEM, TIME]).to_pylist():
            file, line = file_and_line(row[ORIGIN])
            user = ids[row[CODE]].as_py()
            shown = f"user {user}, item number {row[ITEM] + 1}, time {row[TIME]}"
            refusals.add(names[file], line, rule, shown)
        return rows.filter(pa.array(~dropped)), parts[~dropped]

    def _join_comments(
        self,
        rows: Any,
        ids: Any,
        parts: npt.NDArray[np.int8],
        ends: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]],
    ) -> npt.NDArray[np.float32]:
        if not self.comments:
            return np.zeros(rows.num_rows, np.float32)
        comments = read_partition(self.comments, self.partition)
        authors = pc.fill_null(pc.index_in(comments.column(USER), value_set=ids), -1)
        users = np.asarray(authors.to_numpy(), np.int64)
        items, times = _ints(comments, ITEM), _ints(comments, TIME)
        known = users >= 0
        sentiment = attach_sentiment(
            (_ints(rows, CODE), _ints(rows, ITEM), _ints(rows, TIME), parts.astype(np.int64)),
            (
                users[known],
                items[known],
                times[known],
                comments.column(SENTIMENT).to_numpy()[known],
            ),
            ends,
        )
        # Without events a user has no train part of his own.
        end = np.full(len(users), -1 if self.cuts is None else self.cuts[0] - 1)
        end[known] = ends[0][users[known]]
        learnt = comments.filter(pa.array(times <= end)).select(COMMENT_TABLE.names)
        writer = PartitionedWriter(
            self.output / f"comments-{self.partition:05d}.arrow", COMMENT_TABLE, self.shards
        )
        writer.add(learnt, _ints(learnt, ITEM) // self.shard_items)
        writer.close()
        return sentiment

    def _finish(
        self, rows: Any, parts: npt.NDArray[np.int8], sentiment: npt.NDArray[np.float32]
    ) -> Any:
        columns = {name: rows.column(name) for name in (CODE, ITEM, TIME, LABEL, WEIGHT, DWELL)}
        columns[EVENT] = normalize_values(rows.column(EVENT).combine_chunks())
        columns[PART] = pa.array(parts)
        columns[SENTIMENT] = pa.array(sentiment)
        for name, feature in self.config.interactions.context.items():
            column = rows.column(name).combine_chunks()
            columns[name] = (
                normalize_values(column) if feature.modality == "categorical" else column
            )
        return pa.table(columns)

    def _join_profiles(self, ids: Any, trained: npt.NDArray[np.bool_]) -> tuple[Any, Refusals]:
        """Users in order, with their profiles where they have one."""
        refusals = Refusals("users")
        table = pa.table({ID: ids, "@trained": pa.array(trained)})
        if self.users:
            rows = read_partition(self.users, self.partition)
            codes = rows.column(ID).combine_chunks().dictionary_encode().indices.to_numpy()
            first = np.zeros(rows.num_rows, bool)
            first[np.unique(codes, return_index=True)[1]] = True
            with_events = pc.is_in(rows.column(ID), value_set=ids).to_numpy()
            for rule, refused in (
                ("duplicate_user_id", ~first),
                ("user_without_events", first & ~with_events),
            ):
                chosen = rows.filter(pa.array(refused)).select([FILE, LINE, ID])
                for row in chosen.to_pylist():
                    refusals.add(self.names["users"][row[FILE]], row[LINE], rule, row[ID])
            kept = rows.filter(pa.array(first & with_events))
            places = pc.index_in(ids, value_set=kept.column(ID).combine_chunks())
            assert self.config.users is not None
            for name, feature in self.config.users.features.items():
                column = kept.column(name).combine_chunks().take(places)
                if feature.modality == "tags":
                    column = pc.if_else(
                        pc.is_valid(column), column, pa.scalar([], pa.list_(pa.string()))
                    )
                if feature.modality in ("categorical", "tags"):
                    column = normalize_values(column)
                table = table.append_column(name, column)
        write_table(self.output / f"users-{self.partition:05d}.arrow", table)
        return table, refusals

    def _summarise(
        self,
        rows: Any,
        parts: npt.NDArray[np.int8],
        profile: Any,
        refusals: Sequence[Refusals],
    ) -> TimelineSummary:
        items, times = _ints(rows, ITEM), _ints(rows, TIME)
        positive = rows.column(LABEL).to_numpy() > 0
        train = parts == 0
        learnt = train & positive
        unique, inverse, counts = np.unique(items[learnt], return_inverse=True, return_counts=True)
        last = np.zeros(len(unique), np.int64)
        np.maximum.at(last, inverse, times[learnt])
        weights = np.zeros(len(unique))
        np.add.at(weights, inverse, rows.column(WEIGHT).to_numpy()[learnt].astype(np.float64))
        contexts = self.config.interactions.context
        profiles = self.config.users.features if self.config.users else {}
        trained = profile.column("@trained").to_numpy()
        return TimelineSummary(
            events=np.bincount(parts, minlength=3).tolist(),
            positives=np.bincount(parts[positive], minlength=3).tolist(),
            seen=np.unique(items[train]),
            items=unique,
            counts=counts,
            last=last,
            weights=weights,
            event_types=fit_column(_EVENT_FEATURE, rows.column(EVENT).combine_chunks(), train),
            context={
                name: fit_column(feature, rows.column(name).combine_chunks(), train)
                for name, feature in contexts.items()
            },
            profile={
                name: fit_column(feature, profile.column(name).combine_chunks(), trained)
                for name, feature in profiles.items()
            },
            refusals=list(refusals),
        )


@dataclass(frozen=True)
class SelectTrainEvents:
    """Writes what the k-core of a partition is sought in: a task.

    Attributes:
        timelines: The partition.
        paths: Where to write.
    """

    timelines: AssembleTimelines
    paths: CorePaths

    @property
    def key(self) -> str:
        """Unique among the partitions."""
        return self.timelines.key

    def run(self) -> None:
        """Writes users and items of the train part."""
        self.timelines.write_core(self.paths)


def _forget_users(rows: Any, ids: Any) -> tuple[Any, Any]:
    """Leaves out users of whom no event is left."""
    codes = _ints(rows, CODE)
    left = np.unique(codes)
    if len(left) == len(ids):
        return rows, ids
    place = rows.schema.get_field_index(CODE)
    rows = rows.set_column(place, CODE, pa.array(np.searchsorted(left, codes)))
    return rows, ids.take(pa.array(left))


def _rank(users: Any) -> tuple[Any, npt.NDArray[np.int64]]:
    """The sorted ids of the users, and each row's place among them."""
    encoded = users.dictionary_encode()
    order = pc.sort_indices(encoded.dictionary).to_numpy()
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    return encoded.dictionary.take(pa.array(order)), rank[encoded.indices.to_numpy()]


def _keys(rows: Any) -> tuple[Any, Any, Any, Any]:
    types = rows.column(EVENT).combine_chunks().dictionary_encode().indices
    codes = pc.fill_null(types, -1).to_numpy(zero_copy_only=False).astype(np.int64)
    return _ints(rows, CODE), _ints(rows, ITEM), _ints(rows, TIME), codes


def _ints(table: Any, name: str) -> npt.NDArray[np.int64]:
    return np.asarray(table.column(name).to_numpy(), np.int64)


def _offsets(codes: npt.NDArray[np.int64], users: int) -> npt.NDArray[np.int64]:
    return np.searchsorted(codes, np.arange(users + 1)).astype(np.int64)
