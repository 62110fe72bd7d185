"""The question is fair: nothing of the answer is in the past, nothing seen is to be found."""

from __future__ import annotations

import numpy as np
import pytest

from tests.baselines.cases import item_table, timelines
from tfrec.errors import DataError
from tfrec.evaluation import evaluate, rank_vectors, read_candidates
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


def test_candidates_alone_are_listed_and_to_be_found(tmp_path):
    """User 1's only target, item 3, is none; the others' lists and figures hold candidates only."""
    names = tmp_path / "sale.txt"
    items = item_table(5, HISTORY)
    names.write_text(f"\ufeff{items.ids[4]}\n\n{items.ids[2]}\n{items.ids[2]}\n")
    chosen = read_candidates(names, items.ids)
    assert chosen.tolist() == [2, 4]
    found = held_out(candidates=chosen)
    assert found.targets.user_ids.tolist() == ["u0"] and found.relevant[0].tolist() == [2]
    queries, vectors = np.ones((1, 2), np.float32), np.eye(5, 2, dtype=np.float32)
    ranked = rank_vectors("model", queries, vectors, found)
    assert sorted(ranked.lists["all"][0, :2].tolist()) == [2, 4]
    assert (ranked.lists["all"][0, 2:] == -1).all()
    assert ranked.lists["warm"][0, :2].tolist() == [4, -1]
    figures = evaluate(found, [ranked], model="m", data="d", fingerprint="f")
    assert figures.slices[0].candidates == 2 and figures.catalogue["model"]["coverage@10"] == 1
    assert figures.slices[0].title == "the given candidates"


@pytest.mark.parametrize(
    ("content", "message"),
    [("", "at least one item. Received: an empty file"), ("i0\nx\n", r":2: every.*'x' \(1 of 2")],
)
def test_a_wrong_file_of_candidates_is_one_clear_line(tmp_path, content, message):
    """A typing error would otherwise be an item that is never listed."""
    names = tmp_path / "sale.txt"
    names.write_text(content)
    with pytest.raises(DataError, match=message):
        read_candidates(names, np.array(["i0"], object))
