"""Choose on the validation part how much popularity counts, and how fast it is forgotten."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tfrec.input import Timelines
from tfrec.input.inputs import HISTORY, SECONDS_A_DAY, Array
from tfrec.model import PopularityView
from tfrec.training.spreading import some_rows, spread_of
from tfrec.training.validation import Validation

__all__ = ["as_newcomers", "choose_popularity", "recent_popularity"]

Vectors = npt.NDArray[np.float32]

# Half-lives, as shares of the time that the train part spans.
SHARES = (math.inf, 1 / 4, 1 / 16, 1 / 64, 1 / 256)
# Spread of the term's scores beside that of the other views' scores.
WEIGHTS = (1 / 4, 1 / 2, 1.0, 2.0, 4.0, 8.0)
# So many users without a past must be there to speak for newcomers; else others do, their past
# hidden.
MIN_NEWCOMERS = 30
# A gain must be this share of what is there, and more than its own standard error.
MIN_GAIN = 0.004
_MAX_USERS, _MIN_USERS, _MAX_SCORES = 2_000, 200, 500_000_000


@dataclass(frozen=True)
class _Choice:
    """For one kind of user: half-life in days, weight, and what validation said of it."""

    half_life: float
    weight: float
    before: float
    after: float
    users: int

    def __str__(self) -> str:
        if not self.weight:
            return f"none, {self.before:.4f} on {self.users:,}"
        days = f"{self.half_life:,.0f}" if self.half_life >= 10 else f"{self.half_life:.2g}"
        faded = "of all time" if math.isinf(self.half_life) else f"half-life {days} days"
        return (
            f"weight {self.weight:g}, {faded}, {self.before:.4f} -> {self.after:.4f} on"
            f" {self.users:,}"
        )


def recent_popularity(
    train: Timelines, items: int, half_lives: Sequence[float]
) -> npt.NDArray[np.float32]:
    """How popular items are at the end of the train part.

    Args:
        train: The train part.
        items: N.
        half_lives: Days after which a positive counts half; infinity forgets nothing.

    Returns:
        float32 [N, half-lives]: `log(1 + sum / mean sum)` of items with a positive, divided by its
        deviation over them; 0 for the rest.
    """
    liked = train.positives()
    age = (liked.timestamp.max(initial=0) - liked.timestamp) / SECONDS_A_DAY
    met = np.bincount(liked.item_index, minlength=items) > 0
    columns = np.zeros((items, len(half_lives)), np.float32)
    for place, days in enumerate(half_lives):
        sums = np.bincount(liked.item_index, np.exp2(-age / days), minlength=items)
        some = np.log1p(sums[met] / max(sums[met].mean(), 1e-30)) if met.any() else sums[met]
        deviation = some.std() if len(some) else 0.0
        if deviation > 0:
            columns[met, place] = some / deviation
    return columns


def as_newcomers(inputs: dict[str, Array]) -> dict[str, Array]:
    """Inputs of the query tower as if nothing were known of the users' past and of their ids."""
    hidden = {
        name: np.full_like(value, -1) if name in (HISTORY, "user_index") else np.zeros_like(value)
        for name, value in inputs.items()
        if name.startswith(HISTORY) or name == "user_index"
    }
    return {**inputs, **hidden}


def choose_popularity(
    train: Timelines,
    validation: Validation,
    embed: Callable[[dict[str, Array]], Vectors],
    vectors: Vectors,
    metric: str,
    say: Callable[[str], None],
) -> PopularityView | None:
    """Fits the term beside the other views.

    Users without a history and others are asked apart. Where too few have none, all are asked once
    more as if they had none.

    Args:
        train: The train part.
        validation: The measure; it chooses, nothing is counted in it.
        embed: From the inputs of users to the other views' joined query vectors.
        vectors: float32 [N, D], theirs of items.
        metric: Of the validation.
        say: Takes one line.

    Returns:
        The view, or None where popularity adds nothing.
    """
    items = len(vectors)
    liked = train.timestamp[train.positive]
    span = float(np.ptp(liked)) / SECONDS_A_DAY if len(liked) else 0.0
    half_lives = [share * span for share in SHARES] if span > 0 else [math.inf]
    columns = recent_popularity(train, items, half_lives)
    most = int(min(_MAX_USERS, max(_MIN_USERS, _MAX_SCORES // max(items, 1))))
    events = validation.history_lengths
    known = some_rows(np.flatnonzero(events > 0), most)
    new = some_rows(np.flatnonzero(events == 0), most)
    queries = embed(validation.inputs)
    hidden = queries
    if len(new) < MIN_NEWCOMERS:
        hidden, new = (
            embed(as_newcomers(validation.inputs)),
            some_rows(np.arange(len(events)), most),
        )
    unit, length = spread_of(queries, vectors, known)

    # One buffer: of millions of items a copy for each trial would be felt.
    both = np.hstack([vectors, columns[:, :1]])

    def choose(queries: Vectors, rows: npt.NDArray[np.int64], heed: Vectors) -> _Choice:
        def values(place: int, weight: float) -> npt.NDArray[np.float64]:
            term = np.float32(weight * unit) * heed[rows, None]
            both[:, -1] = columns[:, place]
            return validation.values(np.hstack([queries[rows], term]), both, metric, rows)

        return _choose(values, half_lives)

    newcomer = choose(hidden, new, np.ones(len(events), np.float32))
    heed = (1.0 / np.sqrt(1.0 + events)).astype(np.float32)
    others = choose(queries, known, heed)
    say(f"popularity: for users without a history {newcomer}; with one {others} users")
    if not newcomer.weight and not others.weight:
        return None
    view = PopularityView(items=items, name="popularity")
    places = [half_lives.index(one.half_life) for one in (newcomer, others)]
    # An item's column spreads as its other scores do, so that an index sees it as they are seen.
    view.set(
        columns[:, places] * np.float32(unit / length),
        newcomer=newcomer.weight * length,
        known=others.weight * length,
    )
    return view


def _choose(
    values: Callable[[int, float], npt.NDArray[np.float64]], half_lives: Sequence[float]
) -> _Choice:
    """The half-life at weight 1, then the weight, unless none is as good."""
    before = values(0, 0.0)
    if not len(before):
        return _Choice(half_lives[0], 0.0, 0.0, 0.0, 0)
    place = max(range(len(half_lives)), key=lambda at: float(values(at, 1.0).mean()))
    tried = {weight: values(place, weight) for weight in WEIGHTS}
    weight = max(tried, key=lambda one: float(tried[one].mean()))
    gain = tried[weight] - before
    error = float(gain.std() / math.sqrt(len(gain)))
    enough = gain.mean() > max(error, MIN_GAIN * float(before.mean()))
    return _Choice(
        half_lives[place],
        weight if enough else 0.0,
        float(before.mean()),
        float(tried[weight].mean()),
        len(before),
    )
