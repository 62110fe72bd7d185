"""An online evaluation as text for a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from math import isnan

from tfrec.online.experiments.effect import Effect, Ends
from tfrec.online.experiments.metrics import METRICS
from tfrec.online.results import ExperimentResult, OnlineReport, PolicyResult

__all__ = ["between", "change_of", "period", "table"]


def table(found: OnlineReport) -> str:
    """The figures, one line each."""
    return "\n".join(_lines(found)) + "\n"


def period(found: OnlineReport) -> str:
    """First and last day of the impressions."""
    if found.first is None or found.last is None:
        return "no impressions"
    days = [datetime.fromtimestamp(t, UTC).strftime("%Y-%m-%d") for t in (found.first, found.last)]
    return days[0] if days[0] == days[1] else f"{days[0]} to {days[1]}"


def between(low: float, high: float) -> str:
    """An interval; words where there is too little for one."""
    return "[too few users]" if isnan(low) else f"[{low:.4f}, {high:.4f}]"


def change_of(effect: Effect, sequential: bool) -> tuple[str, str]:
    """An effect and its interval, in percent where the metric allows."""
    lifts = effect.lift_always if sequential else effect.lift_fixed
    if effect.lift is None or lifts is None:
        ends = effect.always if sequential else effect.fixed
        return f"{effect.difference:+.4f}", f"{ends.low:+.4f} to {ends.high:+.4f}"
    return f"{effect.lift:+.1%}", f"{lifts.low:+.1%} to {lifts.high:+.1%}"


def _lines(found: OnlineReport) -> Iterator[str]:
    yield (
        f"{found.requests:,} requests of {found.users:,} users in {found.logs:,} logs,"
        f" {period(found)}"
    )
    for value in found.metrics:
        metric = METRICS[value.metric]
        yield (
            f"  {metric.title:<18}{value.value:>11.4f}  {between(value.low, value.high)}"
            f"  {metric.unit}"
        )
    for test in found.experiments:
        yield ""
        yield from _experiment(test)
    for policy in found.policies:
        yield ""
        yield from _policy(policy, found)
    for pair in found.interleaving:
        yield ""
        share = "–" if pair.share is None else f"{pair.share:.1%}"
        yield (
            f"interleaving {pair.first} and {pair.second}: {pair.lists:,} lists; of"
            f" {pair.wins + pair.losses:,} users who preferred one, {share} preferred"
            f" {pair.first} [{pair.low:.1%}, {pair.high:.1%}], p {pair.p_value:.3g};"
            f" {pair.ties:,} neither"
        )
    for line in found.notes:
        yield ""
        yield line
    if found.ignored:
        yield ""
        yield f"left out, {sum(line.count for line in found.ignored):,} in all:"
        yield from (f"  {line.line}" for line in found.ignored)


def _ends(ends: Ends) -> str:
    return between(ends.low, ends.high)


def _experiment(test: ExperimentResult) -> Iterator[str]:
    users = ", ".join(f"{count:,} {name}" for name, count in test.users.items())
    yield f"experiment {test.name}: {users}; sample ratio p {test.sample_ratio_p:.3g}"
    kind = "at every look" if test.sequential else "at one planned look"
    yield f"  {'metric':<18}{'control':>10}{'variant':>10}{'change':>9}  {test.level:.0%} {kind}"
    for effect in test.effects:
        change, ends = change_of(effect, test.sequential)
        p = effect.always_p_value if test.sequential else effect.p_value
        saved = (
            f", CUPED saves {effect.variance_saved:.0%}" if effect.variance_saved > 0.005 else ""
        )
        yield (
            f"  {METRICS[effect.metric].title:<18}{effect.control:>10.4f}{effect.treatment:>10.4f}"
            f"{change:>9}  {ends}  p {p:.3g}{saved}  {effect.variant}"
        )
    for rail in test.guardrails:
        yield (
            f"  guardrail {METRICS[rail.metric].title}, {rail.variant}: {rail.status}; harm"
            f" {rail.harm_low:+.1%} to {rail.harm_high:+.1%}, at most {rail.worst:.1%}"
        )
    yield from (f"  {line}" for line in test.verdicts)


def _policy(policy: PolicyResult, found: OnlineReport) -> Iterator[str]:
    yield (
        f"policy {policy.name}, {found.reward} a request, had it been live: {policy.requests:,}"
        f" requests, worth {policy.effective:,.0f} of its own"
    )
    yield f"  {'estimator':<24}{'value':>9}  {'normal':<19}{'bootstrap':<19}against live"
    for estimate in policy.estimates:
        against = (
            ""
            if estimate.estimator == "logged"
            else f"{estimate.difference:+.4f} {_ends(estimate.difference_ends)}"
        )
        yield (
            f"  {estimate.estimator:<24}{estimate.value:>9.4f}  {_ends(estimate.normal):<19}"
            f"{_ends(estimate.bootstrap):<19}{against}"
        )
    for line in policy.warnings:
        yield f"  not to be trusted: {line}"
