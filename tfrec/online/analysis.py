"""From sums to figures; nothing here sees a row of the log."""

from __future__ import annotations

from typing import Literal

import numpy as np

from tfrec.online.events.ignored import REASONS
from tfrec.online.experiments.config import ExperimentConfig
from tfrec.online.experiments.effect import Effect, Ends, measure_effect
from tfrec.online.experiments.guardrails import Guardrail, check_guardrail
from tfrec.online.experiments.metrics import METRICS
from tfrec.online.experiments.sample_ratio import check_sample_ratio
from tfrec.online.interleaving.credit import sign_test
from tfrec.online.measuring import PolicySums, Sums
from tfrec.online.moments import Ratio
from tfrec.online.off_policy.intervals import (
    Interval,
    empirical_bernstein_interval,
    percentile_interval,
    ratio_interval,
)
from tfrec.online.off_policy.trust import warnings_of
from tfrec.online.results import (
    Estimate,
    ExperimentResult,
    IgnoredLine,
    InterleavingResult,
    OnlineReport,
    PolicyResult,
    Value,
)
from tfrec.online.settings import Settings
from tfrec.online.terms import ESTIMATORS, TERMS

__all__ = ["analyse"]

Decision = Literal["better", "worse", "undecided", "invalid"]


def analyse(sums: Sums, logs: int, settings: Settings) -> OnlineReport:
    """All figures.

    Args:
        sums: Of all shards.
        logs: Files read.
        settings: As for the sums.
    """
    metrics = []
    for metric in METRICS.values():
        interval = ratio_interval(sums.everyone.ratio(*metric.columns), settings.level)
        if not np.isnan(interval.value):
            metrics.append(
                Value(
                    metric=metric.name,
                    value=interval.value,
                    low=interval.low,
                    high=interval.high,
                )
            )
    requests = sums.everyone.sums[1]
    counts = sums.ignored.counts
    # Nobody asked for off-policy estimates of a log without targets; a note says what is missing.
    silent = () if sums.policies else ("no_propensities", "no_target")
    said = zip((name for name in REASONS if name in counts), sums.ignored.lines(), strict=True)
    return OnlineReport(
        logs=logs,
        requests=round(requests),
        users=sums.everyone.count,
        first=sums.first if requests else None,
        last=sums.last if requests else None,
        level=settings.level,
        reward=settings.reward,
        clip=settings.clip,
        metrics=metrics,
        policies=[_policy(name, found, settings) for name, found in sums.policies.items()],
        experiments=[_experiment(test, sums) for test in settings.experiments],
        interleaving=[
            _interleaving(pair, counts.tolist()) for pair, counts in sums.interleaved.items()
        ],
        ignored=[
            IgnoredLine(reason=reason, count=counts[reason], line=line)
            for reason, line in said
            if reason not in silent
        ],
        notes=_notes(sums, settings),
    )


def _notes(sums: Sums, settings: Settings) -> list[str]:
    asked = {test.name for test in settings.experiments}
    notes = [
        f"experiment {name}: {users:,} users exposed; give its file by --experiment to analyse it"
        for name, users in sums.seen.items()
        if name not in asked
    ]
    if not sums.policies:
        notes.append(
            "no off-policy estimates: no impression has `propensities` and `targets`"
            " (docs/online.md tells how to log them)"
        )
    return notes


def _policy(name: str, found: PolicySums, settings: Settings) -> PolicyResult:
    place = TERMS.index
    users = found.users
    live = users.ratio(place("reward"), place("requests"))
    estimates = []
    for estimator, above, below in ESTIMATORS:
        ratio = users.ratio(place(above), place(below))
        if np.isnan(ratio.value):
            continue
        drawn = found.replicates
        replicates = np.divide(
            drawn[:, place(above)],
            drawn[:, place(below)],
            out=np.full(len(drawn), np.nan),
            where=drawn[:, place(below)] != 0,
        )
        bernstein = None
        if above == "clipped" and settings.reward in ("click", "conversion") and found.slots:
            clipped = found.clipped
            bernstein = empirical_bernstein_interval(
                float(clipped.mean[0]),
                float(clipped.covariance[0, 0]),
                clipped.count,
                settings.clip * found.slots,
                settings.level,
            )
        apart = ratio.gradient - live.gradient
        error = np.sqrt(max(float(apart @ users.covariance @ apart), 0.0) / users.count)
        difference = Ratio(ratio.value - live.value, float(error), apart)
        estimates.append(
            Estimate(
                estimator=estimator,
                value=ratio.value,
                normal=_ends(ratio_interval(ratio, settings.level)),
                bootstrap=_ends(percentile_interval(ratio.value, replicates, settings.level)),
                bernstein=None if bernstein is None else _ends(bernstein),
                difference=difference.value,
                difference_ends=_ends(ratio_interval(difference, settings.level)),
            )
        )
    return PolicyResult(
        name=name,
        requests=found.weights.count,
        users=users.count,
        effective=found.weights.effective,
        largest_weight=found.weights.largest,
        estimates=estimates,
        warnings=warnings_of(found.weights),
    )


