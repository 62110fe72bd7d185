"""Guess what a table is and what its columns hold, from the first rows of its files.

A table is judged by its column names and its values: behaviour has a user, an item and a moment in
each row; comments have words as well; the catalogue has one row an item, profiles one row a user.
Every guess carries its reason, since a person reads and corrects it.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from preprocessing.cells import as_number, as_text, as_timestamp

__all__ = ["MEDIA_SUFFIXES", "Column", "Table", "guess_column", "guess_table"]

Kind = Literal["interactions", "items", "users", "comments", "unknown"]
MEDIA_SUFFIXES = {
    **dict.fromkeys((".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"), "image"),
    **dict.fromkeys((".wav", ".flac", ".mp3", ".ogg", ".m4a"), "audio"),
    **dict.fromkeys((".mp4", ".mkv", ".webm", ".mov", ".avi"), "video"),
}
_USER = re.compile(r"(user|customer|member|account|person|client|visitor|buyer|reviewer|uid)", re.I)
_ITEM = re.compile(
    r"(item|product|movie|film|song|track|article|sku|asin|isbn|video|book|game|content|iid|show)",
    re.I,
)
_TIME = re.compile(r"(time|date|moment|(^|_)ts$|(^|_)at$|^created|^when$)", re.I)
_EVENT = re.compile(r"(event|action|behaviou?r|interaction)(_?type)?$", re.I)
_RATING = re.compile(r"(rating|score|stars?)$", re.I)
_DWELL = re.compile(r"(dwell|watch|listen|play|duration|seconds)", re.I)
_WEIGHT = re.compile(r"(weight|quantity|count|pieces)$", re.I)
_SAID = re.compile(r"(text|review|comment|tag|body|content|message)", re.I)
_ID = re.compile(r"(^|_)id$|Id$|^id$", re.I)
# Seconds of the years 1990 to 2100: a number that is likely a moment.
_FIRST, _LAST = 631_152_000, 4_102_444_800
_SEPARATORS = ("|", ";", ",")


@dataclass(frozen=True)
class Column:
    """What a column seems to hold.

    Attributes:
        name: As in the source.
        modality: A feature's modality, or `moment`, `identifier`, `empty`.
        reason: Why.
        separator: Between the values of a cell.
        dimension: Width of an embedding.
        different: How many different values were seen.
        values: Those seen most often, and the range for numbers.
    """

    name: str
    modality: str
    reason: str
    separator: str | None = None
    dimension: int | None = None
    different: int = 0
    values: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Table:
    """What a group of files seems to be.

    Attributes:
        pattern: Path or glob below the root.
        kind: Which source.
        reason: Why.
        user, item, time: The columns that are these, if any.
        columns: All columns.
    """

    pattern: str
    kind: Kind
    reason: str
    user: str | None
    item: str | None
    time: str | None
    columns: tuple[Column, ...]

    def find(self, pattern: re.Pattern[str], *modalities: str) -> Column | None:
        """The first other column of such a name and one of the modalities."""
        taken = {self.user, self.item, self.time}
        for column in self.columns:
            free = column.name not in taken and column.modality in modalities
            if free and pattern.search(column.name):
                return column
        return None

    @property
    def event(self) -> Column | None:
        """The event's type."""
        return self.find(_EVENT, "categorical", "text")

    @property
    def rating(self) -> Column | None:
        """A rating."""
        return self.find(_RATING, "numeric", "categorical")

    @property
    def dwell(self) -> Column | None:
        """Seconds watched or listened."""
        return self.find(_DWELL, "numeric")

    @property
    def weight(self) -> Column | None:
        """A number of pieces."""
        return self.find(_WEIGHT, "numeric")

    @property
    def said(self) -> Column | None:
        """Words."""
        return self.find(_SAID, "text", "categorical", "tags")


def guess_column(name: str, cells: Any) -> Column:
    """Guesses one column.

    Args:
        name: Its name.
        cells: An Arrow array as a reader gives it.

    Example:
        >>> guess_column("genres", pa.array(["rock|pop", "pop", "jazz|pop"] * 20)).separator
        '|'
    """
    if pa.types.is_timestamp(cells.type) or pa.types.is_date(cells.type):
        return Column(name, "moment", "its type is a timestamp")
    if pa.types.is_binary(cells.type) or pa.types.is_large_binary(cells.type):
        first = next((cell for cell in cells.to_pylist() if cell), b"")
        kind = "audio" if first[:4] in (b"RIFF", b"fLaC", b"OggS") else "image"
        return Column(name, kind, "cells are the bytes of files")
    if pa.types.is_list(cells.type) or pa.types.is_fixed_size_list(cells.type):
        return _guess_lists(name, cells)
    texts = [text.strip() for text in as_text(cells).drop_null().to_pylist()]
    texts = [text for text in texts if text]
    if not texts:
        return Column(name, "empty", "no cell holds anything")
    counts = Counter(texts)
    common = tuple(value for value, _ in counts.most_common(8))
    suffixes = {PurePosixPath(text).suffix.lower() for text in texts[:200]}
    media = {MEDIA_SUFFIXES.get(suffix) for suffix in suffixes}
    if len(media) == 1 and None not in media:
        return Column(name, str(media.pop()), f"cells are paths such as {texts[0]}", values=common)
    numbers, wrong = as_number(pa.array(texts))
    if not wrong.any():
        return _guess_numbers(name, numbers, counts)
    _, no_time = as_timestamp(pa.array(texts))
    if not no_time.any():
        return Column(name, "moment", f"cells are moments such as {texts[0]}")
    return _guess_texts(name, texts, counts, common)


