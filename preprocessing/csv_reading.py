r"""Read a range of a CSV file into columns, every line of it accounted for.

A range is cut at the ends of rows, so a quoted cell with line ends in it is never torn: a newline
ends a row when the number of quotation marks before it is even (RFC 4180). Arrow parses the range;
a row with too few or too many cells comes back as broken, with its text, and no other row suffers.

    1,"Love\nsong",pop      line 1, one row over two lines
    2,Rain                  line 3, broken: 2 cells where the header has 3
    3,Sun,rock              line 4
"""

from __future__ import annotations

import codecs
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
# Stands for bytes that are no UTF-8 until their row is refused: a character that no text has.
_MARK = "\ufdd0"
_MARKING = "tfrec.mark"
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
    if b"\r" in start and b"\n" not in start:
        raise DataError(
            name,
            "lines end with LF or CRLF",
            received="CR alone",
            remedy="Convert its line ends",
        )
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
    r"""Parses whole rows.

    A quotation mark that opens a cell and is never closed swallows what follows it. Its line alone
    is broken; the lines after it are parsed anew.

    Args:
        data: Rows without the header.
        header: All column names of the file.
        columns: Those that are wanted.
        first_line: The line number, from 1, of the first row.

    Returns:
        The wanted columns as strings. Rows without any value are no rows.

    Example:
        >>> batch = parse_csv(b'1,"a\n2,b\n', ("n", "t"), ("n",), 2)
        >>> batch.columns["n"].to_pylist(), batch.lines.tolist(), batch.broken[0].line
        (['2'], [3], 2)
    """
    marked = data if data.isascii() else data.decode("utf-8", _MARKING).encode()
    pieces: list[tuple[Any, np.ndarray]] = []
    broken: list[BrokenRow] = []
    todo = [(marked, first_line)]
    while todo:
        text, line = todo.pop()
        table, lines, invalid, unclosed = _parse_piece(text, header, columns, line)
        pieces.append((table, lines))
        for at, row in invalid:
            start, newline, rest = row.partition("\n")
            swallowed = bool(newline) and row.count('"') % 2 == 1
            shown = (start if swallowed else row).replace(_MARK, "\ufffd")
            broken.append(BrokenRow(at, "malformed_row", shown))
            if swallowed:
                todo.append((rest.encode(), at + 1))
        if unclosed:
            todo.append(unclosed)
    table = pa.concat_tables([piece for piece, _ in pieces]).combine_chunks()
    lines = np.concatenate([numbers for _, numbers in pieces])
    if len(pieces) > 1:
        order = np.argsort(lines, kind="stable")
        table, lines = table.take(pa.array(order)), lines[order]
        broken.sort(key=lambda row: row.line)
    arrays = {name: table.column(name).combine_chunks() for name in columns}
    not_utf8 = np.zeros(len(lines), bool)
    if marked is not data:
        for name, array in arrays.items():
            not_utf8 |= pc.match_substring(array, _MARK).to_numpy(zero_copy_only=False)
            arrays[name] = pc.replace_substring(array, _MARK, "\ufffd")
    return RawBatch(arrays, lines, not_utf8, broken)


def _parse_piece(
    data: bytes, header: Sequence[str], columns: Sequence[str], first_line: int
) -> tuple[Any, np.ndarray, list[tuple[int, str]], tuple[bytes, int] | None]:
    """Rows with columns and their lines, broken rows by line, and what is to be parsed anew."""
    table, numbers, invalid = _parse(data, header, columns)
    newlines = data.count(b"\n") + (not data.endswith(b"\n"))
    several_lines = newlines > table.num_rows + len(invalid)
    blank = _blank(table)
    if (several_lines or blank.any()) and len(columns) < len(header):
        table, numbers, invalid = _parse(data, header, header)
        blank = _blank(table)
    extra = np.zeros(table.num_rows + len(invalid) + 1, np.int64)
    if several_lines:
        for column in table.columns:
            extra[numbers] += pc.count_substring(column, pattern="\n").to_numpy()
        for number, text in invalid:
            extra[number] += text.count("\n")
    lines = first_line - 1 + np.arange(len(extra)) + np.cumsum(extra) - extra
    broken = [(int(lines[number]), text) for number, text in invalid]
    keep, unclosed = ~blank, None
    if several_lines and len(numbers) and numbers[-1] == len(extra) - 1:
        # The last row: an unclosed cell, which can only be its last, ends with the data.
        cell = table.column(header[-1])[-1].as_py().encode()
        if b"\n" in cell and data.count(b'"') % 2 and data.endswith(b'"' + cell):
            line = int(lines[-1])
            start = _offset_of_line(data, line - first_line)
            end = data.index(b"\n", start) + 1
            broken.append((line, data[start:end].decode().strip()))
            keep[-1] = False
            unclosed = (data[end:], line + 1)
    table = table.select(list(dict.fromkeys(columns)))
    if not keep.all():
        table = table.filter(pa.array(keep))
    return table, lines[numbers][keep], broken, unclosed


def _offset_of_line(data: bytes, lines: int) -> int:
    """Where a line starts, after so many newlines."""
    position = 0
    for _ in range(lines):
        position = data.index(b"\n", position) + 1
    return position


def _parse(
    data: bytes, header: Sequence[str], columns: Sequence[str]
) -> tuple[Any, np.ndarray, list[tuple[int, str]]]:
    invalid: list[tuple[int, str]] = []

    def skip(row: Any) -> str:
        invalid.append((row.number, row.text))
        return "skip"

    if not data:
        empty = pa.table({name: pa.array([], pa.string()) for name in columns})
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
            column_types={name: pa.string() for name in columns},
            include_columns=list(columns),
            strings_can_be_null=False,
            check_utf8=False,
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


def _mark(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    return _MARK, error.end


codecs.register_error(_MARKING, _mark)
