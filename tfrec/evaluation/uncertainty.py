"""How sure a mean over users is: bootstrap intervals, paired differences, what could be seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Difference",
    "Interval",
    "bootstrap_intervals",
    "minimum_detectable_effect",
    "paired_difference",
]

Values = NDArray[np.float64]

ROUNDS = 1000
SEED = 20_240_229
# Users × rounds drawn at once.
_DRAWS = 4_000_000


@dataclass(frozen=True)
class Interval:
    """A mean and its 95 % interval.

    Attributes:
        value: The mean; NaN when no user has a value.
        low, high: The 2.5 % and 97.5 % quantiles of the mean over resampled users.
    """

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Difference:
    """The mean difference of two systems on the same users.

    Attributes:
        value: Mean of ours minus theirs.
        low, high: Its 95 % interval over resampled users.
        p_value: Chance of a difference as great if the two were exchangeable for each user.
    """

    value: float
    low: float
    high: float
    p_value: float


def bootstrap_intervals(
    values: Values, *, rounds: int = ROUNDS, seed: int = SEED
) -> list[Interval]:
    """Percentile intervals of means over users (Efron 1979), every column on the same resamples.

    Args:
        values: float64 [users, columns]; NaN where a user has no value.
        rounds: Resamples of the users.
        seed: Of the resamples.

    Returns:
        One interval a column.
    """
    users = len(values)
    if not users:
        return [Interval(*[float("nan")] * 3)] * values.shape[1]
    valid = ~np.isnan(values)
    filled = np.where(valid, values, 0.0)
    generator = np.random.default_rng(seed)
    means = []
    at_once = max(1, _DRAWS // users)
    for start in range(0, rounds, at_once):
        some = min(at_once, rounds - start)
        # How often each user is drawn: a sum over draws becomes a matrix product.
        draws = generator.integers(0, users, (some, users)) + np.arange(some)[:, None] * users
        weight = np.bincount(draws.ravel(), minlength=some * users).reshape(some, users)
        weight = weight.astype(np.float64)
        counts = weight @ valid
        means.append(
            np.divide(weight @ filled, counts, out=np.full(counts.shape, np.nan), where=counts > 0)
        )
    resampled = np.concatenate(means)
    found = []
    for column in range(values.shape[1]):
        means_here = resampled[:, column][~np.isnan(resampled[:, column])]
        if not len(means_here):
            found.append(Interval(*[float("nan")] * 3))
            continue
        low, high = np.percentile(means_here, [2.5, 97.5])
        mean = filled[:, column].sum() / valid[:, column].sum()
        found.append(Interval(float(mean), float(low), float(high)))
    return found


def paired_difference(
    ours: Values, theirs: Values, *, rounds: int = ROUNDS, seed: int = SEED
) -> Difference:
    """Compares two systems user by user: bootstrap interval and randomisation test.

    The test swaps the two systems for each user by a coin (Smucker et al., CIKM 2007) and counts
    how often the mean difference is at least as far from 0; users without a value are left out.

    Args:
        ours: float64 [users].
        theirs: float64 [users], of the same users.
        rounds: Resamples, and swaps.
        seed: Of both.
    """
    gained = ours - theirs
    gained = gained[~np.isnan(gained)]
    if not len(gained):
        return Difference(*[float("nan")] * 4)
    interval = bootstrap_intervals(gained[:, None], rounds=rounds, seed=seed)[0]
    generator = np.random.default_rng(seed + 1)
    extreme = 0
    at_once = max(1, _DRAWS // len(gained))
    observed = abs(gained.sum()) * (1 - 1e-12)
    for start in range(0, rounds, at_once):
        some = min(at_once, rounds - start)
        signs = generator.integers(0, 2, (some, len(gained)), dtype=np.int8) * 2 - 1
        extreme += int((np.abs(signs @ gained) >= observed).sum())
    # The observed labelling is one of the possible ones, so p is never 0.
    return Difference(interval.value, interval.low, interval.high, (extreme + 1) / (rounds + 1))


def minimum_detectable_effect(ours: Values, theirs: Values) -> float:
    """The smallest mean difference that as many users show with 80 % power at the 5 % level.

    (1.96 + 0.84) standard errors of the paired difference.

    Example:
        Differences of ±0.1 in 400 users: 2.8 · 0.1 / 20.

        >>> ours = np.tile([0.1, -0.1], 200)
        >>> round(minimum_detectable_effect(ours, np.zeros(400)), 4)
        0.014
    """
    gained = ours - theirs
    gained = gained[~np.isnan(gained)]
    if len(gained) < 2:
        return float("nan")
    return float((1.959964 + 0.841621) * gained.std(ddof=1) / np.sqrt(len(gained)))
