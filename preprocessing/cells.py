"""Give cells their meaning: ids, numbers, moments, texts, lists; and say which cells have none.

Sources differ in types: the same id is `1` in CSV, 1 in Parquet, and 1.0 where a library met a
missing value. All of them become the text "1", so that a join is never silently empty.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

__all__ = [
    "LATEST",
    "as_embedding",
    "as_identifier",
    "as_number",
    "as_tags",
    "as_text",
    "as_timestamp",
    "parse_moment",
]

Mask = npt.NDArray[np.bool_]
# The year 10000; milliseconds of our days lie beyond it.
LATEST = 253_402_300_799
# What float32, in which records keep numbers, can hold.
_LARGEST = 3.4e38
_NUMBER = r"^\s*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?\s*$"


def as_text(column: Any) -> Any:
    """Any column as strings, null where the cell is empty.

    Args:
        column: An Arrow array.

    Example:
        >>> as_text(pa.array([1.0, 2.5, None])).to_pylist()
        ['1', '2.5', None]
    """
    kind = column.type
    if _is_list(kind):
        parts = [None if cell is None else " ".join(map(str, cell)) for cell in column.to_pylist()]
        column = pa.array(parts, pa.string())
    elif pa.types.is_floating(kind):
        numbers = column.cast(pa.float64())
        text = numbers.cast(pa.string())
        whole = pc.and_(pc.equal(pc.floor(numbers), numbers), pc.less(pc.abs(numbers), 2.0**53))
        whole = pc.fill_null(whole, False)
        if pc.any(whole).as_py():
            exact = pc.if_else(whole, numbers, None).cast(pa.int64()).cast(pa.string())
            text = pc.if_else(whole, exact, text)
        column = pc.if_else(pc.is_nan(numbers), None, text)
    elif pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        column = pa.array(
            [None if v is None else v.decode("utf-8", "replace") for v in column.to_pylist()],
            pa.string(),
        )
    elif not pa.types.is_string(kind):
        try:
            column = column.cast(pa.string())
        except (pa.ArrowNotImplementedError, pa.ArrowInvalid):
            # Structures and the like: shown as they are, for whatever rule they break.
            cells = [None if cell is None else str(cell) for cell in column.to_pylist()]
            column = pa.array(cells, pa.string())
    return pc.if_else(pc.equal(pc.binary_length(column), 0), None, column)


def as_identifier(column: Any) -> tuple[Any, Mask, Mask]:
    r"""Ids as text, trimmed, whole numbers alike however they were stored.

    Args:
        column: An Arrow array.

    Returns:
        Strings; bool [n], empty ones; bool [n], those that can't be an id, for a line end would
        tear a vocabulary file.

    Example:
        >>> as_identifier(pa.array(["7.0", " 7", "07", ""]))[0].to_pylist()
        ['7', '7', '07', '']
    """
    # An id occurs many times: each different one is looked at once.
    encoded = pc.fill_null(as_text(column), "").dictionary_encode()
    text = encoded.dictionary
    if pc.any(pc.match_substring_regex(text, r"^\s|\s$|\.0+$")).as_py():
        text = pc.utf8_trim_whitespace(text)
        text = pc.replace_substring_regex(text, r"^([+-]?[0-9]+)\.0+$", r"\1")
    empty = _numpy(pc.equal(pc.binary_length(text), 0))
    torn = _numpy(pc.match_substring_regex(text, "[\n\r\x00\u0085\u2028\u2029]"))
    places = _numpy(encoded.indices)
    return text.take(encoded.indices), empty[places], torn[places]


def as_number(column: Any) -> tuple[npt.NDArray[np.float64], Mask]:
    """Numbers, NaN where the cell is empty.

    Args:
        column: An Arrow array.

    Returns:
        float64 [n]; bool [n], cells that hold something else, or infinity, or more than float32.

    Example:
        >>> numbers, wrong = as_number(pa.array(["2", "", "two"]))
        >>> numbers.tolist(), wrong.tolist()
        ([2.0, nan, nan], [False, False, True])
    """
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())
    if _is_numeric(column.type):
        numbers = _floats(column.cast(pa.float64(), safe=False))
        given = _numpy(pc.is_valid(column)) & ~np.isnan(numbers)
    else:
        text = as_text(column)
        given = _numpy(pc.is_valid(text))
        try:
            numbers = _floats(text.cast(pa.float64()))
        except pa.ArrowInvalid:
            # Digits alone are told apart ten times as fast as other numbers; few are left.
            digits = pc.fill_null(pc.ascii_is_decimal(text), False)
            numbers = _floats(pc.if_else(digits, text, None).cast(pa.float64()))
            others = given & ~_numpy(digits)
            numbers[others] = _other_numbers(text.filter(pa.array(others)))
    with np.errstate(invalid="ignore"):
        wrong = given & ~(np.abs(numbers) <= _LARGEST)
    numbers[wrong] = np.nan
    return numbers, wrong


def as_timestamp(column: Any) -> tuple[npt.NDArray[np.int64], Mask]:
    """Moments as Unix seconds.

    Args:
        column: An Arrow array of numbers of seconds, of ISO 8601 texts (UTC unless they say
            otherwise), or of Arrow timestamps.

    Returns:
        int64 [n]; bool [n], cells that are empty or hold no moment from 1970 to 9999.

    Example:
        >>> as_timestamp(pa.array(["86400", "1970-01-02T01:00:00+01:00", "soon"]))[0].tolist()
        [86400, 86400, 0]
    """
    if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
        seconds = column.cast(pa.timestamp("ns")).cast(pa.timestamp("s"), safe=False)
        column = seconds.cast(pa.int64())
    if pa.types.is_integer(column.type):
        whole = _numpy(pc.fill_null(column.cast(pa.int64(), safe=False), -1))
        wrong = (whole < 0) | (whole > LATEST)
        return np.where(wrong, 0, whole), wrong
    if pa.types.is_string(column.type):
        try:
            return as_timestamp(column.cast(pa.int64()))
        except pa.ArrowInvalid:
            pass
    numbers, _ = as_number(column)
    missing = np.isnan(numbers)
    if missing.any() and not _is_numeric(column.type):
        numbers[missing] = _moments(as_text(column).filter(pa.array(missing)))
    with np.errstate(invalid="ignore"):
        wrong = ~((numbers >= 0) & (numbers <= LATEST))
    return np.where(wrong, 0, np.floor(np.where(wrong, 0, numbers))).astype(np.int64), wrong


def parse_moment(value: int | str) -> int | None:
    """One moment as Unix seconds; `None` when it is none.

    Example:
        >>> parse_moment("1970-01-02"), parse_moment("soon")
        (86400, None)
    """
    seconds, wrong = as_timestamp(pa.array([str(value)]))
    return None if wrong[0] else int(seconds[0])


def as_tags(column: Any, separator: str) -> Any:
    """Lists of values: of a text by its separator, or as they are in Parquet and JSON.

    Returns:
        list<string> [n]; an empty cell is an empty list.

    Example:
        >>> as_tags(pa.array(["a|b", "", None]), "|").to_pylist()
        [['a', 'b'], [], []]
    """
    if _is_list(column.type):
        lists = column.cast(pa.list_(pa.string()))
        return pc.if_else(pc.is_valid(lists), lists, pa.scalar([], pa.list_(pa.string())))
    text = as_text(column)
    lists = pc.split_pattern(pc.fill_null(text, ""), separator)
    # Splitting "" gives one empty value, which is none.
    return pc.if_else(pc.is_valid(text), lists, pa.scalar([], pa.list_(pa.string())))


def as_embedding(
    column: Any, separator: str, dimension: int
) -> tuple[npt.NDArray[np.float32], Mask, Mask]:
    """Vectors.

    Args:
        column: Lists of numbers, or texts of numbers.
        separator: Between the numbers of a text.
        dimension: How many there must be.

    Returns:
        float32 [n, dimension]; bool [n], present ones; bool [n], cells that hold no such vector.
    """
    values = np.zeros((len(column), dimension), np.float32)
    present, wrong = np.zeros(len(column), bool), np.zeros(len(column), bool)
    cells = column.to_pylist() if _is_list(column.type) else as_text(column).to_pylist()
    for row, cell in enumerate(cells):
        if cell is None:
            continue
        parts = cell.split(separator) if isinstance(cell, str) else cell
        try:
            vector = np.asarray([float(part) for part in parts], np.float64)
        except (TypeError, ValueError):
            vector = np.zeros(0)
        good = len(vector) == dimension and bool(np.all(np.abs(vector) <= _LARGEST))
        present[row], wrong[row] = good, not good
        if good:
            values[row] = vector
    return values, present, wrong


def _other_numbers(text: Any) -> npt.NDArray[np.float64]:
    """Signs, points, exponents, spaces around; NaN for anything else."""
    number = pc.fill_null(pc.match_substring_regex(text, _NUMBER), False)
    text = pc.utf8_trim_whitespace(pc.if_else(number, text, None))
    text = pc.replace_substring_regex(text, r"^\+", "")
    return _floats(text.cast(pa.float64()))


def _moments(texts: Any) -> npt.NDArray[np.float64]:
    """Seconds of ISO 8601 texts, NaN for others."""
    unique = texts.dictionary_encode()
    seconds = np.array([_moment(text) for text in unique.dictionary.to_pylist()], np.float64)
    codes = _numpy(pc.fill_null(unique.indices, len(seconds)).cast(pa.int64()))
    return np.append(seconds, math.nan)[codes]


def _moment(text: str) -> float:
    try:
        moment = datetime.fromisoformat(text.strip())
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return moment.timestamp()
    except (ValueError, OverflowError):
        return math.nan


def _is_list(kind: Any) -> bool:
    return bool(
        pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    )


def _is_numeric(kind: Any) -> bool:
    return bool(
        pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    )


def _floats(array: Any) -> npt.NDArray[np.float64]:
    return np.array(pc.fill_null(array, math.nan).to_numpy(zero_copy_only=False), np.float64)


def _numpy(array: Any) -> Any:
    return array.to_numpy(zero_copy_only=False)