def guess_table(pattern: str, columns: dict[str, Any]) -> Table:
    """Guesses what a table is.

    Args:
        pattern: Its path or glob.
        columns: The first rows, by column.
    """
    guesses = tuple(guess_column(name, cells) for name, cells in columns.items())
    modality = {guess.name: guess.modality for guess in guesses}
    scalar = [name for name, kind in modality.items() if kind not in ("image", "audio", "video")]
    unique = {name for name in scalar if _is_unique(columns[name])}
    user = _named(scalar, _USER)
    item = _named([name for name in scalar if name != user], _ITEM)
    moments = [name for name in scalar if modality[name] == "moment"]
    time = _named(moments, _TIME) or (moments[0] if moments else None)
    if time is None:
        # Seconds of another time, as in simulated data: the name alone has to tell.
        numeric = [name for name in scalar if modality[name] == "numeric"]
        time = _named(numeric, _TIME)
    if user and item and time:
        table = Table(pattern, "interactions", "", user, item, time, guesses)
        said = table.said
        if said is not None and table.event is None and table.rating is None:
            reason = f"each row has `{user}`, `{item}`, `{time}` and words in `{said.name}`"
            return Table(pattern, "comments", reason, user, item, time, guesses)
        reason = f"each row has `{user}`, `{item}` and `{time}`"
        return Table(pattern, "interactions", reason, user, item, time, guesses)
    stem = PurePosixPath(pattern).name
    known: tuple[tuple[Kind, str | None, re.Pattern[str]], ...] = (
        ("items", item, _ITEM),
        ("users", user, _USER),
    )
    for kind, key, words in known:
        own = key if key in unique else None
        if own is None and words.search(stem):
            own = next((name for name in scalar if name in unique and _ID.search(name)), None)
        if own is not None:
            reason = f"`{own}` differs in every row"
            ids = (None, own) if kind == "items" else (own, None)
            return Table(pattern, kind, reason, ids[0], ids[1], None, guesses)
    reason = "no user, item and moment in each row, and no id that differs in every row"
    return Table(pattern, "unknown", reason, user, item, time, guesses)


def _named(names: list[str], words: re.Pattern[str]) -> str | None:
    """The column of such a name, one that ends like an id before any other."""
    found = [name for name in names if words.search(name)]
    return next((name for name in found if _ID.search(name)), found[0] if found else None)


def _is_unique(cells: Any) -> bool:
    if pa.types.is_list(cells.type) or pa.types.is_binary(cells.type):
        return False
    texts = as_text(cells).drop_null().to_pylist()
    return len(texts) == len(cells) > 0 and len(set(texts)) == len(texts)


def _guess_lists(name: str, cells: Any) -> Column:
    lengths = {len(cell) for cell in cells.to_pylist() if cell}
    kind = cells.type.value_type
    if len(lengths) == 1 and pa.types.is_floating(kind):
        (width,) = lengths
        return Column(name, "embedding", f"lists of {width} numbers", dimension=width)
    return Column(name, "tags", "cells are lists")


def _guess_numbers(name: str, numbers: Any, counts: Counter[str]) -> Column:
    low, high = float(numbers.min()), float(numbers.max())
    seconds = low >= _FIRST and high <= _LAST
    if seconds and (_TIME.search(name) or len(counts) > 1):
        return Column(name, "moment", "numbers that are Unix seconds of the years 1990 to 2100")
    whole = bool(np.all(numbers == np.floor(numbers)))
    if whole and _ID.search(name):
        return Column(name, "categorical", "whole numbers with the name of an id", None, None,
                      len(counts))  # fmt: skip
    reason = f"numbers from {low:g} to {high:g}"
    return Column(name, "numeric", reason, None, None, len(counts), (low, high))


def _guess_texts(
    name: str, texts: list[str], counts: Counter[str], common: tuple[str, ...]
) -> Column:
    different = len(counts)
    for separator in _SEPARATORS:
        several = [text for text in texts if separator in text]
        parts = [[part.strip() for part in text.split(separator)] for text in texts]
        if len(several) < 0.1 * len(texts):
            continue
        flat = [part for cell in parts for part in cell]
        if (
            len(several) > 0.9 * len(texts)
            and _all_numbers(flat)
            and len(set(map(len, parts))) == 1
        ):
            width = len(parts[0])
            reason = f"{width} numbers separated by `{separator}` in every cell"
            return Column(name, "embedding", reason, separator, width, different)
        short = np.mean([len(part.split()) for part in flat]) <= 3
        if short and len(set(flat)) <= 0.5 * len(flat):
            top = tuple(value for value, _ in Counter(flat).most_common(8))
            reason = f"values separated by `{separator}`, {len(set(flat))} different"
            return Column(name, "tags", reason, separator, None, len(set(flat)), top)
    words = float(np.mean([len(text.split()) for text in texts]))
    if words <= 3 and different <= max(2, 0.5 * len(texts)):
        reason = f"{different} different values in {len(texts)} cells"
        return Column(name, "categorical", reason, None, None, different, common)
    if words < 1.5 and different == len(texts) and _ID.search(name):
        return Column(name, "identifier", "an id that differs in every row", different=different)
    reason = f"{words:.1f} words a cell, {different} different in {len(texts)}"
    return Column(name, "text", reason, None, None, different, common)


def _all_numbers(parts: list[str]) -> bool:
    numbers, wrong = as_number(pa.array(parts))
    return not wrong.any() and not bool(np.isnan(numbers).any())
