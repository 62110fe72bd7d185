"""Spill tables to files that other tasks read: the shuffle between stages.

One Arrow file a task, one record batch a destination: batch `p` holds what partition `p` needs, so
a reader maps the file and touches its own part alone.
"""

from __future__ import annotations

import os
import threading
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

__all__ = [
    "PartitionedWriter",
    "arrow_writer",
    "partition_of",
    "read_partition",
    "read_table",
    "replacing",
    "save_array",
    "write_table",
]


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path to write to, which becomes `path` when all went well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def arrow_writer(path: Path, schema: Any) -> Iterator[Any]:
    """An Arrow file to write tables and batches to."""
    with (
        replacing(path) as partial,
        pa.OSFile(str(partial), "wb") as sink,
        pa.ipc.new_file(sink, schema) as writer,
    ):
        yield writer


def write_table(path: Path, table: Any) -> None:
    """Writes a table as one Arrow file."""
    with arrow_writer(path, table.schema) as writer:
        writer.write_table(table)


def read_table(path: Path) -> Any:
    """Maps a table; its columns are read when they are used."""
    return pa.ipc.open_file(pa.memory_map(str(path))).read_all()


def partition_of(ids: Any, partitions: int) -> npt.NDArray[np.int64]:
    """The partition of each id: by the CRC of its bytes, equal in every process.

    Args:
        ids: Strings, an Arrow array.
        partitions: How many there are.

    Returns:
        int64 [n].

    Example:
        >>> partition_of(pa.array(["a", "b", "a"]), 2).tolist()
        [1, 1, 1]
    """
    encoded = ids.dictionary_encode()
    values = encoded.dictionary.cast(pa.binary()).to_pylist()
    sums = np.fromiter(map(zlib.crc32, values), np.int64, len(values))
    return np.asarray((sums % partitions)[encoded.indices.to_numpy()])


class PartitionedWriter:
    """Collects rows of a task and writes them by destination.

    Args:
        path: The file.
        schema: Of the rows.
        partitions: Destinations.
    """

    def __init__(self, path: Path, schema: Any, partitions: int) -> None:
        self._path = path
        self._schema = schema
        self._partitions = partitions
        self._parts: list[list[Any]] = [[] for _ in range(partitions)]

    def add(self, table: Any, destinations: npt.NDArray[np.int64]) -> None:
        """Adds rows.

        Args:
            table: Rows of the schema.
            destinations: int64 [rows].
        """
        table = table.cast(self._schema)
        if self._partitions == 1:
            self._parts[0].append(table)
            return
        order = np.argsort(destinations.astype(np.uint16), kind="stable")
        bounds = np.searchsorted(destinations[order], np.arange(self._partitions + 1))
        ordered = table.take(pa.array(order))
        for place, (start, stop) in enumerate(pairwise(bounds)):
            if stop > start:
                self._parts[place].append(ordered.slice(start, stop - start))

    def close(self) -> None:
        """Writes the file."""
        empty = pa.RecordBatch.from_pylist([], self._schema)
        with arrow_writer(self._path, self._schema) as writer:
            for tables in self._parts:
                batches = pa.concat_tables(tables).combine_chunks().to_batches() if tables else []
                writer.write_batch(batches[0] if batches else empty)


def read_partition(paths: Sequence[Path], place: int) -> Any:
    """The rows of one destination, in the order of the files.

    Args:
        paths: Files of `PartitionedWriter`, at least one.
        place: Which destination.
    """
    batches = []
    for path in paths:
        reader = pa.ipc.open_file(pa.memory_map(str(path)))
        batches.append(reader.get_batch(place))
    return pa.Table.from_batches(batches)


def save_array(path: Path, values: npt.NDArray[Any]) -> None:
    """Writes an array so that it is there whole or not at all."""
    with replacing(path) as partial, open(partial, "wb") as stream:
        np.save(stream, values)
