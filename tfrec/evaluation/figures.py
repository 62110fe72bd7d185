"""What an evaluation found, as `metrics.json` holds it."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

__all__ = [
    "Calibration",
    "Check",
    "Compared",
    "Contribution",
    "Evaluation",
    "Figure",
    "Slice",
    "System",
    "Verdict",
]

FORMAT_VERSION = 1


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Figure(_Frozen):
    """A mean over users with its 95 % bootstrap interval; all `null` when no user has a value."""

    value: float | None
    low: float | None = None
    high: float | None = None


class Compared(_Frozen):
    """The model against the best baseline on the same users.

    Attributes:
        baseline: The baseline with the highest value of the metric.
        metric: For example `ndcg@20`.
        value: The model's mean minus the baseline's.
        low, high: 95 % interval of the difference over resampled users.
        p_value: Of a paired randomisation test.
        detectable: Smallest difference that as many users would show with 80 % power.
    """

    baseline: str
    metric: str
    value: float
    low: float
    high: float
    p_value: float
    detectable: float | None


class Contribution(_Frozen):
    """What one modality adds to the model's lists over the whole catalogue.

    Attributes:
        name: Of the item feature, or `behaviour`.
        without: The primary metric when its share of every score is taken away.
        lost: The metric as it is minus that, the same users; its 95 % interval is `low` to `high`.
    """

    name: str
    without: float
    lost: float
    low: float
    high: float


class System(_Frozen):
    """One system's figures in one slice: by metric name."""

    metrics: dict[str, Figure]


class Slice(_Frozen):
    """A part of the relevant items, the users who have some there, and everyone's figures.

    Attributes:
        name: `all`, `warm`, `cold`, …
        title: What it is, for people.
        group: Slices of one group are alternatives, like `cold` and `warm`.
        users: Users with something relevant in it.
        relevant: Relevant pairs of user and item.
        candidates: How many items are ranked.
        full: Whether every metric at every k was measured, or only NDCG and recall at one.
        systems: By name.
        compared: The model against the best baseline; `null` without a baseline.
    """

    name: str
    title: str
    group: str
    users: int
    relevant: int
    candidates: int
    full: bool
    systems: dict[str, System]
    compared: Compared | None = None


class Calibration(_Frozen):
    """What the model's scores say of their places in the lists: see `evaluation.calibration`.

    Attributes:
        error: Expected calibration error over ten groups of equally many places.
        predicted, observed: By group, the mean probability and the share that was relevant.
        count: Places of each group.
    """

    error: float
    predicted: tuple[float, ...]
    observed: tuple[float, ...]
    count: tuple[int, ...]


class Check(_Frozen):
    """One rule of the gate."""

    rule: str
    passed: bool
    found: float | None
    required: float | None


class Verdict(_Frozen):
    """Whether the run may be exported, and the reason in one line."""

    blessed: bool
    reason: str
    checks: tuple[Check, ...]


class Evaluation(_Frozen):
    """`metrics.json`.

    Attributes:
        format_version: Raised when a field changes its meaning.
        split: Evaluated part.
        model: Name of the model's configuration.
        data: The data set's name.
        fingerprint: Of the prepared data.
        users: Evaluated users; `users_total` counts all of the split.
        ks: Depths.
        primary: The metric that verdict and comparison look at.
        verdict: Blessed or not.
        slices: The first is the whole catalogue.
        catalogue: By system: coverage@10, gini@10, novelty@10, popularity_lift@10, diversity@10;
            for the model also calibration_error@K, latency_ms, latency_p95_ms.
        options: By baseline, what validation chose.
        exposure: By system, share of the top 10 places by popularity group, least popular first;
            `history` is the share of the users' own past.
        contributions: What each modality adds, the greatest first; empty when it was not measured.
        calibration: Of the model at the primary metric's depth; `null` when it was not measured.
    """

    format_version: int = FORMAT_VERSION
    split: str
    model: str
    data: str
    fingerprint: str
    users: int
    users_total: int
    ks: tuple[int, ...]
    primary: str
    verdict: Verdict
    slices: tuple[Slice, ...]
    catalogue: dict[str, dict[str, float | None]]
    options: dict[str, dict[str, Any]]
    exposure: dict[str, tuple[float, ...]]
    contributions: tuple[Contribution, ...] = ()
    calibration: Calibration | None = None

    def slice(self, name: str) -> Slice | None:
        """The slice of that name, if the data has it."""
        return next((found for found in self.slices if found.name == name), None)

    def value(self, system: str, metric: str, where: str = "all") -> float | None:
        """A figure's mean; `None` when there is none.

        Raises:
            KeyError: The system or metric is unknown.
        """
        found = self.slice(where)
        return None if found is None else found.systems[system].metrics[metric].value
