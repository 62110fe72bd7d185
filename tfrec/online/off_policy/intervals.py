"""Intervals of an off-policy estimate: normal, bootstrap, empirical Bernstein."""

from __future__ import annotations

from dataclasses import dataclass
from math import log, sqrt

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from tfrec.errors import DescriptionError
from tfrec.online.moments import Moments, Ratio
from tfrec.online.off_policy.estimators import Terms
from tfrec.online.resampling import replicate_sums

__all__ = [
    "Interval",
    "bootstrap_interval",
    "cluster_sums",
    "empirical_bernstein_interval",
    "normal_interval",
    "percentile_interval",
    "ratio_interval",
]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
ROUNDS = 500


@dataclass(frozen=True)
class Interval:
    """An estimate and its interval.

    Attributes:
        value: The estimate.
        low, high: Ends of the interval; NaN when there is too little to tell.
    """

    value: float
    low: float
    high: float


def ratio_interval(ratio: Ratio, level: float = 0.95) -> Interval:
    """Normal interval of a ratio of sums."""
    half = float(ndtri((1 + level) / 2)) * ratio.error
    return Interval(ratio.value, ratio.value - half, ratio.value + half)


def cluster_sums(terms: Terms, clusters: Ints | None) -> Floats:
    """Numerator and denominator summed by user: float64 [users, 2].

    Args:
        terms: Of an estimator.
        clusters: int64 [rounds], 0-based user of each round; each round by itself when `None`.
    """
    pairs = np.stack([terms.numerator, terms.denominator], axis=1)
    if clusters is None:
        return pairs
    summed = np.zeros((int(clusters.max(initial=-1)) + 1, 2))
    np.add.at(summed, clusters, pairs)
    return summed


def normal_interval(terms: Terms, clusters: Ints | None = None, level: float = 0.95) -> Interval:
    """Estimate plus and minus normal quantile times the delta method's error.

    Args:
        terms: Of an estimator.
        clusters: int64 [rounds], the user of each round: a user's rounds are alike, and an interval
            that takes them for independent is too short.
        level: Share of intervals that hold the truth.

    Example:
        >>> found = normal_interval(Terms(np.array([0.0, 2.0]), np.ones(2)))
        >>> round(found.low, 2), round(found.high, 2)
        (-0.96, 2.96)
    """
    return ratio_interval(Moments.of(cluster_sums(terms, clusters)).ratio(0, 1), level)


def percentile_interval(value: float, replicates: Floats, level: float = 0.95) -> Interval:
    """The middle of the replicates (Efron 1979).

    Args:
        value: The estimate.
        replicates: float64 [rounds]; NaN ones, of resamples without a denominator, are left out.
        level: Share of the replicates within.
    """
    known = replicates[~np.isnan(replicates)]
    if not len(known):
        return Interval(value, float("nan"), float("nan"))
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return Interval(value, float(low), float(high))


def bootstrap_interval(
    terms: Terms,
    clusters: Ints | None = None,
    level: float = 0.95,
    *,
    rounds: int = ROUNDS,
    seed: int = 0,
) -> Interval:
    """Percentile interval over Poisson resamples of the users.

    Args:
        terms: Of an estimator.
        clusters: int64 [rounds], the user of each round.
        level: Share of intervals that hold the truth.
        rounds: Resamples.
        seed: Of the resamples.
    """
    summed = cluster_sums(terms, clusters)
    keys = np.arange(len(summed), dtype=np.uint64)
    drawn = replicate_sums(summed, keys, rounds, seed)
    values = np.divide(
        drawn[:, 0], drawn[:, 1], out=np.full(rounds, np.nan), where=drawn[:, 1] != 0
    )
    return percentile_interval(terms.value, values, level)


def empirical_bernstein_interval(
    mean: float, variance: float, count: int, span: float, level: float = 0.95
) -> Interval:
    """An interval that holds at any sample size, for independent bounded values.

    `mean ± (sqrt(2 V ln(4/d) / n) + 7 span ln(4/d) / (3 (n - 1)))` with d = 1 - level: theorem 4 of
    Maurer & Pontil, COLT 2009, on both sides. It is wider than the normal one and needs no large
    sample; its price is that it must know the span.

    Args:
        mean: Of the values.
        variance: Sample variance of the values.
        count: How many.
        span: Greatest minus least possible value; for clipped IPS the clip times the reward's.
        level: At least this share of intervals holds the truth.

    Raises:
        DescriptionError: The span isn't a positive number.

    Example:
        >>> found = empirical_bernstein_interval(0.5, 0.25, 1000, 1.0)
        >>> round(found.high - found.value, 3)
        0.057
    """
    if not 0 < span < float("inf"):
        raise DescriptionError(
            "`span`",
            "the span of possible values is positive and finite",
            received=span,
            remedy="Clip the weights, and give the greatest reward",
        )
    if count < 2:
        return Interval(mean, float("nan"), float("nan"))
    odds = log(4 / (1 - level))
    half = sqrt(2 * variance * odds / count) + 7 * span * odds / (3 * (count - 1))
    return Interval(mean, mean - half, mean + half)
