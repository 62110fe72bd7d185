"""Metrics of scores and probabilities rather than of lists: AUC, log loss, calibration, errors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tfrec.errors import DataError

__all__ = [
    "Reliability",
    "auc",
    "expected_calibration_error",
    "grouped_auc",
    "log_loss",
    "mean_absolute_error",
    "reliability",
    "root_mean_squared_error",
]

Floats = NDArray[np.floating[Any]]
Values = NDArray[np.float64]


def auc(scores: Floats, labels: Floats) -> float:
    """Chance that a positive outscores a negative, ties counting half (Hanley & McNeil 1982).

    Args:
        scores: float [events].
        labels: Positive where greater than 0 [events].

    Returns:
        NaN without both a positive and a negative.

    Example:
        >>> auc(np.array([0.9, 0.5, 0.5, 0.1]), np.array([1, 1, 0, 0]))
        0.875
    """
    return float(grouped_auc_values(scores, labels, np.zeros(len(scores), int), 1)[0])


def grouped_auc(
    scores: Floats, labels: Floats, group: NDArray[np.integer[Any]], groups: int
) -> float:
    """GAUC: the AUC within each group (user), weighted by its events (Zhou et al. 2018, eq. 3).

    Groups without both a positive and a negative are left out.
    """
    values = grouped_auc_values(scores, labels, group, groups)
    weight = np.bincount(group, minlength=groups) * ~np.isnan(values)
    total = weight.sum()
    return float(np.nansum(values * weight) / total) if total else float("nan")


def grouped_auc_values(
    scores: Floats, labels: Floats, group: NDArray[np.integer[Any]], groups: int
) -> Values:
    """The AUC within each group, float64 [groups]; NaN without both kinds."""
    _finite(scores)
    order = np.lexsort((scores, group))
    group, scores, positive = group[order], scores[order], labels[order] > 0
    # Mid-ranks: the mean position of equal scores within a group.
    new = np.ones(len(scores), bool)
    new[1:] = (scores[1:] != scores[:-1]) | (group[1:] != group[:-1])
    tie = np.cumsum(new) - 1
    first = np.flatnonzero(new)
    size = np.diff(np.append(first, len(scores)))
    starts = np.concatenate([[0], np.cumsum(np.bincount(group, minlength=groups))])
    rank = (first + (size + 1) / 2)[tie] - starts[group] if len(scores) else np.zeros(0)
    positives = np.bincount(group, positive, minlength=groups)
    negatives = np.bincount(group, ~positive, minlength=groups)
    above = np.bincount(group, rank * positive, minlength=groups) - positives * (positives + 1) / 2
    pairs = positives * negatives
    return np.divide(above, pairs, out=np.full(groups, np.nan), where=pairs > 0)


def log_loss(probabilities: Floats, labels: Floats) -> float:
    """Mean negative log likelihood in nats; probabilities are kept 1e-15 away from 0 and 1.

    Raises:
        DataError: A probability is outside 0 … 1.
    """
    _probability(probabilities)
    clipped = np.clip(probabilities.astype(np.float64), 1e-15, 1 - 1e-15)
    positive = labels > 0
    return float(-np.where(positive, np.log(clipped), np.log1p(-clipped)).mean())


@dataclass(frozen=True)
class Reliability:
    """A reliability diagram: by bin, what was predicted and what came.

    Attributes:
        predicted: Mean probability of each bin that has events, float64 [bins].
        observed: Share of positives, float64 [bins].
        count: Events, int64 [bins].
    """

    predicted: Values
    observed: Values
    count: NDArray[np.int64]


def reliability(
    probabilities: Floats, labels: Floats, *, bins: int = 10, filled: bool = False
) -> Reliability:
    """Groups probabilities into bins; empty ones are left out.

    Args:
        probabilities: float [events].
        labels: Positive where greater than 0 [events].
        bins: How many.
        filled: Bins of equally many events, for probabilities that are all small (Nixon et al.
            2019), instead of equally wide ones, of which the last is closed.

    Raises:
        DataError: A probability is outside 0 … 1.
    """
    _probability(probabilities)
    if filled:
        edges = np.quantile(probabilities, np.linspace(0, 1, bins + 1)[1:-1])
        # Equal probabilities stay in one bin.
        at = np.searchsorted(edges, probabilities, side="right")
    else:
        at = np.minimum((probabilities * bins).astype(int), bins - 1)
    count = np.bincount(at, minlength=bins)
    used = count > 0
    predicted = np.bincount(at, probabilities, minlength=bins)[used] / count[used]
    observed = np.bincount(at, labels > 0, minlength=bins)[used] / count[used]
    return Reliability(predicted, observed, count[used].astype(np.int64))


def expected_calibration_error(
    probabilities: Floats, labels: Floats, *, bins: int = 10, filled: bool = False
) -> float:
    """Mean distance of predicted and observed over bins, by events (Naeini et al. 2015).

    `filled` is that of `reliability`.

    Example:
        Bins 0.2 (observed 1/2) and 0.9 (observed 1): (2·0.3 + 1·0.1) / 3.

        >>> error = expected_calibration_error(np.array([0.2, 0.2, 0.9]), np.array([1, 0, 1]))
        >>> round(error, 4)
        0.2333
    """
    found = reliability(probabilities, labels, bins=bins, filled=filled)
    distance = np.abs(found.predicted - found.observed)
    return float((distance * found.count).sum() / max(found.count.sum(), 1))


def root_mean_squared_error(predictions: Floats, ratings: Floats) -> float:
    """RMSE of predicted ratings."""
    _finite(predictions)
    return float(np.sqrt(np.square(predictions.astype(np.float64) - ratings).mean()))


def mean_absolute_error(predictions: Floats, ratings: Floats) -> float:
    """MAE of predicted ratings."""
    _finite(predictions)
    return float(np.abs(predictions.astype(np.float64) - ratings).mean())


def _finite(scores: Floats) -> None:
    wrong = ~np.isfinite(scores)
    if wrong.any():
        raise DataError(
            "scores", "a score must be finite", received=f"{scores[wrong][0]} at {wrong.argmax()}"
        )


def _probability(values: Floats) -> None:
    wrong = ~((values >= 0) & (values <= 1))
    if wrong.any():
        raise DataError(
            "probabilities",
            "a probability lies between 0 and 1",
            received=f"{values[wrong][0]} at {wrong.argmax()}",
            remedy="Pass scores through a sigmoid, or use a ranking metric",
        )
