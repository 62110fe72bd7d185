"""online.html: one file, light and dark, no script, nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from tfrec.evaluation.report.style import CSS
from tfrec.online.chart import Row, interval_chart
from tfrec.online.experiments.metrics import METRICS
from tfrec.online.results import ExperimentResult, InterleavingResult, OnlineReport, PolicyResult
from tfrec.online.table import between, change_of, period

__all__ = ["page"]


def page(found: OnlineReport) -> str:
    """The whole page.

    Args:
        found: The figures.
    """
    body = [
        f"<h1>{found.requests:,} requests of {found.users:,} users, {period(found)}</h1>",
        *(_experiment(test) for test in found.experiments),
        *(_policy(policy, found) for policy in found.policies),
        *(_interleaving(pair) for pair in found.interleaving),
        _metrics(found),
        _left_out(found),
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Online evaluation, {period(found)}</title><style>{CSS}</style></head>"
        "<body><main>" + "\n".join(part for part in body if part) + "</main></body></html>\n"
    )


def _table(caption: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in heads)
    lines = "".join(
        f'<tr><th scope="row">{escape(row[0])}</th>'
        + "".join(f"<td>{escape(cell)}</td>" for cell in row[1:])
        + "</tr>"
        for row in rows
    )
    # Focusable, so that a keyboard can scroll what a narrow screen cuts off.
    return (
        '<div class="scroll" tabindex="0" role="region"'
        f' aria-label="{escape(caption, quote=True)}">'
        f"<table><caption>{escape(caption)}</caption><thead><tr>{head}</tr></thead>"
        f"<tbody>{lines}</tbody></table></div>"
    )


def _tone(test: ExperimentResult) -> str:
    """Green when a variant may be taken, red when one must not, neither while undecided."""
    words = set(test.decisions.values())
    broken = any(rail.status == "broken" for rail in test.guardrails)
    if broken or words & {"worse", "invalid"}:
        return ' class="verdict no"'
    return ' class="verdict yes"' if "better" in words else ' class="verdict"'


def _experiment(test: ExperimentResult) -> str:
    verdicts = "".join(f'<p class="line">{escape(line)}</p>' for line in test.verdicts)
    users = ", ".join(f"{count:,} {escape(name)}" for name, count in test.users.items())
    kind = "at every look" if test.sequential else "at one planned look"
    points = []
    rows = []
    for effect in test.effects:
        change, ends = change_of(effect, test.sequential)
        metric = METRICS[effect.metric]
        label = metric.title if len(test.decisions) == 1 else f"{metric.title}, {effect.variant}"
        p_value = effect.always_p_value if test.sequential else effect.p_value
        lifts = effect.lift_always if test.sequential else effect.lift_fixed
        if effect.lift is not None and lifts is not None:
            points.append(Row(label, 100 * effect.lift, 100 * lifts.low, 100 * lifts.high, change))
        rows.append(
            (
                label,
                f"{effect.control:.4f}",
                f"{effect.treatment:.4f}",
                change,
                ends,
                f"{p_value:.3g}",
                f"{effect.variance_saved:.0%}",
            )
        )
    chart = interval_chart(points, f"change in percent, {test.name}", 0.0, " %")
    rails = "".join(
        f"<li>{escape(METRICS[rail.metric].title)}, {escape(rail.variant)}: <b>{rail.status}</b>;"
        f" harm {rail.harm_low:+.1%} to {rail.harm_high:+.1%}, at most {rail.worst:.1%}</li>"
        for rail in test.guardrails
    )
    heads = ("metric", "control", "variant", "change", "interval", "p", "CUPED saves")
    return (
        f"<section{_tone(test)}><h2>Experiment {escape(test.name)}</h2>"
        f'{verdicts}<p class="soft">{users}; sample ratio p = {test.sample_ratio_p:.3g}.'
        f" {test.level:.0%} intervals that hold {kind}.</p>"
        + (f"<h3>Change in percent</h3><figure>{chart}</figure>" if chart else "")
        + _table(f"Metrics of {test.name}", heads, rows)
        + (f"<h3>Guardrails</h3><ul>{rails}</ul>" if rails else "")
        + "</section>"
    )


def _policy(policy: PolicyResult, found: OnlineReport) -> str:
    points, rows = [], []
    for estimate in policy.estimates:
        ends = estimate.normal
        live = estimate.estimator == "logged"
        name = "live policy" if live else estimate.estimator
        shown = f"{estimate.value:.3f}"
        points.append(Row(name, estimate.value, ends.low, ends.high, shown, strong=not live))
        against = estimate.difference_ends
        rows.append(
            (
                name,
                f"{estimate.value:.4f}",
                between(ends.low, ends.high),
                between(estimate.bootstrap.low, estimate.bootstrap.high),
                "" if live else f"{estimate.difference:+.4f}",
                "" if live else between(against.low, against.high),
            )
        )
    live_value = policy.estimates[0].value if policy.estimates else 0.0
    chart = interval_chart(points, f"{found.reward} a request under {policy.name}", live_value)
    said = "".join(f"<li>{escape(line)}</li>" for line in policy.warnings)
    heads = ("estimator", "value", "normal", "bootstrap", "against live", "interval")
    return (
        f"<section><h2>Policy {escape(policy.name)}, had it been live</h2>"
        f'<p class="soft">{escape(found.reward)} a request, from {policy.requests:,} requests of'
        f" {policy.users:,} users that are worth {policy.effective:,.0f} requests of its own;"
        f" greatest weight {policy.largest_weight:.1f}.</p>"
        + (f"<h3>Not to be trusted</h3><ul>{said}</ul>" if said else "")
        + f"<figure>{chart}</figure>{_table(f'Estimates for {policy.name}', heads, rows)}</section>"
    )


def _interleaving(pair: InterleavingResult) -> str:
    first, second = escape(pair.first), escape(pair.second)
    share = "none" if pair.share is None else f"{pair.share:.1%}"
    return (
        f"<section><h2>Interleaving: {first} and {second}</h2>"
        f"<p>Of {pair.wins + pair.losses:,} users who preferred one, {share} preferred {first}"
        f" ({pair.low:.1%} to {pair.high:.1%}, p = {pair.p_value:.3g}); {pair.ties:,} preferred"
        f" neither. {pair.lists:,} lists.</p></section>"
    )


def _metrics(found: OnlineReport) -> str:
    rows = [
        (
            METRICS[value.metric].title,
            f"{value.value:.4f}",
            between(value.low, value.high),
            METRICS[value.metric].unit,
        )
        for value in found.metrics
    ]
    if not rows:
        return ""
    heads = ("metric", "value", f"{found.level:.0%} interval", "unit")
    return f"<section><h2>All users</h2>{_table('Metrics of all users', heads, rows)}</section>"


def _left_out(found: OnlineReport) -> str:
    lines = "".join(
        f"<li>{escape(line)}</li>" for line in (*found.notes, *(one.line for one in found.ignored))
    )
    return f"<section><h2>Notes, and what was left out</h2><ul>{lines}</ul></section>" * bool(lines)
