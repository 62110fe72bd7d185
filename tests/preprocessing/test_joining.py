"""Order, duplicates and the comments of events, against slow and obvious code."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from hypothesis import given, settings
from hypothesis import strategies as st

from preprocessing.joining import attach_sentiment, exact_duplicates, sort_order

Row = tuple[int, int, int]
EVENTS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 6)), max_size=10)
COMMENTS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 8)), max_size=6)


def ints(values: list[int]) -> npt.NDArray[np.int64]:
    return np.asarray(values, np.int64)


@settings(deadline=None)
@given(EVENTS)
def test_exact_duplicates_are_all_but_the_first(rows: list[Row]) -> None:
    rows = sorted(rows, key=lambda row: (row[0], row[2]))
    users, items, times = (ints([row[place] for row in rows]) for place in range(3))
    found = exact_duplicates(users, times, items, np.zeros_like(users))
    assert found.tolist() == [row in rows[:place] for place, row in enumerate(rows)]


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2**40)), max_size=9))
def test_sorting_is_stable(rows: list[tuple[int, int]]) -> None:
    """By one joined key or by two, the order is that of Python's stable sort."""
    users, times = ints([row[0] for row in rows]), ints([row[1] for row in rows])
    expected = sorted(range(len(rows)), key=lambda place: rows[place])
    assert sort_order(users, times).tolist() == expected
    assert sort_order(users * 2**40, times).tolist() == expected


@settings(deadline=None, max_examples=300)
@given(events=EVENTS, comments=COMMENTS, cut=st.integers(0, 7), second=st.integers(0, 3))
def test_sentiment_goes_to_the_event_it_belongs_to(
    events: list[Row], comments: list[Row], cut: int, second: int
) -> None:
    """At or before the comment, of its user and item, nothing else in between, same part."""
    events = sorted(events, key=lambda row: (row[0], row[2]))
    cuts = (cut, cut + second)
    users, items, times = (ints([row[place] for row in events]) for place in range(3))
    parts = ints([int(time >= cuts[0]) + int(time >= cuts[1]) for time in times])
    scores = np.arange(1, len(comments) + 1, dtype=np.float32)
    ends = np.full(3, cuts[0] - 1), np.full(3, cuts[1] - 1)
    authors, subjects, moments = (ints([row[place] for row in comments]) for place in range(3))
    found = attach_sentiment(
        (users, items, times, parts), (authors, subjects, moments, scores), ends
    )
    expected: list[list[float]] = [[] for _ in events]
    for (author, subject, moment), score in zip(comments, scores, strict=True):
        own = [
            place
            for place, (user, item, time) in enumerate(events)
            if user == author and item == subject and time <= moment
        ]
        if not own:
            continue
        event = own[-1]
        later = [t for u, _, t in events if u == author and t > events[event][2]]
        limit = [10**9, 10**9, 10**9]
        limit[0], limit[1] = cuts[0] - 1, cuts[1] - 1
        if moment <= limit[parts[event]] and all(moment < time for time in later):
            expected[event].append(float(score))
    assert found.tolist() == [np.float32(np.mean(s)) if s else 0.0 for s in expected]
