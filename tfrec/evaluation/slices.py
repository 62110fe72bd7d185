"""Parts of the question that a single mean hides: cold items, modalities, activity."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tfrec.evaluation.compressed_rows import CompressedRows
from tfrec.evaluation.held_out import HeldOut
from tfrec.evaluation.rankings import CandidateSet

__all__ = ["Part", "parts_of"]

# Upper ends of the users' numbers of past events, in groups that people speak of.
_ACTIVITY = (
    (0, 0, "no history"),
    (1, 9, "1 to 9"),
    (10, 49, "10 to 49"),
    (50, 10**9, "50 or more"),
)


@dataclass(frozen=True)
class Part:
    """A slice before it is measured.

    Attributes:
        name, title, group: As in `figures.Slice`.
        ranked: Which candidates compete.
        relevant: What is to be found, a row a user; empty rows are users outside the slice.
        full: Whether every metric at every k is worth measuring.
    """

    name: str
    title: str
    group: str
    ranked: CandidateSet
    relevant: CompressedRows
    full: bool = False


def parts_of(
    held_out: HeldOut, modalities: Mapping[str, NDArray[np.bool_]] | None = None
) -> Iterator[Part]:
    """Slices that the data has: each non-empty, and none that is the whole again.

    Args:
        held_out: The question.
        modalities: Presence by item feature, bool [N]; those of the item table unless given.

    Yields:
        The whole catalogue first.
    """
    relevant, warm = held_out.relevant, held_out.warm
    title = "the whole catalogue" if held_out.candidates is None else "the given candidates"
    yield Part("all", title, "whole", "all", relevant, full=True)
    if 0 < warm[held_out.listed].sum() < len(held_out.listed):
        parts = (
            ("warm", "items with behaviour, among themselves", "warm", warm, True),
            ("cold", "new items, among themselves", "cold", ~warm, True),
            ("warm in all", "items with behaviour, among all", "all", warm, False),
            ("cold in all", "new items, among all", "all", ~warm, False),
        )
        for name, title, ranked, allowed, full in parts:
            kept = relevant.keep(allowed)
            if len(kept.indices):
                yield Part(name, title, "warm and cold", _which(ranked), kept, full)
    events = np.diff(held_out.past.offsets)
    for low, high, title in _ACTIVITY:
        inside = (events >= low) & (events <= high)
        if inside.any() and not inside.all():
            rows = np.where(inside, np.arange(len(events)), -1)
            kept = relevant.take(rows)
            yield Part(
                f"history {title}",
                f"users with {title} past events" if low else "users without any past",
                "user activity",
                "all",
                kept,
            )
    present = held_out.items.present if modalities is None else modalities
    for name, flags in present.items():
        for allowed, word in ((flags, "with"), (~flags, "without")):
            kept = relevant.keep(allowed)
            if len(kept.indices) and len(kept.indices) < len(relevant.indices):
                title = f"items {word} {name}"
                yield Part(f"{word} {name}", title, "modality", "all", kept)


def _which(name: str) -> CandidateSet:
    return "warm" if name == "warm" else "cold" if name == "cold" else "all"
