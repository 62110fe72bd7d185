"""Intervals and p-values that hold however often one looks.

The asymptotic confidence sequence of Waudby-Smith, Arbour, Sinha, Kennedy & Ramdas ("Time-uniform
central limit theory and asymptotic confidence sequences", Annals of Statistics 2024, theorem 2.2),
which is the normal mixture of Robbins (1970) that Johari, Koomen, Pekelis & Walsh call mSPRT
("Peeking at A/B tests", KDD 2017). After n users, with a standard error e of the difference:

    half width = e sqrt((1 + 1/R) (ln(1 + R) + 2 ln(1/alpha))),   R = n rho^2

At any moment the chance to have left out the truth so far is at most alpha. `rho` sets when the
interval is shortest against a fixed one; there it is 1.55 times as long.
"""

from __future__ import annotations

from math import exp, log, sqrt

__all__ = ["always_valid_p_value", "sequential_quantile"]


def _precision(count: float, tuned_for: float, alpha: float) -> float:
    """R, with rho chosen as the paper's appendix does."""
    twice = -2 * log(alpha)
    return count * (twice + log(1 + twice)) / tuned_for


def sequential_quantile(count: float, tuned_for: float, level: float = 0.95) -> float:
    """What stands in place of the normal quantile 1.96.

    Args:
        count: Users so far, all variants together.
        tuned_for: Users at which it is to be shortest.
        level: Share of experiments whose intervals hold the truth at every look.

    Returns:
        Half width over the standard error; infinite before there is a user.

    Example:
        >>> round(sequential_quantile(1000, 1000), 3), round(sequential_quantile(10_000, 1000), 3)
        (3.035, 3.242)
    """
    if count <= 0:
        return float("inf")
    precision = _precision(count, tuned_for, 1 - level)
    return sqrt((1 + 1 / precision) * (log(1 + precision) - 2 * log(1 - level)))


def always_valid_p_value(
    difference: float, error: float, count: float, tuned_for: float, level: float = 0.95
) -> float:
    """One over the mixture likelihood ratio, at most 1; the least of all looks is valid too.

    Args:
        difference: Treatment minus control.
        error: Its standard error.
        count: Users so far.
        tuned_for: As for the interval.
        level: As for the interval, which leaves 0 out exactly when p is under 1 - level.

    Example:
        >>> edge = sequential_quantile(1000, 1000)
        >>> round(always_valid_p_value(edge, 1.0, 1000, 1000), 6)
        0.05
    """
    if count <= 0 or not error > 0:
        return 1.0
    precision = _precision(count, tuned_for, 1 - level)
    power = (difference / error) ** 2 * precision / (2 * (1 + precision))
    # The exponent stays within what a float holds.
    return min(1.0, sqrt(1 + precision) * exp(-min(power, 700.0)))
