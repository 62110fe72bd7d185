"""Look at the first rows of a source without reading the whole of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from preprocessing.batches import RawBatch
from preprocessing.csv_reading import parse_csv, read_header
from preprocessing.jsonl_reading import parse_jsonl
from preprocessing.parquet_reading import open_parquet, read_row_group
from preprocessing.paths import SourceFile
from preprocessing.ranges import last_row_end, start_of
from preprocessing.tfrecord_reading import read_tfrecords

__all__ = ["sample_rows"]


def sample_rows(file: SourceFile, columns: Sequence[str], rows: int = 1000) -> RawBatch:
    """The first rows of a file.

    Args:
        file: The file.
        columns: The wanted columns.
        rows: At most so many; of a text file those in its first megabyte.

    Raises:
        DataError: The file is damaged.
    """
    batch = _first_batch(file, columns, rows)
    if batch.rows <= rows:
        return batch
    arrays = {name: array.slice(0, rows) for name, array in batch.columns.items()}
    return RawBatch(arrays, batch.lines[:rows], batch.not_utf8[:rows], batch.broken)


def _first_batch(file: SourceFile, columns: Sequence[str], rows: int) -> RawBatch:
    none = RawBatch({}, np.zeros(0, np.int64), np.zeros(0, bool))
    if file.format == "parquet":
        if open_parquet(file.path, file.name).metadata.num_row_groups == 0:
            return none
        return next(read_row_group(file.path, file.name, 0, columns, 1, rows), none)
    if file.format == "tfrecord":
        return next(read_tfrecords(file.path, file.name, file.compressed, columns), none)
    start = start_of(file)
    if file.format == "jsonl":
        end = start.rfind(b"\n") + 1
        return parse_jsonl(start[:end] or start, columns, 1)
    header, position = read_header(start, file.name)
    body = start[position:]
    end = last_row_end(body)
    # A file without a line end after its only row is whole all the same.
    return parse_csv(body[:end] or body, header, columns, 2)
