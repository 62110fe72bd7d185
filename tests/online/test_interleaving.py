"""Interleaved lists are fair to both rankers, and credit goes where it belongs."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfrec.errors import DataError
from tfrec.online.interleaving import (
    balanced,
    balanced_credit,
    sign_test,
    team_credit,
    team_draft,
)

RANKINGS = st.lists(st.sampled_from("abcdefgh"), unique=True, max_size=8)


def test_team_draft_by_hand():
    """The four falls of two coins on (x, y, z) and (y, x, w)."""
    seen = {
        (tuple(shown.items), tuple(shown.teams))
        for seed in range(60)
        for shown in [team_draft("xyz", "yxw", 3, np.random.default_rng(seed))]
    }
    assert seen == {
        (("x", "y", "z"), ("a", "b", "a")),
        (("x", "y", "w"), ("a", "b", "b")),
        (("y", "x", "z"), ("b", "a", "a")),
        (("y", "x", "w"), ("b", "a", "b")),
    }


@given(RANKINGS, RANKINGS, st.integers(0, 10), st.integers(0, 99))
def test_team_draft_keeps_its_laws(a, b, k, seed):
    """No item twice, teams equal up to one while both can pick, every pick the team's best."""
    shown = team_draft(a, b, k, np.random.default_rng(seed))
    assert len(set(shown.items)) == len(shown.items) == min(k, len(set(a) | set(b)))
    for end in range(len(shown.items)):
        item, taken = shown.items[end], set(shown.items[:end])
        own = a if shown.teams[end] == "a" else b
        assert item == next(other for other in own if other not in taken)
    if not set(a) & set(b) and len(a) == len(b):
        counts = Counter(shown.teams)
        assert abs(counts["a"] - counts["b"]) <= 1


@given(RANKINGS, RANKINGS, st.integers(1, 10), st.booleans())
def test_balanced_prefixes_hold_both_rankings(a, b, k, a_first):
    """Each prefix is the union of a's top i and b's top j with i and j at most one apart."""
    shown = balanced(a, b, k, a_first)
    assert len(shown) == min(k, len(set(a) | set(b)))
    if len(a) != len(b):
        return
    for end in range(len(shown) + 1):
        assert any(
            set(shown[:end]) == set(a[:i]) | set(b[:j])
            for i in range(len(a) + 1)
            for j in (i - 1, i, i + 1)
            if 0 <= j <= len(b)
        )


def test_a_ranking_with_an_item_twice_is_refused():
    """It would be picked twice."""
    for make in (
        lambda: team_draft("xx", "y", 2, np.random.default_rng(0)),
        lambda: balanced("x", "yy", 2, True),
    ):
        with pytest.raises(DataError, match="once"):
            make()


def test_credit_by_hand():
    """Clicks count for their team; on a balanced list for whoever ranks them higher."""
    assert team_credit(["x", "y", "z"], ["a", "b", "b"], {"y", "z", "elsewhere"}) == -2
    assert team_credit(["x"], ["new"], {"x"}, first="new") == 1
    # Click on w, second in b: depth 2; b holds it, a doesn't.
    assert balanced_credit("xyz", "ywx", ["x", "y", "w", "z"], {"w"}) == -1
    assert balanced_credit("xyz", "ywx", ["x", "y", "w", "z"], set()) == 0


def test_a_reader_without_taste_prefers_nobody():
    """Clicks at random, or by place alone, give no preference: team draft is fair to both."""
    rng = np.random.default_rng(0)
    credit = []
    for _ in range(3_000):
        shown = team_draft("abcdefg", "gfedcba", 5, rng)
        clicked = {item for place, item in enumerate(shown.items) if rng.random() < 1 / (1 + place)}
        credit.append(np.sign(team_credit(shown.items, shown.teams, clicked)))
    counts = Counter(credit)
    found = sign_test(counts[1], counts[-1], counts[0])
    assert found.p_value > 0.05
    assert found.low < 0.5 < found.high


def test_a_better_ranker_is_found():
    """Readers who like the first ranker's top items: 100 lists are enough."""
    rng = np.random.default_rng(1)
    wins = losses = 0
    for _ in range(100):
        shown = team_draft("abcdefg", "gfedcba", 4, rng)
        clicked = {
            item for item in shown.items if rng.random() < {"a": 0.6, "b": 0.5}.get(item, 0.1)
        }
        credit = team_credit(shown.items, shown.teams, clicked)
        wins, losses = wins + (credit > 0), losses + (credit < 0)
    found = sign_test(wins, losses)
    assert found.low > 0.5 and found.p_value < 0.001


def test_ties_say_nothing():
    """Only ties: no share, the whole interval, p = 1."""
    found = sign_test(0, 0, 7)
    assert np.isnan(found.share) and (found.low, found.high, found.p_value) == (0, 1, 1)


def interleavings(good: float, rng) -> tuple[list, float]:
    """500 tests of 120 readers each, who click on what only one ranker shows by its quality."""
    credit = []
    for _ in range(500 * 120):
        shown = team_draft("abcd", "cdab", 3, rng)
        luck = rng.random(3)
        clicked = {
            item
            for item, chance in zip(shown.items, luck, strict=True)
            if chance < (good if item in "ab" else 0.3)
        }
        credit.append(team_credit(shown.items, shown.teams, clicked))
    sides = np.sign(credit).reshape(500, 120)
    tests = [
        sign_test(int((row > 0).sum()), int((row < 0).sum()), int((row == 0).sum()))
        for row in sides
    ]
    return tests, float((sides > 0).sum() / (sides != 0).sum())


@pytest.mark.slow
def test_sign_tests_keep_their_error_rate():
    """Equals: 5 % false alarms or fewer, as the exact test is cautious; intervals hold the share.

    The true share of the unequal ones is that of all 60,000 readers.
    """
    rng = np.random.default_rng(2)
    equal, _ = interleavings(0.3, rng)
    assert np.mean([test.p_value < 0.05 for test in equal]) <= 0.07
    better, share = interleavings(0.5, rng)
    held = np.mean([test.low <= share <= test.high for test in better])
    assert share > 0.55
    assert 0.92 <= held <= 0.98
