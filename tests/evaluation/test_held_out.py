"""The question is fair: nothing of the answer is in the past, nothing seen is to be found."""

from __future__ import annotations

import numpy as np
import pytest

from tests.baselines.cases import item_table, timelines
from tfrec.errors import DataError
from tfrec.evaluation.held_out import HeldOut, histories_before
from tfrec.input import Timelines

# User 0: knows items 0 (liked) and 1 (disliked). User 1 is new in the test part. User 2 has only a
# dislike in the test part, user 3 only an item that is known.
HISTORY = timelines([(0, 0, 1), (0, 1, 2, 0), (2, 0, 1), (3, 4, 1)], users=4)
TARGETS = timelines([(0, 1, 8), (0, 2, 9), (0, 0, 9), (1, 3, 7), (2, 2, 9, 0), (3, 4, 9)], users=4)


def held_out(**options):
    items = item_table(5, HISTORY)
    return HeldOut.build("test", items, HISTORY, HISTORY, TARGETS, **options)


def test_relevant_is_positive_in_the_split_and_without_any_event_before():
    """An item disliked before is seen: liking it later can't be found, since it is never listed."""
    found = held_out()
    assert found.targets.user_ids.tolist() == ["u0", "u1"]
    assert [found.relevant[0].tolist(), found.relevant[1].tolist()] == [[2], [3]]
    assert found.seen[0].tolist() == [0, 1] and found.seen[1].tolist() == []
    assert found.users_total == 4


def test_the_past_holds_nothing_of_the_split():
    """Else the model would read the answer."""
    found = held_out()
    assert found.past.user_ids.tolist() == ["u0", "u1"]
    assert found.past.item_index.tolist() == [0, 1]
    assert (found.past.timestamp.max() < found.at).all()
    assert found.at.tolist() == [8 * 86_400, 7 * 86_400]


def test_new_users_keep_their_profile():
    """A user without a past is still somebody."""
    profile = {"country": np.array([5, 6, 7, 8], np.int32)}
    targets = timelines([(1, 3, 7)], users=4, profile=profile)
    history = timelines([(0, 0, 1)], users=1, profile={"country": np.array([5], np.int32)})
    past = histories_before(history, targets.select(np.array([1])))
    assert past.profile["country"].tolist() == [6] and past.events == 0


def test_a_sample_is_the_same_each_time_and_smaller():
    """Figures of a sample can be compared between runs."""
    one, again = held_out(max_users=1), held_out(max_users=1)
    assert len(one) == 1 and one.users_total == 4
    assert one.targets.user_ids.tolist() == again.targets.user_ids.tolist()


def test_a_split_without_anything_to_find_is_one_clear_line():
    """The label rule is the usual reason."""
    nothing = timelines([(0, 0, 9)], users=1)
    with pytest.raises(DataError, match="needs a user with a positive event"):
        HeldOut.build("test", item_table(5, HISTORY), HISTORY, HISTORY, nothing)


def test_the_order_of_users_is_that_of_the_split():
    """Rows of histories, seen and relevant belong together."""
    history = Timelines.concatenate(HISTORY, timelines([(1, 4, 3)], users=2))
    found = HeldOut.build("test", item_table(5, HISTORY), HISTORY, history, TARGETS)
    assert found.seen[1].tolist() == [4] and found.past.user_index.tolist() == [0, 1]
