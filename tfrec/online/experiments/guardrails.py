"""Guardrails: metrics that a change must not harm by more than is put up with."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from tfrec.online.experiments.config import GuardrailConfig
from tfrec.online.experiments.effect import Effect, Ends
from tfrec.online.experiments.metrics import METRICS
from tfrec.online.number import Number

__all__ = ["Guardrail", "check_guardrail"]


class Guardrail(BaseModel):
    """What became of a guardrail.

    Attributes:
        metric, variant: Which.
        worst: Largest harm that is put up with.
        harm_low, harm_high: Interval of the harm, relative where the metric allows; negative is a
            gain.
        status: `held`: the harm is surely below; `broken`: surely above; `open`: can't tell yet.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    metric: str
    variant: str
    worst: float
    harm_low: Number
    harm_high: Number
    status: Literal["held", "broken", "open"]


def check_guardrail(config: GuardrailConfig, effect: Effect, sequential: bool) -> Guardrail:
    """A test of non-inferiority: held only when the interval's bad end is within `worst`.

    Args:
        config: The rule.
        effect: Of its metric.
        sequential: Whether to judge by the interval that holds at every look.
    """
    ends = effect.lift_always if sequential else effect.lift_fixed
    if ends is None and not METRICS[config.metric].relative:
        ends = effect.always if sequential else effect.fixed
    if ends is None:
        # The control may be 0, so no relative harm is ruled out.
        ends = Ends(low=float("-inf"), high=float("inf"))
    low, high = ends.low, ends.high
    if METRICS[config.metric].higher_is_better:
        low, high = -high, -low
    status: Literal["held", "broken", "open"] = "open"
    if high <= config.worst:
        status = "held"
    elif low > config.worst:
        status = "broken"
    return Guardrail(
        metric=config.metric,
        variant=effect.variant,
        worst=config.worst,
        harm_low=low,
        harm_high=high,
        status=status,
    )
