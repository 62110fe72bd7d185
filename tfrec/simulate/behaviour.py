"""Who listens to what, when, and how it ends.

1. When: each listener joins (four of five at the start), has as many events as his activity (log
   normal) makes likely, in sessions of about five, mostly in the evening.
2. What is on offer: `SLICES` slices of time hold equally many events. Within one, a listener meets
   the songs that were released before his first event of the slice.
3. Which: without replacement, with probability proportional to
   `popularity(i) * novelty(i, t) * exp(CHOICE * affinity(u, i, t))`; one event in eight repeats
   one of the listener's earlier songs instead. Sampling is by exponential races: the k smallest
   of `E / weight`, E standard exponential, are k draws without replacement.
4. How it ends: the higher the affinity, the rarer a skip, the more frequent a like or a share.

Releases make cold items: `cold_fraction` of the songs come out within the test part of the default
split (the last tenth of the events), and each is given an event there; others come out in the first
60 % of the span, most of them at its start.

Worked through: a listener whose affinity to a song is 2 (they mostly choose what suits them) skips
it with probability sigmoid(1.2 - 2.8) = 0.17; otherwise likes it with sigmoid(-3.5 + 3) = 0.38.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from tfrec.simulate.streams import stream
from tfrec.simulate.vocabulary import DEVICES, EVENTS
from tfrec.simulate.world import Floats, World

__all__ = ["FIRST_MOMENT", "Behaviour", "outcome_probabilities", "simulate_behaviour"]

Ints = npt.NDArray[np.int64]

FIRST_MOMENT = 1_704_067_200  # 2024-01-01T00:00:00Z
DAY = 86_400
SLICES = 40
CHOICE = 2.6
REPEATS = 0.125
# Bounds the memory of a step whatever the size of the service.
PAIRS_AT_ONCE = 4_000_000
# Plays by hour of the day, relative.
_HOURS = np.array([2, 1, 1, 1, 1, 1, 2, 4, 5, 4, 4, 4, 5, 5, 4, 4, 5, 6, 8, 9, 9, 8, 6, 4], float)


@dataclass(frozen=True)
class Behaviour:
    """The events of the whole service in time order, as parallel arrays of length E.

    Attributes:
        user, item: int64, positions in the world.
        timestamp: int64 Unix seconds, never falling; a user's own are strictly rising.
        event: int64, position in `vocabulary.EVENTS`.
        seconds: float64, how long the song was listened to.
        device: int64, position in `vocabulary.DEVICES`.
        affinity: float32, the true one at that moment.
        release: int64 [items], Unix seconds of the release; the span's start for the old ones.
        cold: bool [items], whether it is released within the test part.
    """

    user: Ints
    item: Ints
    timestamp: Ints
    event: Ints
    seconds: npt.NDArray[np.float64]
    device: Ints
    affinity: Floats
    release: Ints
    cold: npt.NDArray[np.bool_]


def outcome_probabilities(affinity: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Probabilities of how a play ends, in the order of `vocabulary.EVENTS`.

    Args:
        affinity: Any shape; of unit variance over all pairs.

    Returns:
        float64 [..., 4], each row of sum 1.

    Example:
        >>> outcome_probabilities(np.array(1.0)).round(3).tolist()
        [0.476, 0.066, 0.45, 0.009]
    """
    skip = _sigmoid(1.2 - 1.4 * affinity)
    like = (1 - skip) * _sigmoid(-3.5 + 1.5 * affinity)
    share = (1 - skip - like) * _sigmoid(-5.5 + 1.5 * affinity)
    return np.stack([1 - skip - like - share, like, skip, share], axis=-1)


