"""Work on the sorted events of one partition: order, duplicates, and comments that belong to them.

Everything here is arrays of equal length, one entry an event, sorted by user and then by time.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["attach_sentiment", "exact_duplicates", "repeats", "sort_order"]

Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
_NEVER = np.iinfo(np.int64).max


def sort_order(users: Ints, times: Ints) -> Ints:
    """The order by user, then time, then as it was.

    Example:
        >>> sort_order(np.array([1, 0, 1]), np.array([5, 9, 3])).tolist()
        [1, 2, 0]
    """
    if len(users) == 0:
        return np.zeros(0, np.int64)
    span = int(times.max() - times.min()) + 1
    if (int(users.max()) + 1) * span < 1 << 62:
        # One key sorts twice as fast as two.
        return np.argsort(users * span + (times - times.min()), kind="stable")
    return np.lexsort((times, users))


def exact_duplicates(users: Ints, times: Ints, items: Ints, events: Ints) -> Mask:
    """Events that repeat an earlier row in user, time, item and type.

    Example:
        >>> one = np.array([1, 1, 1])
        >>> exact_duplicates(one, one, np.array([7, 8, 7]), one).tolist()
        [False, False, True]
    """
    duplicate = np.zeros(len(users), bool)
    same = (users[1:] == users[:-1]) & (times[1:] == times[:-1])
    if not same.any():
        return duplicate
    tied = np.flatnonzero(np.append(same, False) | np.insert(same, 0, False))
    order = tied[np.lexsort((tied, events[tied], items[tied], times[tied], users[tied]))]
    first, second = order[:-1], order[1:]
    equal = (
        (users[first] == users[second])
        & (times[first] == times[second])
        & (items[first] == items[second])
        & (events[first] == events[second])
    )
    duplicate[second[equal]] = True
    return duplicate


def repeats(users: Ints, items: Ints, events: Ints, parts: Ints, *, keep_last: bool) -> Mask:
    """Events of which another one of the same user, item, type and part is kept.

    Args:
        users: Of each event.
        items: Likewise.
        events: Its type.
        parts: The part of each; zeros compare across parts.
        keep_last: Whether the last one is kept, otherwise the first.

    Example:
        >>> one = np.array([1, 1])
        >>> repeats(one, one, one, np.zeros(2, int), keep_last=True).tolist()
        [True, False]
    """
    places = np.arange(len(users))
    order = np.lexsort((-places if keep_last else places, events, items, parts, users))
    first, second = order[:-1], order[1:]
    equal = (
        (users[first] == users[second])
        & (parts[first] == parts[second])
        & (items[first] == items[second])
        & (events[first] == events[second])
    )
    repeated = np.zeros(len(users), bool)
    repeated[second[equal]] = True
    return repeated


def attach_sentiment(
    events: tuple[Ints, Ints, Ints, Ints],
    comments: tuple[Ints, Ints, Ints, npt.NDArray[np.float32]],
    ends: tuple[Ints, Ints],
) -> npt.NDArray[np.float32]:
    """The mean sentiment of the comments that belong to each event, 0 without one.

    A comment belongs to the last event of the same user and item at or before it, if it was written
    before the user's next event and within the event's own part: what comes later may not be known.

    Args:
        events: User, item, time and part of each event, sorted by user and time.
        comments: User, item, time and sentiment of each comment, in any order.
        ends: Last moments of each user's train part, and of all before test.

    Example:
        >>> one = np.zeros(1, int)
        >>> events = (one, one + 7, one + 100, one)
        >>> comments = (one, one + 7, one + 105, np.float32([0.5]))
        >>> attach_sentiment(events, comments, (one + 200, one + 200)).tolist()
        [0.5]
    """
    users, items, times, parts = events
    authors, subjects, moments, scores = comments
    sums, counts = np.zeros(len(users)), np.zeros(len(users))
    if len(authors) == 0 or len(users) == 0:
        return sums.astype(np.float32)
    until = _valid_until(users, times, parts, ends)
    is_comment = np.repeat([0, 1], [len(users), len(authors)])
    user, item = np.concatenate([users, authors]), np.concatenate([items, subjects])
    order = np.lexsort((is_comment, np.concatenate([times, moments]), item, user))
    latest = np.maximum.accumulate(np.where(is_comment[order] == 0, np.arange(len(order)), -1))
    wanted = np.flatnonzero((is_comment[order] == 1) & (latest >= 0))
    event, comment = order[latest[wanted]], order[wanted] - len(users)
    belongs = (
        (users[event] == authors[comment])
        & (items[event] == subjects[comment])
        & (moments[comment] <= until[event])
    )
    np.add.at(sums, event[belongs], scores[comment[belongs]])
    np.add.at(counts, event[belongs], 1)
    return (sums / np.maximum(counts, 1)).astype(np.float32)


def _valid_until(users: Ints, times: Ints, parts: Ints, ends: tuple[Ints, Ints]) -> Ints:
    """The last moment at which a comment on each event still counts for it."""
    until = np.full(len(users), _NEVER, np.int64)
    for part in range(3):
        # Later parts are hidden, so that nothing of a train event depends on them.
        seen = np.flatnonzero(parts <= part)
        following = _next_later(users[seen], times[seen]) - 1
        if part < 2:
            following = np.minimum(following, ends[part][users[seen]])
        own = parts[seen] == part
        until[seen[own]] = following[own]
    return until


def _next_later(users: Ints, times: Ints) -> Ints:
    """When each user's next event at a later moment is."""
    if len(users) == 0:
        return np.zeros(0, np.int64)
    starts = np.flatnonzero(
        np.insert((users[1:] != users[:-1]) | (times[1:] != times[:-1]), 0, True)
    )
    following = np.full(len(starts), _NEVER, np.int64)
    same_user = users[starts[1:]] == users[starts[:-1]]
    following[:-1][same_user] = times[starts[1:]][same_user]
    return np.repeat(following, np.diff(np.append(starts, len(users))))
