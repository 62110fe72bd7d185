"""Applies every rule."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tfrec.evaluation.audit import answers, comments, fitted, parts
from tfrec.evaluation.audit.audited import Audited
from tfrec.evaluation.audit.finding import Finding
from tfrec.evaluation.compressed_rows import CompressedRows
from tfrec.evaluation.held_out import HeldOut

__all__ = ["audit"]


def audit(
    data: Audited,
    held_out: HeldOut,
    lists: NDArray[np.integer],
    *,
    seen: CompressedRows | None = None,
    data_root: str | Path | None = None,
) -> Iterator[Finding]:
    """Applies the rules, the cheap ones first.

    Args:
        data: The prepared data.
        held_out: The question that the run was asked.
        lists: What it answered, integers [users of the question, k].
        seen: What each user had met; computed again from the parts unless given.
        data_root: Folder of the raw files; without it what needs them is skipped.

    Yields:
        A finding a rule.

    Raises:
        DataError: The raw files are missing or unreadable.
    """
    yield parts.records(data)
    yield parts.disjoint(data)
    yield parts.order(data)
    yield parts.time_travel(data)
    yield parts.identical_users(data)
    yield fitted.ids(data)
    yield fitted.item_statistics(data)
    yield fitted.vocabularies(data)
    yield fitted.moments(data)
    table = None
    if data.manifest.dataset.comments is not None and data_root is not None:
        table = comments.read_comments(data, data_root)
    yield comments.comments(data, table)
    yield comments.event_sentiment(data, table)
    yield answers.targets(held_out)
    users = held_out.targets.user_index
    yield answers.seen_items(data, users, lists, _seen(data, held_out) if seen is None else seen)
    yield answers.near_duplicates(data)


def _seen(data: Audited, held_out: HeldOut) -> CompressedRows:
    """Read off the parts again, not taken from the evaluation that is audited."""
    names = ("train", "validation") if held_out.split == "test" else ("train",)
    users = held_out.targets.user_index
    rows, items = [], []
    place = {int(user): row for row, user in enumerate(users)}
    for name in names:
        part = data.parts[name]  # type: ignore[index]
        owner = np.array([place.get(int(user), -1) for user in part.user_index], np.int64)
        row = owner[part.rows]
        rows.append(row[row >= 0])
        items.append(part.item_index[row >= 0])
    return CompressedRows.from_pairs(np.concatenate(rows), np.concatenate(items), rows=len(users))
