"""Rules on what a run answers: nothing seen, nothing twice, and no old item in disguise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tfrec.baselines import content_matrix, has_content
from tfrec.evaluation.audit.audited import Audited
from tfrec.evaluation.audit.finding import Finding, fault, ok, skipped, warning
from tfrec.evaluation.compressed_rows import CompressedRows
from tfrec.evaluation.held_out import HeldOut
from tfrec.evaluation.top_k import top_k

__all__ = ["near_duplicates", "seen_items", "targets"]

_ALIKE = 0.999


def seen_items(
    data: Audited, users: NDArray[np.integer], lists: NDArray[np.integer], seen: CompressedRows
) -> Finding:
    """No list holds an item of the user's past, or an item twice.

    Args:
        data: The data.
        users: Index of each list's user.
        lists: Integers [lists, k], -1 after the end.
        seen: The items of their pasts.
    """
    rule = "seen items"
    wrong = np.argwhere(seen.contains(lists))
    names = {int(i): str(u) for p in data.parts.values() for i, u in zip(p.user_index, p.user_ids,
                                                                          strict=True)}  # fmt: skip
    if len(wrong):
        row, place = wrong[0]
        return fault(
            rule,
            f"{len(wrong):,} places recommend what the user had met, first"
            f" {data.items.ids[lists[row, place]]!r} at rank {place + 1} for user"
            f" {names[int(users[row])]!r}",
        )
    ordered = np.sort(lists, axis=1)
    twice = ((ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0)).any(axis=1)
    if twice.any():
        user = names[int(users[int(twice.argmax())])]
        return fault(rule, f"{int(twice.sum()):,} lists hold an item twice, first user {user!r}")
    return ok(rule, f"{len(lists):,} lists of up to {lists.shape[1]} hold nothing seen")


def targets(held_out: HeldOut) -> Finding:
    """Nothing that counts as a hit was known before."""
    rule = "targets"
    both = held_out.relevant.without(held_out.seen)
    if len(both.indices) != len(held_out.relevant.indices):
        known = len(held_out.relevant.indices) - len(both.indices)
        return fault(rule, f"{known:,} relevant items are in their user's past")
    return ok(rule, f"{len(both.indices):,} relevant items, none in its user's past")


def near_duplicates(data: Audited) -> Finding:
    """No item without behaviour is the copy of one with it: it would only seem new.

    Compares texts, embeddings and encodings by cosine.
    """
    rule = "near-duplicate items"
    named = {
        name: flags
        for name, flags in data.items.present.items()
        if name in data.items.encoded or data.items.specs[name].modality in ("text", "embedding")
    }
    items = replace(data.items, present=named)
    cold, warm = np.flatnonzero(~items.warm), np.flatnonzero(items.warm)
    if not len(cold) or not len(warm):
        return skipped(rule, "the catalogue is not of both new and known items")
    if not named or not has_content(items):
        return skipped(rule, "no text, embedding or encoding to compare items by")
    content = content_matrix(items)
    length = np.linalg.norm(content, axis=1)
    cold, warm = cold[length[cold] > 0], warm[length[warm] > 0]
    unit = content / np.maximum(length, 1e-6)[:, None]
    nearest = top_k(unit[cold], unit[warm], 1)
    alike = np.flatnonzero(nearest.scores[:, 0] >= _ALIKE)
    if len(alike):
        one, other = cold[alike[0]], warm[nearest.items[alike[0], 0]]
        return warning(
            rule,
            f"{len(alike):,} of {len(cold):,} new items equal a known one, first"
            f" {items.ids[one]!r} and {items.ids[other]!r}",
        )
    return ok(rule, f"none of {len(cold):,} new items equals a known one")
