"""Read row groups of a Parquet file into columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from preprocessing.batches import RawBatch
from tfrec.errors import DataError

__all__ = ["open_parquet", "read_row_group"]


def open_parquet(path: str, name: str) -> pq.ParquetFile:
    """Opens a Parquet file.

    Raises:
        DataError: It is none.
    """
    try:
        return pq.ParquetFile(path, memory_map=True)
    except (pa.ArrowException, ValueError) as error:
        raise DataError(
            name,
            "the file must be whole Parquet",
            received=str(error).splitlines()[0],
            remedy="Write it again",
        ) from error


def read_row_group(
    path: str, name: str, group: int, columns: Sequence[str], first_row: int, rows: int
) -> Iterator[RawBatch]:
    """Reads one row group in batches.

    Args:
        path: The file.
        name: What to call it in messages.
        group: The row group.
        columns: The wanted columns.
        first_row: The number, from 1, of its first row in the file.
        rows: Rows of a batch.

    Raises:
        DataError: The row group is damaged.
    """
    file = open_parquet(path, name)
    number = first_row
    try:
        for batch in file.iter_batches(rows, row_groups=[group], columns=list(columns)):
            arrays = {column: _plain(batch.column(column)) for column in columns}
            lines = np.arange(number, number + batch.num_rows, dtype=np.int64)
            number += batch.num_rows
            yield RawBatch(arrays, lines, np.zeros(batch.num_rows, bool))
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            f"{name} (row group {group})",
            "the file must be whole Parquet",
            received=str(error).splitlines()[0],
            remedy="Write it again",
        ) from error


def _plain(array: pa.Array) -> pa.Array:
    return array.dictionary_decode() if pa.types.is_dictionary(array.type) else array
