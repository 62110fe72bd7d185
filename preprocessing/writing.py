"""Write prepared items and timelines as TFRecords, in the form that `tfrec.schema` spells."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from preprocessing.comments import SENTIMENT
from preprocessing.entities import ID
from preprocessing.fitting import encode_column, encode_values, standardised
from preprocessing.interactions import DWELL, EVENT, ITEM, LABEL, PART, TIME, WEIGHT
from preprocessing.records import (
    FloatColumn,
    IntColumn,
    RecordWriter,
    bytes_feature,
    examples,
    floats,
    ints,
    vector,
)
from preprocessing.spilling import read_table
from preprocessing.texts import normalize_texts
from preprocessing.timelines import CODE
from tfrec import schema
from tfrec.schema import SPLITS, FeatureSpec, Shard

__all__ = ["WriteItems", "WriteTimelines"]

_DEFAULT_TAGS = 32
# Events of one record: a reader never holds more of one user at once.
CHUNK_EVENTS = 50_000


@dataclass(frozen=True)
class WriteItems:
    """Writes one shard of items: a task.

    Attributes:
        key: Unique among the shards.
        prepared: The prepared items.
        start: The first one's place in the catalogue.
        specs: The features.
        vocabularies: Values by vocabulary file.
        popularity: `.npz` with train_count, train_last, train_weight of the catalogue.
        work: Folder with `index-NAME.npy` and `vectors-NAME.npy` of encoded features.
        root, output: The data directory, and the shard in it.
    """

    key: str
    prepared: Path
    start: int
    specs: tuple[FeatureSpec, ...]
    vocabularies: dict[str, list[str]]
    popularity: Path
    work: Path
    root: Path
    output: Path

    def run(self) -> Shard:
        """Writes the shard."""
        popularity = np.load(self.popularity)
        counts, last, weights = (
            popularity[name]
            for name in (schema.TRAIN_COUNT, schema.TRAIN_LAST, schema.TRAIN_WEIGHT)
        )
        vectors = self._vectors()
        start = self.start
        reader = pa.ipc.open_file(pa.memory_map(str(self.prepared)))
        with RecordWriter(self.output, self.root) as writer:
            for number in range(reader.num_record_batches):
                batch = pa.Table.from_batches([reader.get_batch(number)])
                stop = start + batch.num_rows
                bounds = range(batch.num_rows + 1)
                items = np.arange(start, stop)
                columns: list[list[bytes]] = [
                    _texts(schema.ITEM_ID, batch.column(ID)),
                    IntColumn(schema.ITEM_INDEX, items).features(bounds),
                    IntColumn(schema.TRAIN_COUNT, counts[start:stop]).features(bounds),
                    IntColumn(schema.TRAIN_LAST, last[start:stop]).features(bounds),
                    FloatColumn(schema.TRAIN_WEIGHT, weights[start:stop]).features(bounds),
                ]
                for spec in self.specs:
                    column = entity_features(spec, batch.column(spec.name), self.vocabularies)
                    columns.append(list(column))
                for spec, index, values in vectors:
                    name, kind = schema.encoded(spec.name), spec.config.vector_dtype
                    columns.append(
                        [
                            vector(name, values[place], kind) if place >= 0 else b""
                            for place in index[start:stop]
                        ]
                    )
                writer.write(examples(columns))
                start = stop
        return writer.shard

    def _vectors(
        self,
    ) -> list[tuple[FeatureSpec, npt.NDArray[np.int32], npt.NDArray[np.float32]]]:
        return [
            (
                spec,
                np.load(self.work / f"index-{spec.name}.npy"),
                np.load(self.work / f"vectors-{spec.name}.npy", mmap_mode="r"),
            )
            for spec in self.specs
            if spec.encoded_dim is not None
        ]


@dataclass(frozen=True)
class WriteTimelines:
    """Writes one partition's timelines, a shard for each part: a task.

    Attributes:
        key: Unique among the partitions.
        partition, partitions: Which of how many.
        work: Folder with the partition's `events-P.arrow` and `users-P.arrow`.
        user_ids: The Arrow file with all users' ids, sorted.
        profile, context: Features.
        event_types: The vocabulary of event types.
        vocabularies: Values by vocabulary file.
        root: The data directory.
    """

    key: str
    partition: int
    partitions: int
    work: Path
    user_ids: Path
    profile: tuple[FeatureSpec, ...]
    context: tuple[FeatureSpec, ...]
    event_types: tuple[str, ...]
    vocabularies: dict[str, list[str]]
    root: Path

    def run(self) -> list[Shard]:
        """Writes the shards; an empty part writes none."""
        rows = read_table(self.work / f"events-{self.partition:05d}.arrow").combine_chunks()
        users = read_table(self.work / f"users-{self.partition:05d}.arrow").combine_chunks()
        heads = self._heads(users)
        parts = rows.column(PART).to_numpy()
        shards = []
        for place, split in enumerate(SPLITS):
            chosen = parts == place
            if not chosen.any():
                continue
            name = f"{split}-{self.partition:05d}-of-{self.partitions:05d}"
            with RecordWriter(self.root / "timelines" / name, self.root) as writer:
                own = rows if chosen.all() else rows.filter(pa.array(chosen))
                for records in self._records(own, heads):
                    writer.write(records)
            shards.append(writer.shard)
        return shards

    def _heads(self, users: Any) -> list[bytes]:
        """What every record of a user starts with: id, index, profile."""
        ids = users.column(ID).combine_chunks()
        known = read_table(self.user_ids).column("id").combine_chunks()
        index = pc.index_in(ids, value_set=known).to_numpy()
        columns = [
            _texts(schema.USER_ID, ids),
            IntColumn(schema.USER_INDEX, index).features(range(len(ids) + 1)),
        ]
        for spec in self.profile:
            column = users.column(spec.name).combine_chunks()
            if spec.modality == "text":
                column = normalize_texts(column, spec.config)
            columns.append(
                list(entity_features(spec, pa.chunked_array([column]), self.vocabularies))
            )
        return list(map(b"".join, zip(*columns, strict=True)))

    def _records(self, rows: Any, heads: list[bytes]) -> Iterator[list[bytes]]:
        """Some records at a time, of about `CHUNK_EVENTS` events."""
        codes = np.asarray(rows.column(CODE).to_numpy(), np.int64)
        columns: list[IntColumn | FloatColumn] = [
            IntColumn(schema.ITEM_INDEX, rows.column(ITEM).to_numpy()),
            IntColumn(schema.TIMESTAMP, rows.column(TIME).to_numpy()),
            IntColumn(
                schema.EVENT, encode_values(rows.column(EVENT).combine_chunks(), self.event_types)
            ),
        ]
        for name, column in (
            (schema.LABEL, LABEL),
            (schema.WEIGHT, WEIGHT),
            (schema.DWELL, DWELL),
            (schema.SENTIMENT, SENTIMENT),
        ):
            columns.append(FloatColumn(name, rows.column(column).to_numpy()))
        for spec in self.context:
            values = rows.column(spec.name).combine_chunks()
            name = schema.context(spec.name)
            if spec.modality == "categorical":
                indices = encode_column(spec, values, self.vocabularies)
                columns.append(IntColumn(name, indices))
            else:
                columns.append(FloatColumn(name, standardised(spec, values)[0]))
        bounds = record_bounds(codes)
        owners = codes[bounds[:-1]]
        # Groups of records, so that what is in memory at once doesn't grow with the partition.
        edges = np.searchsorted(bounds, np.arange(0, len(codes) + CHUNK_EVENTS, CHUNK_EVENTS))
        for first, last in pairwise(np.unique(np.minimum(edges, len(owners))).tolist()):
            parts = [column.features(bounds[first : last + 1]) for column in columns]
            yield examples([[heads[user] for user in owners[first:last]], *parts])


def record_bounds(codes: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Where each record of a user's events starts, and where the last one stops.

    Args:
        codes: int64 [events], at least one: whose they are, one user after another.

    Example:
        >>> record_bounds(np.array([0, 0, 3])).tolist()
        [0, 2, 3]
    """
    starts = np.flatnonzero(np.insert(codes[1:] != codes[:-1], 0, True))
    stops = np.append(starts[1:], len(codes))
    more = [
        np.arange(start + CHUNK_EVENTS, stop, CHUNK_EVENTS)
        for start, stop in zip(starts, stops, strict=True)
        if stop - start > CHUNK_EVENTS
    ]
    return np.sort(np.concatenate([starts, *more, stops[-1:]]))


