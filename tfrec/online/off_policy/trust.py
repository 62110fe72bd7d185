"""Whether the weights allow an answer at all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["WeightSummary", "effective_sample_size", "warnings_of"]

Floats = npt.NDArray[np.float64]

FEWEST = 100.0
SMALLEST_SHARE = 0.01
LARGEST_WEIGHT_SHARE = 0.05
ERRORS_FROM_ONE = 4.0
LARGEST_CLIP_BIAS = 0.05


@dataclass(frozen=True)
class WeightSummary:
    """What the weights of a log's rounds come to; parts add up.

    Attributes:
        count: Rounds.
        total, squares, largest: Sum, sum of squares and maximum of the weights.
        clipped: Sum of what clipping took off.
        zeros: Rounds that the target policy would never have shown.
    """

    count: int = 0
    total: float = 0.0
    squares: float = 0.0
    largest: float = 0.0
    clipped: float = 0.0
    zeros: int = 0

    @classmethod
    def of(cls, weights: Floats, clip: float = float("inf")) -> WeightSummary:
        """Sums over float64 [rounds]."""
        return cls(
            len(weights),
            float(weights.sum()),
            float(np.square(weights).sum()),
            float(weights.max(initial=0.0)),
            float(np.maximum(weights - clip, 0).sum()),
            int((weights == 0).sum()),
        )

    def merge(self, other: WeightSummary) -> WeightSummary:
        """Of both parts together."""
        return WeightSummary(
            self.count + other.count,
            self.total + other.total,
            self.squares + other.squares,
            max(self.largest, other.largest),
            self.clipped + other.clipped,
            self.zeros + other.zeros,
        )

    @property
    def effective(self) -> float:
        """Kish's effective sample size, (sum w)^2 / sum w^2."""
        return self.total**2 / self.squares if self.squares else 0.0


def effective_sample_size(weights: Floats) -> float:
    """As many rounds of the target policy itself would tell as much (Kish 1965).

    Example:
        >>> effective_sample_size(np.array([1.0, 1.0, 0.0, 0.0]))
        2.0
    """
    return WeightSummary.of(weights).effective


def warnings_of(found: WeightSummary) -> list[str]:
    """Why an estimate by these weights can't be trusted; empty if nothing speaks against it.

    1. Fewer than 100 effective rounds, or under 1 % of the log.
    2. A single round carries more than 5 % of all weight.
    3. The mean weight, 1 when the propensities are right and cover the target's choices, is over 4
       standard errors from it (the test of Li, Kim & Zitouni, WSDM 2015).
    4. Clipping takes more than 5 % of the weight off.

    Example:
        >>> warnings_of(WeightSummary.of(np.ones(1000)))
        []
        >>> warnings_of(WeightSummary.of(np.full(1000, 1.5)))[0][:27]
        'the mean weight is 1.500, o'
    """
    if not found.count:
        return ["no request has both propensities"]
    said = []
    share = found.effective / found.count
    if found.effective < FEWEST or share < SMALLEST_SHARE:
        said.append(
            f"{found.effective:,.0f} effective requests ({share:.1%} of {found.count:,}): too"
            " short a log, or policies that differ too much"
        )
    if found.total and found.largest / found.total > LARGEST_WEIGHT_SHARE:
        said.append(f"one request carries {found.largest / found.total:.0%} of all weight")
    mean = found.total / found.count
    spread = max(found.squares / found.count - mean**2, 0.0)
    if (
        found.count >= FEWEST
        and abs(mean - 1) > ERRORS_FROM_ONE * np.sqrt(spread / found.count) + 1e-9
    ):
        said.append(
            f"the mean weight is {mean:.3f}, over {ERRORS_FROM_ONE:.0f} standard errors from 1:"
            " propensities are wrong, or the live policy never shows what the target would"
        )
    if found.total and found.clipped / found.total > LARGEST_CLIP_BIAS:
        said.append(
            f"clipping takes {found.clipped / found.total:.0%} of the weight off: clipped IPS is"
            " too low by about as much"
        )
    return said
