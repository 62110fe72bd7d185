"""Whether a model's scores can be read as probabilities, on users that taught nothing of it.

A two-tower score is no probability. Two numbers turn it into one, `p = sigmoid(a · score + b)`
(Platt 1999); they are fitted on every other user's lists and judged on the rest, and the other way
round. What is left is told by the calibration error: how far the share of places that held
something relevant is from what was said, over ten groups of equally many places.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tfrec.evaluation.figures import Calibration
from tfrec.evaluation.score_metrics import expected_calibration_error, reliability

__all__ = ["calibrate", "fit_sigmoid", "read_calibration"]

Values = NDArray[np.float64]
_STEPS = 50
_RIDGE = 1e-6
_LARGEST = 30.0


def fit_sigmoid(scores: NDArray[np.floating[Any]], hits: NDArray[np.bool_]) -> tuple[float, float]:
    """Slope and intercept of the logistic regression of hits on scores, by Newton's method.

    Args:
        scores: float [n], finite.
        hits: bool [n].
    """
    centre, spread = float(scores.mean()), float(scores.std()) or 1.0
    x = np.stack([(scores - centre) / spread, np.ones(len(scores))], axis=1)
    share = (hits.sum() + 0.5) / (len(hits) + 1)
    weights = np.array([0.0, np.log(share / (1 - share))])
    for _ in range(_STEPS):
        p = _sigmoid(x @ weights)
        slope = x.T @ (hits - p) - _RIDGE * weights
        curve = (x * (p * (1 - p))[:, None]).T @ x + _RIDGE * np.eye(2)
        step = np.linalg.solve(curve, slope)
        # A long step overshoots where nearly all probabilities are 0.
        step /= max(1.0, float(np.abs(step).max()))
        weights = weights + step
        if np.abs(step).max() < 1e-9:
            break
    return float(weights[0] / spread), float(weights[1] - weights[0] * centre / spread)


def calibrate(scores: NDArray[np.floating[Any]], hits: NDArray[np.bool_]) -> Values:
    """Probabilities of hits, each half of the users by what the other half taught.

    Args:
        scores: float [users, k]; -inf where a list has ended.
        hits: bool [users, k].

    Returns:
        float64 [users, k]; NaN where a list has ended.
    """
    found = np.full(scores.shape, np.nan)
    listed = np.isfinite(scores)
    half = np.broadcast_to((np.arange(len(scores)) % 2 == 0)[:, None], scores.shape)
    for judged in (half, ~half):
        taught, asked = listed & ~judged, listed & judged
        if not taught.any():
            continue
        slope, intercept = fit_sigmoid(scores[taught].astype(np.float64), hits[taught])
        found[asked] = _sigmoid(slope * scores[asked].astype(np.float64) + intercept)
    return found


def read_calibration(
    scores: NDArray[np.floating[Any]], hits: NDArray[np.bool_]
) -> Calibration | None:
    """The calibration error and the reliability diagram of a model's lists.

    Args:
        scores: float [users, k]; -inf where a list has ended.
        hits: bool [users, k].

    Returns:
        `None` with fewer than two users.
    """
    probabilities = calibrate(scores, hits)
    known = ~np.isnan(probabilities)
    if not known.any():
        return None
    p, hit = probabilities[known], hits[known].astype(np.float64)
    diagram = reliability(p, hit, filled=True)
    return Calibration(
        error=expected_calibration_error(p, hit, filled=True),
        predicted=tuple(diagram.predicted.tolist()),
        observed=tuple(diagram.observed.tolist()),
        count=tuple(diagram.count.tolist()),
    )


def _sigmoid(x: Values) -> Values:
    return 1 / (1 + np.exp(-np.clip(x, -_LARGEST, _LARGEST)))