def _ends(interval: Interval) -> Ends:
    return Ends(low=interval.low, high=interval.high)


def _experiment(test: ExperimentConfig, sums: Sums) -> ExperimentResult:
    arms = sums.variants[test.name]
    users = {name: arm.count for name, arm in arms.items()}
    ratio = check_sample_ratio(users, test.variants)
    effects: list[Effect] = []
    guardrails: list[Guardrail] = []
    decisions: dict[str, Decision] = {}
    verdicts: list[str] = []
    for variant in test.variants:
        if variant == test.control:
            continue
        found: dict[str, Effect] = {}
        for name in test.shown_metrics:
            effect = measure_effect(
                METRICS[name],
                variant,
                arms[test.control],
                arms[variant],
                level=test.level,
                tuned_for=test.tuned_for,
                cuped=test.cuped,
            )
            if effect is not None:
                found[name] = effect
        rails = [
            check_guardrail(rail, found[rail.metric], test.sequential)
            for rail in test.guardrails
            if rail.metric in found
        ]
        unknown = [rail.metric for rail in test.guardrails if rail.metric not in found]
        effects += found.values()
        guardrails += rails
        primary = found.get(test.primary)
        decisions[variant] = _decide(test, primary, ratio.mismatch)
        verdicts.append(_verdict(test, variant, decisions[variant], primary, rails, unknown))
    return ExperimentResult(
        name=test.name,
        users=users,
        expected=dict(test.variants),
        sample_ratio_p=ratio.p_value,
        sample_ratio_mismatch=ratio.mismatch,
        sequential=test.sequential,
        level=test.level,
        effects=effects,
        guardrails=guardrails,
        decisions=decisions,
        verdicts=verdicts,
    )


def _decide(test: ExperimentConfig, primary: Effect | None, mismatch: bool) -> Decision:
    if mismatch:
        return "invalid"
    if primary is None:
        return "undecided"
    ends = primary.always if test.sequential else primary.fixed
    if ends.low <= 0 <= ends.high:
        return "undecided"
    return "better" if (ends.low > 0) == METRICS[test.primary].higher_is_better else "worse"


def _verdict(
    test: ExperimentConfig,
    variant: str,
    decision: Decision,
    primary: Effect | None,
    rails: list[Guardrail],
    unknown: list[str],
) -> str:
    if decision == "invalid":
        return (
            f"{variant}: not to be believed: the variants didn't get the users that they should"
            " have (sample ratio mismatch); find out why first"
        )
    metric = METRICS[test.primary]
    if primary is None:
        return f"{variant}: no {metric.title} in both variants yet"
    change = f"{primary.difference:+.4g}" if primary.lift is None else f"{primary.lift:+.1%}"
    said = f"{variant}: {decision} than {test.control} in {metric.title} ({change})"
    if decision == "undecided":
        said = f"{variant}: undecided against {test.control} in {metric.title} ({change} so far)"
    broken = [rail.metric for rail in rails if rail.status == "broken"]
    still = [rail.metric for rail in rails if rail.status == "open"] + unknown
    if broken:
        said += f"; guardrail broken: {', '.join(broken)}"
    if still:
        said += f"; guardrail not yet held: {', '.join(still)}"
    return said


def _interleaving(pair: tuple[str, str], counts: list[int]) -> InterleavingResult:
    wins, losses, ties, lists = counts
    found = sign_test(wins, losses, ties)
    return InterleavingResult(
        first=pair[0],
        second=pair[1],
        lists=lists,
        wins=wins,
        losses=losses,
        ties=ties,
        share=None if np.isnan(found.share) else found.share,
        low=found.low,
        high=found.high,
        p_value=found.p_value,
    )
