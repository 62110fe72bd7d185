"""Distances between distributions, those that TensorFlow Data Validation compares by.

TFDV takes the L-infinity norm for categorical features and an approximate Jensen-Shannon divergence
for numeric ones (https://www.tensorflow.org/tfx/data_validation/get_started, "Checking data skew
and drift"); both lie between 0 (equal) and 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["jensen_shannon", "l_infinity"]


def l_infinity(first: Mapping[str, int], second: Mapping[str, int]) -> tuple[float, str]:
    """The largest difference between the shares of one value.

    Args:
        first: Counts by value.
        second: Counts by value.

    Returns:
        The distance, and the value that it is at; 0 and "" when either is empty.

    Example:
        >>> l_infinity({"a": 3, "b": 1}, {"a": 1, "c": 1})
        (0.5, 'c')
    """
    totals = sum(first.values()), sum(second.values())
    if not all(totals):
        return 0.0, ""
    shares = {
        value: abs(first.get(value, 0) / totals[0] - second.get(value, 0) / totals[1])
        for value in {*first, *second}
    }
    worst = min(shares, key=lambda value: (-shares[value], value))
    return shares[worst], worst


def jensen_shannon(first: npt.NDArray[Any], second: npt.NDArray[Any]) -> float:
    """The Jensen-Shannon divergence of two histograms over the same bins, base 2.

    Lin, "Divergence measures based on the Shannon entropy" (1991), equation 4.1 with equal weights.

    Args:
        first: Counts [bins].
        second: Counts [bins].

    Returns:
        0 when equal or when either is empty, 1 when they share no bin.

    Example:
        >>> jensen_shannon(np.array([1, 0]), np.array([0, 4]))
        1.0
    """
    if first.sum() == 0 or second.sum() == 0:
        return 0.0
    p, q = first / first.sum(), second / second.sum()
    middle = (p + q) / 2
    divergence = 0.0
    for part in (p, q):
        has = part > 0
        divergence += float((part[has] * np.log2(part[has] / middle[has])).sum()) / 2
    return min(1.0, max(0.0, divergence))
