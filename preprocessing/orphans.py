"""Find out why items of interactions or comments are not in the catalogue."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

from preprocessing.spilling import read_table

__all__ = ["explain_orphans"]

_LOOKED_AT = 2000
# Of the ids that are looked at, how many must become known for an explanation to be one.
_CONVINCING = 0.5


def explain_orphans(folder: Path, catalogue: Path) -> str | None:
    """Compares refused ids with the catalogue's.

    Args:
        folder: The folder of refused rows.
        catalogue: The Arrow file of the catalogue's ids.

    Returns:
        A sentence for the remedy, or `None` when nothing stands out.
    """
    refused = _refused_ids(folder)
    if not refused:
        return None
    known = read_table(catalogue).column("id").to_pylist()
    for reason, change in _CHANGES:
        changed = {change(name) for name in known}
        hits = sum(change(name) in changed for name in refused)
        if hits > _CONVINCING * len(refused):
            return f"The ids differ only by {reason}: `{refused[0]}` against `{known[0]}`"
    return f"The catalogue's ids look like `{known[0]}`, these like `{refused[0]}`: make them alike"


def _refused_ids(folder: Path) -> list[str]:
    ids: list[str] = []
    for source in ("interactions", "comments"):
        path = folder / f"{source}.jsonl"
        if not path.is_file():
            continue
        with open(path, encoding="utf-8") as stream:
            for line in stream:
                row = json.loads(line)
                if row["rule"] in ("unknown_item", "orphan_event"):
                    ids.append(row["received"])
                if len(ids) == _LOOKED_AT:
                    return ids
    return ids


def _without_zeros(name: str) -> str:
    return name.lstrip("0") or "0"


def _alphanumeric(name: str) -> str:
    return "".join(letter for letter in name if letter.isalnum())


def _number(name: str) -> str:
    found = re.fullmatch(r"\D*0*([0-9]+)", name)
    return found[1] if found else name


_CHANGES: tuple[tuple[str, Callable[[str], str]], ...] = (
    ("leading zeros", _without_zeros),
    ("upper and lower case", str.casefold),
    ("punctuation or spaces", _alphanumeric),
    ("what comes before the number", _number),
)