def simulate_behaviour(world: World, report: Callable[[int, int], None]) -> Behaviour:
    """Draws every event of the service.

    Args:
        world: The hidden state.
        report: Called with slices done and slices in all.
    """
    seed = world.config.seed
    user, timestamp = _calendar(world)
    release, cold = _releases(world, timestamp)
    item, affinity = _choices(world, user, timestamp, release, report)
    _meet_every_cold_item(world, user, timestamp, release, cold, item, affinity)
    rng = stream(seed, "outcomes")
    event = _draw(outcome_probabilities(affinity), rng)
    length = stream(seed, "length").uniform(120, 300, world.config.items)[item]
    heard = rng.uniform(0.55, 1.0, len(item))
    heard = np.where(event == EVENTS.index("skip"), rng.uniform(0.02, 0.3, len(item)), heard)
    own = stream(seed, "device").dirichlet(np.full(len(DEVICES), 0.5), world.config.users)
    return Behaviour(
        user=user,
        item=item,
        timestamp=timestamp,
        event=event,
        seconds=np.round(heard * length, 1),
        device=_draw(own[user], rng),
        affinity=affinity,
        release=release,
        cold=cold,
    )


def _calendar(world: World) -> tuple[Ints, Ints]:
    """User and time of each event, sorted by time."""
    config = world.config
    rng = stream(config.seed, "calendar")
    span = config.days * DAY
    joined = np.where(rng.random(config.users) < 0.8, 0.0, rng.uniform(0, 0.95, config.users))
    activity = rng.lognormal(0.0, 0.8, config.users) * (1 - joined)
    # A song is hardly ever repeated, so nobody may need more than half of the catalogue.
    ceiling = np.maximum(config.items // 2 * activity.sum() / config.event_count, activity.mean())
    activity = np.minimum(activity, ceiling)
    # Two events for everyone, the rest by activity.
    extra = rng.choice(
        config.users, config.event_count - 2 * config.users, p=activity / activity.sum()
    )
    user = np.sort(np.concatenate([np.repeat(np.arange(config.users), 2), extra]))
    count = np.bincount(user, minlength=config.users)
    sessions = -(-count // 5)
    offset = np.concatenate([[0], np.cumsum(sessions)[:-1]])
    owner = np.repeat(np.arange(config.users), sessions)
    first_day = joined[owner] * config.days
    day = np.floor(first_day + (config.days - first_day) * rng.random(len(owner)))
    hour = rng.choice(24, len(owner), p=_HOURS / _HOURS.sum())
    start = day * DAY + hour * 3600 + rng.integers(0, 3600, len(owner))
    session = offset[user] + rng.integers(0, sessions[user])
    place = np.minimum(start[session] + rng.integers(0, 2_400, len(user)), span - 1)
    timestamp = FIRST_MOMENT + place.astype(np.int64)
    # Nobody starts two songs within the same 40 seconds.
    order = np.lexsort((timestamp, user))
    user, timestamp = user[order], timestamp[order]
    step = np.arange(len(user)) * 40
    # Listeners far apart, so that a running maximum never reaches from one into the next.
    apart = user * (2 * span + 40 * config.event_count)
    timestamp = np.maximum.accumulate(timestamp - step + apart) + step - apart
    order = np.argsort(timestamp, kind="stable")
    return user[order], timestamp[order]


def _releases(world: World, timestamp: Ints) -> tuple[Ints, npt.NDArray[np.bool_]]:
    config = world.config
    rng = stream(config.seed, "releases")
    events = len(timestamp)
    order = rng.permutation(config.items)
    count = round(config.cold_fraction * config.items)
    cold = np.zeros(config.items, bool)
    cold[order[:count]] = True
    later = order[count : count + config.items // 5]
    release = np.full(config.items, timestamp[0])
    release[later] = timestamp[(rng.uniform(0.02, 0.6, len(later)) * events).astype(int)]
    # Only after the cut: rows that a reader refuses may shift it by a few places.
    release[cold] = timestamp[(rng.uniform(0.905, 0.95, count) * events).astype(int)]
    return release, cold


def _choices(
    world: World,
    user: Ints,
    timestamp: Ints,
    release: Ints,
    report: Callable[[int, int], None],
) -> tuple[Ints, Floats]:
    config = world.config
    rng, again_rng = stream(config.seed, "choices"), stream(config.seed, "repeats")
    item = np.empty(len(user), np.int64)
    affinity = np.empty(len(user), np.float32)
    heard = np.zeros((config.users, config.items), bool)
    edges = np.linspace(0, len(user), SLICES + 1).astype(int)
    repeated = again_rng.random(len(user)) < REPEATS
    width = max(1, PAIRS_AT_ONCE // config.items)
    for number, (low, high) in enumerate(pairwise(edges.tolist())):
        moment = (low + high) / 2 / len(user)
        # By listener, then time, so that a listener's events lie together.
        order = low + np.argsort(user[low:high], kind="stable")
        active, start = np.unique(user[order], return_index=True)
        start = np.append(start, len(order))
        for first in range(0, len(active), width):
            own = active[first : first + width]
            last = first + len(own)
            rows = order[start[first] : start[last]]
            owner = np.repeat(np.arange(len(own)), np.diff(start[first : last + 1]))
            nth = np.arange(len(rows)) - (start[first:last] - start[first])[owner]
            values = world.affinity(own, moment)
            age = (timestamp[order[start[first:last]], None] - release) / DAY
            race = _race(world, values, age, release > timestamp[0], rng)
            race[heard[own]] = np.inf
            draws = _smallest(race, int(nth.max()) + 1)
            # The n-th event of a listener in this slice takes the n-th of his draws.
            chosen = draws[owner, nth]
            again = repeated[rows] | np.isinf(race[owner, chosen])
            _repeat(again_rng, heard, own[owner], again, chosen)
            item[rows] = chosen
            affinity[rows] = values[owner, chosen]
            heard[own[owner], chosen] = True
        report(number + 1, SLICES)
    return item, affinity


def _race(
    world: World,
    affinity: Floats,
    age: npt.NDArray[np.float64],
    later: npt.NDArray[np.bool_],
    rng: np.random.Generator,
) -> Floats:
    """Finishing times of every song for each listener; infinite before its release."""
    novelty = np.where(later, 1.5 * np.exp(-np.maximum(age, 0) / 14), 0).astype(np.float32)
    logit = CHOICE * affinity + world.log_popularity + novelty
    logit -= logit.max(axis=1, keepdims=True)
    race = rng.standard_exponential(logit.shape, dtype=np.float32) / np.exp(logit)
    race[age < 0] = np.inf
    return race


def _smallest(values: Floats, count: int) -> Ints:
    """Positions of the `count` smallest of each row, in rising order: int64 [rows, count]."""
    found = np.argpartition(values, min(count, values.shape[1] - 1), axis=1)[:, :count]
    order = np.argsort(np.take_along_axis(values, found, axis=1), axis=1)
    return np.take_along_axis(found, order, axis=1)


def _repeat(
    rng: np.random.Generator,
    heard: npt.NDArray[np.bool_],
    user: Ints,
    again: npt.NDArray[np.bool_],
    chosen: Ints,
) -> None:
    """Replaces choices by songs that the same listener has heard in an earlier slice."""
    for row in np.flatnonzero(again):
        known = np.flatnonzero(heard[user[row]])
        if len(known):
            chosen[row] = rng.choice(known)


def _meet_every_cold_item(
    world: World,
    user: Ints,
    timestamp: Ints,
    release: Ints,
    cold: npt.NDArray[np.bool_],
    item: Ints,
    affinity: Floats,
) -> None:
    """Gives each cold item that nobody chose one event of the listener who would like it best."""
    count = np.bincount(item, minlength=world.config.items)
    for new in np.flatnonzero(cold & (count == 0)):
        rows = np.flatnonzero((timestamp > release[new]) & (count[item] > 2))
        values = world.affinity(user[rows], 1.0)[:, new]
        best = int(np.argmax(values))
        row = rows[best]
        count[item[row]] -= 1
        count[new] += 1
        item[row], affinity[row] = new, values[best]


def _draw(
    probabilities: npt.NDArray[np.float64], rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    """One draw from each row of probabilities [n, k]."""
    edges = np.cumsum(probabilities, axis=1)
    point = rng.random(len(edges)) * edges[:, -1]
    return np.minimum((edges < point[:, None]).sum(axis=1), edges.shape[1] - 1).astype(np.int64)


def _sigmoid(x: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    return np.asarray(1 / (1 + np.exp(-np.asarray(x, np.float64))))
