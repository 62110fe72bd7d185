"""Real users and real items: lists with pictures, and the misses that hurt most."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray

from tfrec.evaluation.held_out import HeldOut
from tfrec.evaluation.media import ItemMedia

__all__ = ["misses", "users"]

_SHOWN = 8
_USERS = 6
_MISSES = 12
_MISS_DEPTH = 20


def users(held_out: HeldOut, lists: NDArray[np.int32], media: ItemMedia) -> str:
    """Some users' latest history beside their list, hits marked.

    Half of them are the users served best, the other half are spread over all: neither a shop
    window nor a scandal sheet.

    Args:
        held_out: The question.
        lists: The model's, over the whole catalogue, int32 [U, depth].
        media: Names and pictures.
    """
    hits = held_out.relevant.contains(lists[:, :_SHOWN])
    best = np.argsort(-hits.sum(axis=1), kind="stable")[: _USERS // 2]
    spread = np.linspace(0, len(held_out) - 1, _USERS).astype(int)
    chosen = list(dict.fromkeys([*best.tolist(), *spread.tolist()]))[:_USERS]
    parts = []
    for user in chosen:
        past = held_out.past
        own = slice(past.offsets[user], past.offsets[user + 1])
        liked = past.item_index[own][past.label[own] > 0][-_SHOWN:][::-1]
        found = int(hits[user].sum())
        name = escape(str(held_out.targets.user_ids[user]))
        wanted = len(held_out.relevant[user])
        parts.append(
            f'<div class="user"><h3>User {name}: {found} of {wanted} found in the first'
            f" {_SHOWN}</h3>"
            f'<p class="soft">Liked last</p>{_items(liked, media) or "<p>Nothing yet.</p>"}'
            f'<p class="soft">Recommended</p>'
            f"{_items(lists[user, :_SHOWN], media, hits[user])}</div>"
        )
    return "".join(parts)


def misses(held_out: HeldOut, lists: NDArray[np.int32], media: ItemMedia) -> str:
    """Items that the most users went on to like without being shown them in the top 20."""
    relevant = held_out.relevant
    wanted = np.bincount(relevant.indices, minlength=len(held_out.items))
    hits = relevant.contains(lists[:, :_MISS_DEPTH])
    shown = np.bincount(lists[:, :_MISS_DEPTH][hits], minlength=len(held_out.items))
    missed = wanted - shown
    worst = [item for item in np.argsort(-missed, kind="stable")[:_MISSES] if missed[item] > 0]
    notes = [
        f"missed {missed[item]:,} of {wanted[item]:,}; {held_out.items.train_count[item]:,} in"
        " training"
        for item in worst
    ]
    return _items(worst, media, notes=notes)


def _items(
    items: Sequence[int] | NDArray[np.integer],
    media: ItemMedia,
    hits: NDArray[np.bool_] | None = None,
    notes: Sequence[str] | None = None,
) -> str:
    cells = []
    for place, item in enumerate(items):
        if item < 0:
            continue
        hit = hits is not None and bool(hits[place])
        name = escape(str(media.names[item]))
        address = media.thumbnail(int(item))
        picture = (
            f'<img src="{address}" alt="">'
            if address
            else ('<span class="none"></span>' if media.pictures is not None else "")
        )
        mark = ' <span class="mark">✓ found</span>' if hit else ""
        note = f'<br><span class="soft">{escape(notes[place])}</span>' if notes else ""
        cells.append(f"<li{' class=hit' if hit else ''}>{picture}{name}{mark}{note}</li>")
    return f'<ul class="items">{"".join(cells)}</ul>' if cells else ""
