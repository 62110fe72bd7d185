"""Whether the variants got the users they should have: if not, nothing else counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from scipy.special import chdtrc

__all__ = ["SampleRatio", "check_sample_ratio"]

# So small that a true mismatch in ten experiments is told from chance in thousands.
THRESHOLD = 0.001


@dataclass(frozen=True)
class SampleRatio:
    """A chi-square test of users by variant.

    Attributes:
        statistic: Sum of (found - expected)^2 / expected.
        p_value: Chance of a greater one if users are drawn by the shares.
        mismatch: Whether p is under 0.001.
    """

    statistic: float
    p_value: float
    mismatch: bool


def check_sample_ratio(users: Mapping[str, int], shares: Mapping[str, float]) -> SampleRatio:
    """Tests for a sample ratio mismatch (Fabijan et al., KDD 2019).

    Args:
        users: Distinct users found in each variant.
        shares: Their shares by design.

    Returns:
        The test; no users, no mismatch.

    Example:
        Of 100 users 40 and 60 for 50 and 50: (100 + 100) / 50.

        >>> found = check_sample_ratio({"a": 40, "b": 60}, {"a": 0.5, "b": 0.5})
        >>> found.statistic, round(found.p_value, 4), found.mismatch
        (4.0, 0.0455, False)
    """
    total = sum(users.get(name, 0) for name in shares)
    if not total:
        return SampleRatio(0.0, 1.0, False)
    whole = sum(shares.values())
    statistic = 0.0
    for name, share in shares.items():
        expected = total * share / whole
        statistic += (users.get(name, 0) - expected) ** 2 / expected
    p_value = float(chdtrc(len(shares) - 1, statistic))
    return SampleRatio(statistic, p_value, p_value < THRESHOLD)
