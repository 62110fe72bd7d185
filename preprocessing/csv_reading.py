r"""Read a range of a CSV file into columns, every line of it accounted for.

A range is cut at the ends of rows, so a quoted cell with line ends in it is never torn: a newline
ends a row when the number of quotation marks before it is even (RFC 4180). Arrow parses the range;
a row with too few or too many cells comes back as broken, with its text, and no other row suffers.

    1,"Love\nsong",pop      line 1, one row over two lines
    2,Rain                  line 3, broken: 2 cells where the header has 3
    3,Sun,rock              line 4
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as arrow_csv

from preprocessing.batches import BrokenRow, RawBatch
from tfrec.errors import DataError

__all__ = ["parse_csv", "read_header", "row_end"]

_BOM = b"\xef\xbb\xbf"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


def read_header(start: bytes, name: str) -> tuple[tuple[str, ...], int]:
    """Reads the first row of a CSV file.

    Args:
        start: The beginning of the file, with the whole header in it.
        name: The file, for messages.

    Returns:
        The column names, and the position of the first byte after the header.

    Raises:
        DataError: The file is empty, or no UTF-8, or names a column twice.
    """
    skipped = len(_BOM) if start.startswith(_BOM) else 0
    end = row_end(start, skipped, inside_quotes=False)
    line = start[skipped : len(start) if end is None else end]
    try:
        if start.startswith(_UTF16):
            raise UnicodeDecodeError("utf-8", start, 0, 2, "UTF-16")
        text = line.decode("utf-8")
        cells = next(csv.reader(io.StringIO(text, newline="")), [])
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(
            name,
            "a CSV file is UTF-8 text that starts with a header line",
            received=repr(start[:20]),
            remedy="Convert it to UTF-8",
        ) from error
    names = tuple(cell.strip() for cell in cells)
    if not any(names):
        raise DataError(
            name,
            "a CSV file starts with a header line",
            received="an empty file" if not start.strip() else "an empty first line",
            remedy="Write the column names into its first line",
        )
    twice = {column for column in names if names.count(column) > 1}
    if twice:
        raise DataError(
            name,
            "each column has a name of its own",
            received=f"`{min(twice)}` more than once",
            remedy="Rename one of them",
        )
    return names, len(start) if end is None else end


def row_end(data: bytes, start: int, *, inside_quotes: bool) -> int | None:
    r"""Finds where the row that goes on at `start` ends.

    Args:
        data: Bytes of a CSV file.
        start: Where to begin.
        inside_quotes: Whether `start` lies within a quoted cell.

    Returns:
        The position after its newline; `None` when it goes on beyond `data`.

    Example:
        >>> row_end(b'1,"a\nb"\n2', 0, inside_quotes=False)
        8
    """
    quoted = inside_quotes
    position = start
    while True:
        newline = data.find(b"\n", position)
        if newline < 0:
            return None
        if data.count(b'"', position, newline) % 2:
            quoted = not quoted
        position = newline + 1
        if not quoted:
            return position


def parse_csv(
    data: bytes, header: Sequence[str], columns: Sequence[str], first_line: int
) -> RawBatch:
    """Parses whole rows.

    Args:
        data: Rows without the header.
        header: All column names of the file.
        columns: Those that are wanted.
        first_line: The line number, from 1, of the first row.

    Returns:
        The wanted columns as strings. Rows without any value are no rows.
    """
    table, numbers, invalid = _parse(data, header, columns)
    newlines = data.count(b"\n") + (not data.endswith(b"\n"))
    blank = _blank(table)
    several_lines = newlines > table.num_rows + len(invalid)
    if (several_lines or blank.any()) and len(columns) < len(header):
        table, numbers, invalid = _parse(data, header, header)
        blank = _blank(table)
    lines = numbers + (first_line - 1)
    if several_lines:
        lines = lines + _extra_lines(table, numbers, invalid)
    broken = [
        BrokenRow(
            # Lines within the cells of the rows before it push a broken row down as well.
            first_line + number - 1 + _extra_before(number, numbers, lines - first_line + 1),
            "malformed_row",
            text,
        )
        for number, text in invalid
    ]
    if blank.any():
        table, lines = table.filter(pa.array(~blank)), lines[~blank]
    not_utf8 = np.zeros(table.num_rows, bool)
    arrays = {}
    for column in columns:
        arrays[column], wrong = _decode(table.column(column).combine_chunks())
        if wrong is not None:
            not_utf8 |= wrong
    return RawBatch(arrays, lines, not_utf8, broken)


def _parse(data: bytes, header: Sequence[str], columns: Sequence[str]) -> tuple[Any, Any, Any]:
    invalid: list[tuple[int, str]] = []

    def skip(row: Any) -> str:
        invalid.append((row.number, row.text))
        return "skip"

    if not data:
        empty = pa.table({name: pa.array([], pa.binary()) for name in columns})
        return empty, np.zeros(0, np.int64), invalid
    table = arrow_csv.read_csv(
        pa.BufferReader(data),
        # One block, so that no row straddles two; Beam's workers are the threads.
        read_options=arrow_csv.ReadOptions(
            use_threads=False, column_names=list(header), block_size=len(data) + 1
        ),
        parse_options=arrow_csv.ParseOptions(
            newlines_in_values=True, ignore_empty_lines=False, invalid_row_handler=skip
        ),
        convert_options=arrow_csv.ConvertOptions(
            column_types={name: pa.binary() for name in columns},
            include_columns=list(columns),
            strings_can_be_null=False,
        ),
    )
    numbers = np.arange(1, table.num_rows + len(invalid) + 1)
    if invalid:
        numbers = np.delete(numbers, [number - 1 for number, _ in invalid])
    return table, numbers, invalid


def _blank(table: Any) -> np.ndarray:
    blank = np.ones(table.num_rows, bool)
    for column in table.columns:
        if not blank.any():
            break
        blank &= pc.equal(pc.binary_length(column), 0).to_numpy()
    return blank


def _extra_lines(table: Any, numbers: np.ndarray, invalid: Sequence[tuple[int, str]]) -> np.ndarray:
    """How many lines the cells of earlier rows take beyond one a row."""
    extra = np.zeros(table.num_rows + len(invalid) + 1, np.int64)
    for column in table.columns:
        extra[numbers] += pc.count_substring(column, pattern="\n").to_numpy()
    for number, text in invalid:
        extra[number] += text.count("\n")
    before = np.cumsum(extra) - extra
    return np.asarray(before[numbers])


def _extra_before(number: int, numbers: np.ndarray, relative_lines: np.ndarray) -> int:
    # The next row that could be read tells how many extra lines came before; a broken last row
    # takes the count of the row before it.
    place = int(np.searchsorted(numbers, number))
    if place == len(numbers):
        place -= 1
    return int(relative_lines[place] - numbers[place]) if place >= 0 else 0


def _decode(column: Any) -> tuple[Any, np.ndarray | None]:
    """Strings of a binary column, and where it is no UTF-8."""
    try:
        return column.cast(pa.string()), None
    except pa.ArrowInvalid:
        values = column.to_pylist()
        texts = [value.decode("utf-8", "replace") for value in values]
        wrong = [text.encode() != value for text, value in zip(texts, values, strict=True)]
        return pa.array(texts, pa.string()), np.asarray(wrong, bool)
