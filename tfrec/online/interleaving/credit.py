"""Whom the clicks on an interleaved list speak for, and whether that can be chance."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from scipy.stats import binomtest

__all__ = ["Preference", "balanced_credit", "sign_test", "team_credit"]


@dataclass(frozen=True)
class Preference:
    """How often the first ranker won.

    Attributes:
        wins, losses, ties: Of users, or of lists.
        share: Wins among those decided; NaN without any.
        low, high: Its Clopper-Pearson interval.
        p_value: Two-sided chance if either were as likely (the sign test; ties say nothing).
    """

    wins: int
    losses: int
    ties: int
    share: float
    low: float
    high: float
    p_value: float


def team_credit(
    items: Sequence[str], teams: Sequence[str], clicked: Collection[str], first: str = "a"
) -> int:
    """Clicks on the first team's items minus clicks on the other's.

    Args:
        items: As shown.
        teams: Whose each is.
        clicked: The items clicked; others, that were not shown, don't count.
        first: The team that counts positive.

    Example:
        >>> team_credit(["x", "y", "z"], ["a", "b", "a"], {"x", "z"})
        2
    """
    return sum(
        1 if team == first else -1
        for item, team in zip(items, teams, strict=True)
        if item in clicked
    )


def balanced_credit(
    a: Sequence[str], b: Sequence[str], shown: Sequence[str], clicked: Collection[str]
) -> int:
    """Clicks among the first ranker's top j minus those among the other's.

    j is the least depth at which either ranking holds the lowest item that was clicked (Joachims,
    KDD 2002; Radlinski et al., CIKM 2008, section 3.2).

    Args:
        a: The first ranking.
        b: The other.
        shown: What `balanced` made of them.
        clicked: The items clicked.

    Example:
        The lowest click is z, third in a: j = 3, where a holds both clicks and b holds one.

        >>> a, b = ["x", "y", "z"], ["y", "w", "x"]
        >>> balanced_credit(a, b, ["x", "y", "w", "z"], {"x", "z"})
        1
    """
    lowest = max((place for place, item in enumerate(shown) if item in clicked), default=-1)
    if lowest < 0:
        return 0
    last = shown[lowest]
    depth = min(list(ranking).index(last) for ranking in (a, b) if last in ranking) + 1
    return len(set(a[:depth]) & set(clicked)) - len(set(b[:depth]) & set(clicked))


def sign_test(wins: int, losses: int, ties: int = 0, level: float = 0.95) -> Preference:
    """Tests whether one ranker is preferred.

    Args:
        wins: Users, or lists, with more credit for the first ranker; by user, since one user's
            lists are alike.
        losses: With more for the other.
        ties: With equal credit; reported, not counted.
        level: Of the interval.

    Example:
        Both tails of 10 fair coins beyond 9 heads: 2 * (10 + 1) / 1024.

        >>> round(sign_test(9, 1).p_value, 6)
        0.021484
    """
    decided = wins + losses
    if not decided:
        return Preference(wins, losses, ties, float("nan"), 0.0, 1.0, 1.0)
    test = binomtest(wins, decided)
    ends = test.proportion_ci(level, method="exact")
    return Preference(
        wins, losses, ties, wins / decided, float(ends.low), float(ends.high), float(test.pvalue)
    )
