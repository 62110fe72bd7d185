"""The figures of an online evaluation: what online.json holds."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from tfrec.online.experiments.effect import Effect, Ends
from tfrec.online.experiments.guardrails import Guardrail
from tfrec.online.number import Number

__all__ = [
    "Estimate",
    "ExperimentResult",
    "IgnoredLine",
    "InterleavingResult",
    "OnlineReport",
    "PolicyResult",
    "Value",
]


class _Result(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Value(_Result):
    """A metric over all users, with its interval."""

    metric: str
    value: float
    low: Number
    high: Number


class Estimate(_Result):
    """An off-policy estimate of the reward a request.

    Attributes:
        estimator: Its name.
        value: The estimate.
        normal, bootstrap: Intervals over users.
        bernstein: Holds at any size, over requests as if they were independent; for clipped IPS of
            clicks or conversions.
        difference: Value minus what the live policy earned on the same requests.
        difference_ends: Its normal interval.
    """

    estimator: str
    value: float
    normal: Ends
    bootstrap: Ends
    bernstein: Ends | None
    difference: float
    difference_ends: Ends


class PolicyResult(_Result):
    """A policy that was not live.

    Attributes:
        name: As in `targets`.
        requests, users: That have both propensities.
        effective: Effective sample size of whole lists, in requests.
        largest_weight: Of a whole list.
        estimates: By each estimator that the log allows; the first is the live policy itself.
        warnings: Why the estimates by whole lists can't be trusted; empty when nothing speaks
            against it.
    """

    name: str
    requests: int
    users: int
    effective: float
    largest_weight: float
    estimates: list[Estimate]
    warnings: list[str]


class ExperimentResult(_Result):
    """An A/B test.

    Attributes:
        name: Of the experiment file.
        users: By variant.
        expected: Shares by design.
        sample_ratio_p: Of the chi-square test.
        sample_ratio_mismatch: Whether the test fails; if so, no effect can be believed.
        sequential: Whether decisions are by the always-valid intervals.
        level: Of the intervals.
        effects: Every metric of every variant against the control.
        guardrails: What became of each.
        decisions: By variant, of the primary metric: better or worse than the control, undecided,
            or invalid where the sample ratio is wrong.
        verdicts: The same as a line, with what became of the guardrails.
    """

    name: str
    users: dict[str, int]
    expected: dict[str, float]
    sample_ratio_p: float
    sample_ratio_mismatch: bool
    sequential: bool
    level: float
    effects: list[Effect]
    guardrails: list[Guardrail]
    decisions: dict[str, Literal["better", "worse", "undecided", "invalid"]]
    verdicts: list[str]


class InterleavingResult(_Result):
    """Two rankers in one list.

    Attributes:
        first, second: The teams.
        lists: Interleaved.
        wins, losses, ties: Users who preferred the first, the second, neither.
        share: Wins among those who preferred one; `None` without any.
        low, high: Its interval.
        p_value: Of the sign test.
    """

    first: str
    second: str
    lists: int
    wins: int
    losses: int
    ties: int
    share: float | None
    low: float
    high: float
    p_value: float


class IgnoredLine(_Result):
    """What was left out for one reason: how often, and the line that says so."""

    reason: str
    count: int
    line: str


class OnlineReport(_Result):
    """Everything that `tfrec online` found.

    Attributes:
        logs: Files read.
        requests, users: With an impression.
        first, last: Unix seconds of the first and last impression; `None` without any.
        level: Of intervals outside of experiments.
        reward: Whose sum a request the policies' values are.
        clip: Greatest weight of clipped IPS.
        metrics: Over all users.
        policies, experiments, interleaving: What was found.
        ignored: What was left out.
        notes: What the logs didn't allow.
    """

    logs: int
    requests: int
    users: int
    first: float | None
    last: float | None
    level: float
    reward: str
    clip: float
    metrics: list[Value]
    policies: list[PolicyResult]
    experiments: list[ExperimentResult]
    interleaving: list[InterleavingResult]
    ignored: list[IgnoredLine]
    notes: list[str]
