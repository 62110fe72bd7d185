"""What a replay found, as `replay.json` holds it."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from tfrec.evaluation.figures import Figure

__all__ = ["PeriodFigures", "Replay"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PeriodFigures(_Frozen):
    """One period.

    Attributes:
        start, end: Unix seconds; `end` is not in it.
        train_events: Events that systems learnt from.
        users: Users with something to find; 0 when nobody had, and then no system has figures.
        new_items: Share of what was to be found that nobody had met before.
        systems: By name, the primary metric.
    """

    start: int
    end: int
    train_events: int
    users: int
    new_items: float
    systems: dict[str, Figure]


class Replay(_Frozen):
    """`replay.json`.

    Attributes:
        data: The data set's name.
        fingerprint: Of the prepared data.
        metric: For example `ndcg@20`.
        periods: In time order.
        mean: By system, the mean over periods that have figures, every period alike.
        deviation: By system, the standard deviation over periods; `null` for a single one.
        best_in: By system, in how many periods it was best.
        verdict: One line.
    """

    data: str
    fingerprint: str
    metric: str
    periods: tuple[PeriodFigures, ...]
    mean: dict[str, float]
    deviation: dict[str, float | None]
    best_in: dict[str, int]
    verdict: str
