"""The experiment file: variants, how users come to them, what decides and what must not suffer."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from tfrec.online.experiments.metrics import METRICS

__all__ = ["ExperimentConfig", "GuardrailConfig"]


def _known(name: str) -> str:
    if name not in METRICS:
        raise ValueError(f"a metric is one of {', '.join(sorted(METRICS))}; got {name!r}")
    return name


class GuardrailConfig(BaseModel):
    """A metric that must not suffer.

    Attributes:
        metric: Of `METRICS`.
        worst: Largest change for the worse that is put up with: 0.02 is 2 %; of satisfaction, whose
            0 is arbitrary, 0.02 of its scale.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    metric: str
    worst: float = Field(0.02, gt=0, lt=1)

    _metric = field_validator("metric")(_known)


class ExperimentConfig(BaseModel):
    """An A/B test.

    Attributes:
        name: As in the exposure log.
        salt: Of the draw of variants; the name unless given. Another salt draws anew.
        layer: Experiments of one layer never share a user; those of different layers are
            independent (Tang et al., KDD 2010).
        buckets: Which part [low, high) of the layer's users takes part.
        variants: Share of the users in each; they sum to 1.
        control: The variant that the others are held against.
        primary: The metric that decides.
        metrics: What is shown besides.
        guardrails: What must not suffer.
        start: First moment, with time zone; events before it are the users' past, for CUPED.
        exposure: Whom to count: `logged`, those whom the exposure log names; `assigned`, everyone
            whom the hash puts into a variant, from the first impression after `start` on.
        level: Share of intervals that hold the truth.
        cuped: Whether the users' past is used to make intervals shorter.
        sequential: Whether intervals hold at every look; otherwise at one that was planned.
        tuned_for: Users, all variants together, at which sequential intervals are shortest; about
            when a first decision would be welcome.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1)
    salt: str = ""
    layer: str = "default"
    buckets: tuple[float, float] = (0.0, 1.0)
    variants: dict[str, float] = Field(default={"control": 0.5, "treatment": 0.5})
    control: str = "control"
    primary: str = "click_through"
    metrics: tuple[str, ...] = ("click_through", "conversion", "dwell", "satisfaction", "requests")
    guardrails: tuple[GuardrailConfig, ...] = ()
    start: datetime | None = None
    exposure: Literal["logged", "assigned"] = "logged"
    level: float = Field(0.95, gt=0.5, lt=1)
    cuped: bool = True
    sequential: bool = True
    tuned_for: int = Field(1_000, ge=10)

    _primary = field_validator("primary")(_known)

    @field_validator("metrics")
    @classmethod
    def _known_metrics(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(_known(name) for name in names)

    @model_validator(mode="after")
    def _plausible(self) -> ExperimentConfig:
        low, high = self.buckets
        if not 0 <= low < high <= 1:
            raise ValueError(f"`buckets` is a range within 0 and 1; got {low} to {high}")
        if len(self.variants) < 2 or min(self.variants.values()) <= 0:
            raise ValueError("`variants` names at least two, each with a share above 0")
        if abs(sum(self.variants.values()) - 1) > 1e-9:
            raise ValueError(f"shares of `variants` sum to 1; got {sum(self.variants.values())}")
        if self.control not in self.variants:
            raise ValueError(f"`control` is one of the variants; got {self.control!r}")
        if self.start is not None and self.start.tzinfo is None:
            raise ValueError("`start` needs a time zone, for example 2026-01-31T00:00:00Z")
        return self

    @property
    def starts(self) -> float:
        """First moment in Unix seconds; minus infinity without one."""
        return float("-inf") if self.start is None else self.start.timestamp()

    @property
    def shown_metrics(self) -> tuple[str, ...]:
        """Every metric that is measured, the primary one first."""
        names = (self.primary, *self.metrics, *(rail.metric for rail in self.guardrails))
        return tuple(dict.fromkeys(names))
