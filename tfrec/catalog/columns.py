"""What a served graph knows of items beside their vectors: labels, numbers, titles, parts, texts.

Each is a variable with a row an item (titles with a spare one), found by its name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from tfrec.export.catalogue_file import CatalogueFile
from tfrec.export.searching import CODES, STEPS, text_codes
from tfrec.export.variables import Variables

__all__ = ["ItemChange", "changed_columns"]

_PARTS, _TITLES, _WORDS = "explain/item_parts", "explain/titles", "explain/labels"
_AVAILABLE = "filter/available"
_TITLE_LENGTH = 80


@dataclass(frozen=True)
class ItemChange:
    """What is said of one item; what isn't mentioned stays.

    Attributes:
        numbers: By feature; NaN is missing.
        labels: Values by feature, normalised.
        title: What it is called.
        parts: float32 [parts, D] that its vector is the sum of.
        texts: float32 [E] of length 1, or zeros, by place among what `search` finds it by.
    """

    numbers: Mapping[str, float] = field(default_factory=dict)
    labels: Mapping[str, Sequence[bytes]] = field(default_factory=dict)
    title: str | None = None
    parts: np.ndarray | None = None
    texts: Mapping[int, np.ndarray] = field(default_factory=dict)


def changed_columns(
    variables: Variables,
    file: CatalogueFile,
    ids: Sequence[str],
    sources: np.ndarray,
    changes: Mapping[str, ItemChange],
) -> dict[str, np.ndarray]:
    """Columns after a change.

    Args:
        variables: Of the version before.
        file: Its catalogue file.
        ids: All items afterwards.
        sources: int [n], the position of each before, -1 for a new one.
        changes: What is said of items, by id.

    Returns:
        By the names of variables; those that the version doesn't have are left out. A label that
        the version has no word for is none.
    """
    names = set(variables.names)
    said = [(place, changes[item]) for place, item in enumerate(ids) if item in changes]
    result: dict[str, np.ndarray] = {}
    for name in file.numbers:
        if f"filter/{name}" in names:
            column = _moved(variables.read(f"filter/{name}"), sources, np.nan)
            for place, change in said:
                if name in change.numbers:
                    column[place] = change.numbers[name]
            result[f"filter/{name}"] = column
    codes = _codes(variables, file) if "filter/values/values" in names else {}
    for name in file.labels:
        if f"filter/{name}" in names:
            column = _moved(variables.read(f"filter/{name}"), sources, -1)
            for place, change in said:
                if name in change.labels:
                    column[place] = _row(codes[name], change.labels[name], column.shape[1])
            result[f"filter/{name}"] = column
    if _AVAILABLE in names:
        result[_AVAILABLE] = _moved(variables.read(_AVAILABLE), sources, True)
    if _PARTS in names:
        parts = _moved(variables.read(_PARTS), sources, 0)
        for place, change in said:
            if change.parts is not None:
                parts[place] = change.parts
        result[_PARTS] = parts
    if CODES in names:
        directions = _moved(variables.read(CODES), sources, 0)
        steps = _moved(variables.read(STEPS), sources, 0)
        for place, change in said:
            for text, vector in change.texts.items():
                directions[place, text], steps[place, text], _ = text_codes(vector)
        result |= {CODES: directions, STEPS: steps}
    if _TITLES in names:
        titles = _moved(variables.read(_TITLES)[:-1], sources, b"")
        for place, change in said:
            if change.title is not None:
                titles[place] = _cut(change.title).encode()
        result[_TITLES] = np.append(titles, b"")
    if _WORDS in names:
        result[_WORDS] = _words(variables.read(_WORDS), file, result, sources)
    return result


def _moved(column: np.ndarray, sources: np.ndarray, filler: object) -> np.ndarray:
    moved = np.full((len(sources), *column.shape[1:]), filler, column.dtype)
    old = sources >= 0
    moved[old] = column[sources[old]]
    return moved


def _codes(variables: Variables, file: CatalogueFile) -> dict[str, dict[bytes, int]]:
    """The place of each value among its feature's."""
    values = variables.read("filter/values/values")[:-1].tolist()
    codes: dict[str, dict[bytes, int]] = {}
    start = 0
    for name, count in file.labels.items():
        prefix = len(name.encode()) + 1
        own = values[start : start + count]
        codes[name] = {value[prefix:]: place for place, value in enumerate(own)}
        start += count
    return codes


def _row(codes: Mapping[bytes, int], values: Sequence[bytes], width: int) -> np.ndarray:
    row = np.full(width, -1, np.int32)
    found = [codes[value] for value in values if value in codes][:width]
    row[: len(found)] = found
    return row


def _words(
    column: np.ndarray, file: CatalogueFile, columns: Mapping[str, np.ndarray], sources: np.ndarray
) -> np.ndarray:
    """Labels of all features side by side, as `tfrec.export.explaining` keeps them."""
    moved = _moved(column, sources, -1)
    at, start = 1, 0
    for name, count in file.labels.items():
        labels = columns.get(f"filter/{name}")
        if labels is not None:
            width = labels.shape[1]
            moved[:, at : at + width] = np.where(labels >= 0, labels + start, -1)
            at += width
        start += count
    return moved


def _cut(text: str) -> str:
    return text if len(text) <= _TITLE_LENGTH else text[: _TITLE_LENGTH - 1] + "…"