def _texts(name: str, column: Any) -> list[bytes]:
    return [bytes_feature(name, text.encode()) for text in column.to_pylist()]


def entity_features(
    spec: FeatureSpec, column: Any, vocabularies: dict[str, list[str]]
) -> Iterator[bytes]:
    """NAME and NAME/present of each row, serialised.

    Args:
        spec: The feature.
        column: Prepared values, an Arrow chunked array.
        vocabularies: Values by vocabulary file.
    """
    column = column.combine_chunks()
    name, missing = spec.name, ints(schema.present(spec.name), [0])
    there = ints(schema.present(spec.name), [1])
    if spec.modality == "numeric":
        numbers, present = standardised(spec, column)
        for number, good in zip(numbers[:, None], present, strict=True):
            yield there + floats(name, number) if good else missing
    elif spec.modality == "categorical":
        for index in encode_column(spec, column, vocabularies).tolist():
            yield there + ints(name, [index]) if index else missing
    elif spec.modality == "tags":
        width = spec.config.max_length or _DEFAULT_TAGS
        indices = encode_column(spec, column.flatten(), vocabularies).tolist()
        lengths = pc.list_value_length(column).to_pylist()
        start = 0
        for length in lengths:
            kept = indices[start : start + min(length, width)]
            start += length
            yield there + ints(name, kept) if kept else missing
    elif spec.modality == "embedding":
        for value in column.to_pylist():
            yield missing if value is None else there + floats(name, np.asarray(value, np.float32))
    else:
        for value in column.to_pylist():
            if value is None:
                yield missing
            else:
                data = value.encode() if isinstance(value, str) else value
                yield there + bytes_feature(name, data)
