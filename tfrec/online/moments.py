"""Count, means and scatter of several columns: all that ratios, CUPED and intervals need.

Moments of parts merge into those of the whole (Chan, Golub & LeVeque 1979, eq. 1.5), so that a log
is measured shard by shard, on one machine or many, and the rows are never held together.

A ratio metric is a sum over a sum, for example clicks over impressions. Its units are users, since
a user's impressions are alike; its standard error is the delta method's (Deng et al., KDD 2018,
section 3.2): with r = sum y / sum x,

    var(r) = (var(y) - 2 r cov(y, x) + r^2 var(x)) / (n mean(x)^2)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Moments", "Ratio"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Ratio:
    """A ratio of sums over units.

    Attributes:
        value: The ratio; NaN when the denominator is 0.
        error: Its standard error by the delta method; NaN with fewer than two units.
        gradient: float64 [columns]; the unit's linearised value is this times its columns.
    """

    value: float
    error: float
    gradient: Floats


@dataclass(frozen=True)
class Moments:
    """Count, mean and scatter of the rows of a matrix.

    Attributes:
        count: Rows.
        mean: float64 [columns].
        scatter: float64 [columns, columns]; sum of outer products of deviations from the mean.
    """

    count: int
    mean: Floats
    scatter: Floats

    @classmethod
    def of(cls, values: Floats) -> Moments:
        """Moments of float64 [rows, columns].

        Example:
            >>> Moments.of(np.array([[1.0], [3.0]])).covariance.tolist()
            [[2.0]]
        """
        count, columns = values.shape
        if not count:
            return cls(0, np.zeros(columns), np.zeros((columns, columns)))
        mean = values.mean(axis=0)
        apart = values - mean
        return cls(count, mean, apart.T @ apart)

    def merge(self, other: Moments) -> Moments:
        """Moments of both parts together."""
        count = self.count + other.count
        if not count:
            return self
        apart = other.mean - self.mean
        share = other.count / count
        return Moments(
            count,
            self.mean + share * apart,
            self.scatter + other.scatter + np.outer(apart, apart) * (self.count * share),
        )

    @property
    def sums(self) -> Floats:
        """Column sums: float64 [columns]."""
        return self.mean * self.count

    @property
    def covariance(self) -> Floats:
        """Sample covariance: float64 [columns, columns]; NaN with fewer than two rows."""
        if self.count < 2:
            return np.full(self.scatter.shape, np.nan)
        return self.scatter / (self.count - 1)

    def combine(self, weights: Floats) -> Moments:
        """Moments of linear combinations of the columns.

        Args:
            weights: float64 [columns, combinations].
        """
        return Moments(self.count, self.mean @ weights, weights.T @ self.scatter @ weights)

    def ratio(self, numerator: int, denominator: int) -> Ratio:
        """The ratio of two columns' sums, with its delta-method error.

        Args:
            numerator: Column above the line.
            denominator: Column below it.

        Example:
            Clicks 1 of 2, and 1 of 4: the linearised values are (1 - 2/3) / 3 and its opposite.

            >>> found = Moments.of(np.array([[1.0, 2.0], [1.0, 4.0]])).ratio(0, 1)
            >>> round(found.value, 4), round(found.error, 4)
            (0.3333, 0.1111)
        """
        gradient = np.zeros(len(self.mean))
        if not self.count or self.mean[denominator] == 0:
            return Ratio(float("nan"), float("nan"), gradient)
        value = float(self.mean[numerator] / self.mean[denominator])
        gradient[numerator] += 1 / self.mean[denominator]
        gradient[denominator] -= value / self.mean[denominator]
        if self.count < 2:
            return Ratio(value, float("nan"), gradient)
        variance = float(gradient @ self.covariance @ gradient) / self.count
        return Ratio(value, float(np.sqrt(max(variance, 0.0))), gradient)
