"""Report ids that sources keep in different types, which joins by value would silently lose.

Every id is compared as text, whole numbers alike however they are stored (`7`, 7, 7.0), so such
joins work here; a person should still know, since the same files elsewhere may join to nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from preprocessing.paths import SourceFile
from preprocessing.sampling import sample_rows

__all__ = ["explain_id_types", "id_type"]

_WHOLE, _POINT = re.compile(r"\s*[+-]?[0-9]+\s*"), re.compile(r"\s*[+-]?[0-9]+\.0+\s*")


def id_type(column: Any) -> str | None:
    """What kind of ids a column holds; `None` for an empty one.

    Example:
        >>> [id_type(pa.array(cells)) for cells in ([1, 2], ["1.0", "2.0"], ["a", "1"], ["1"])]
        ['integer', 'number with a point', 'text', 'text of digits']
    """
    if pa.types.is_integer(column.type):
        return "integer"
    if pa.types.is_floating(column.type) or pa.types.is_decimal(column.type):
        return "floating point"
    cells = [str(cell) for cell in column.to_pylist() if cell not in (None, "", b"")]
    if not cells:
        return None
    if all(_WHOLE.fullmatch(cell) for cell in cells):
        return "text of digits"
    if all(_WHOLE.fullmatch(cell) or _POINT.fullmatch(cell) for cell in cells):
        return "number with a point"
    return "text"


def explain_id_types(
    columns: dict[str, list[tuple[SourceFile, str]]],
) -> Iterator[str]:
    """One sentence for each kind of id that sources store differently.

    Args:
        columns: For `user` and `item`, the files with their id column.
    """
    for kind, places in columns.items():
        found: dict[str, str] = {}
        for file, column in places:
            stored = id_type(sample_rows(file, [column]).columns.get(column, pa.nulls(0)))
            # CSV and JSON Lines know nothing but text.
            if stored == "text of digits" and file.format in ("csv", "jsonl"):
                stored = "integer"
            if stored is not None:
                found.setdefault(stored, f"{file.name} `{column}`")
        if len(found) > 1:
            told = ", ".join(f"{stored} in {place}" for stored, place in found.items())
            yield f"{kind} ids differ in type ({told}): compared as text, 7.0 like 7"
