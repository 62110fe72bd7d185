"""See to it that items without behaviour are shown at all: a share of the places in lists."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from tfrec.model import NewItemsView
from tfrec.model.parts import NEWNESS
from tfrec.training.spreading import some_rows, spread_of
from tfrec.training.validation import Validation

__all__ = ["raise_new_items", "smallest_boost"]

Array = npt.NDArray[np.float32]

# Places in a list that are shared.
PLACES = 20
_USERS = 2_000
_HALVINGS = 40


def smallest_boost(known: Array, new: Array, share: float) -> float:
    """The least constant on new items' scores that gives them a share of the places.

    Args:
        known: float32 [users, k], scores of each user's k best known items, descending.
        new: float32 [users, n], likewise of new items.
        share: Of the k places; what n allows at most.

    Returns:
        At least 0.
    """
    places = known.shape[1]

    def taken(boost: float) -> float:
        # The j-th best new item has a place when it beats the known item that it would push out.
        depth = min(places, new.shape[1])
        pushed = known[:, ::-1][:, :depth]
        return float((new[:, :depth] + np.float32(boost) > pushed).sum(1).mean()) / places

    wanted = min(share, min(places, new.shape[1]) / places)
    if taken(0.0) >= wanted:
        return 0.0
    low, high = 0.0, float(known.max() - new[np.isfinite(new)].min()) + 1e-3
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if taken(middle) >= wanted else (middle, high)
    return high


def raise_new_items(
    queries: Array,
    vectors: Array,
    warm: npt.NDArray[np.bool_],
    validation: Validation,
    share: float,
    say: Callable[[str], None],
) -> NewItemsView | None:
    """Fits the term on the lists of validation's users.

    Args:
        queries: float32 [users, D], the other views' joined query vectors.
        vectors: float32 [N, D], theirs of items.
        warm: bool [N], which items have behaviour.
        validation: The users, and what they had seen.
        share: Of the places in lists of 20 that new items should have at least, as far as they are
            that share of the catalogue.
        say: Takes one line.

    Returns:
        The view, or None where new items have their share, or there are none.
    """
    new = np.flatnonzero(~warm)
    wanted = min(share, len(new) / max(len(warm), 1))
    rows = some_rows(np.arange(len(queries)), _USERS)
    if not len(new) or not len(rows) or warm.sum() < PLACES:
        return None

    def best(candidates: npt.NDArray[np.int64]) -> Array:
        k = min(PLACES, len(candidates))
        return validation.best(queries[rows], vectors, k, candidates=candidates, rows=rows).scores

    known, others = best(np.flatnonzero(warm)), best(new)
    boost = smallest_boost(known, others, wanted)
    told = f"new items: {len(new):,} without behaviour"
    if not boost:
        say(f"{told} have {wanted:.1%} of the places in lists of {PLACES}, or more, as they are")
        return None
    unit, length = spread_of(queries, vectors, rows)
    say(f"{told}, raised by {boost / unit:.2g} spreads to {wanted:.1%} of lists of {PLACES}")
    view = NewItemsView(name=NEWNESS)
    # The column spreads as other scores do, so that an index sees it as they are seen.
    view.set(boost=boost * length / unit, height=unit / length)
    return view
