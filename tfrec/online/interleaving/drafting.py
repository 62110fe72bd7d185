"""Two rankings as one list: the reader's clicks then tell which ranker he prefers.

A reader who sees both rankings is his own control, so interleaving needs ten to a hundred times
fewer readers than an A/B test to tell two rankers apart (Chapelle, Joachims, Radlinski & Yue, ACM
TOIS 2012); what it can't tell is by how much a metric would change.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tfrec.errors import DataError

__all__ = ["Interleaved", "balanced", "team_draft"]


@dataclass(frozen=True)
class Interleaved:
    """A list to show.

    Attributes:
        items: In the order shown.
        teams: The ranker that each item counts for: `a` or `b`.
    """

    items: list[str]
    teams: list[str]


def _distinct(ranking: Sequence[str], name: str) -> None:
    if len(set(ranking)) < len(ranking):
        twice = next(item for item in ranking if list(ranking).count(item) > 1)
        raise DataError(
            f"`{name}`", "a ranking names an item once", received=f"{twice!r} twice or more"
        )


def team_draft(
    a: Sequence[str],
    b: Sequence[str],
    k: int,
    rng: np.random.Generator,
    names: tuple[str, str] = ("a", "b"),
) -> Interleaved:
    """Team-draft interleaving (Radlinski, Kurup & Joachims, CIKM 2008, algorithm 2).

    As captains pick players: whose team is smaller picks its best item that is still free; a coin
    decides when both are equal.

    Args:
        a: Item ids by the first ranker, best first.
        b: By the second.
        k: Length of the list; shorter when both run out.
        rng: Of the coins.
        names: What the teams are called in the log.

    Returns:
        The list and each item's team.

    Raises:
        DataError: A ranking names an item twice.

    Example:
        >>> shown = team_draft(["x", "y"], ["x", "z"], 3, np.random.default_rng(0))
        >>> shown.items[0], sorted(shown.items), sorted(shown.teams)
        ('x', ['x', 'y', 'z'], ['a', 'b', 'b'])
    """
    _distinct(a, "a")
    _distinct(b, "b")
    rankings, places, sizes = (a, b), [0, 0], [0, 0]
    items: list[str] = []
    teams: list[str] = []
    taken: set[str] = set()
    while len(items) < k:
        for side in (0, 1):
            while places[side] < len(rankings[side]) and rankings[side][places[side]] in taken:
                places[side] += 1
        left = [side for side in (0, 1) if places[side] < len(rankings[side])]
        if not left:
            break
        if len(left) == 1:
            side = left[0]
        elif sizes[0] == sizes[1]:
            side = int(rng.integers(2))
        else:
            side = int(sizes[0] > sizes[1])
        item = rankings[side][places[side]]
        items.append(item)
        teams.append(names[side])
        taken.add(item)
        sizes[side] += 1
    return Interleaved(items, teams)


def balanced(a: Sequence[str], b: Sequence[str], k: int, a_first: bool) -> list[str]:
    """Balanced interleaving (Joachims, KDD 2002): any prefix holds equally much of both rankings.

    Args:
        a: Item ids by the first ranker, best first.
        b: By the second.
        k: Length of the list.
        a_first: A coin's fall: who begins.

    Returns:
        The list; credit it by `credit.balanced_credit`.

    Raises:
        DataError: A ranking names an item twice.

    Example:
        >>> balanced(["x", "y", "z"], ["y", "w", "x"], 4, a_first=True)
        ['x', 'y', 'w', 'z']
    """
    _distinct(a, "a")
    _distinct(b, "b")
    items: list[str] = []
    taken: set[str] = set()
    at_a = at_b = 0
    while len(items) < k and (at_a < len(a) or at_b < len(b)):
        turn_of_a = at_a < at_b or (at_a == at_b and a_first)
        if at_b >= len(b):
            turn_of_a = True
        elif at_a >= len(a):
            turn_of_a = False
        item = a[at_a] if turn_of_a else b[at_b]
        at_a, at_b = at_a + turn_of_a, at_b + (not turn_of_a)
        if item not in taken:
            items.append(item)
            taken.add(item)
    return items
