"""Small charts as inline SVG, which scale to the page and take colours from its style sheet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from typing import Any

import numpy as np
import numpy.typing as npt

from tfrec.inspection.anomalies import shared_bins
from tfrec.inspection.profile import Distribution

__all__ = ["events_over_time", "histogram", "top_values"]

_WIDTH, _HEIGHT, _TOP = 280, 90, 8
_LETTERS = 20


def events_over_time(
    bins: npt.NDArray[np.int64], parts: Mapping[str, npt.NDArray[np.int64]]
) -> str:
    """Events of each part over time, stacked."""
    width, height = 900, 200
    total = np.sum(list(parts.values()), axis=0)
    top = max(int(total.max(initial=0)), 1)
    step = width / max(len(total), 1)
    base = np.full(len(total), float(height))
    body = [f'<line class="axis" x1="0" x2="{width}" y1="{height}" y2="{height}"/>']
    for name, counts in parts.items():
        for place, count in enumerate(counts):
            tall = height * int(count) / top
            base[place] -= tall
            if count:
                body.append(
                    f'<rect class="{name}" x="{place * step:.1f}" y="{base[place]:.1f}"'
                    f' width="{step - 1:.1f}" height="{tall:.1f}">'
                    f"<title>{int(count):,} {name}</title></rect>"
                )
    days = [
        datetime.fromtimestamp(int(bins[0] + share * (bins[-1] - bins[0])), UTC).strftime(
            "%Y-%m-%d"
        )
        for share in (0.0, 0.5, 1.0)
    ]
    # Words stay out of the drawing, which is small on a telephone.
    ends = "".join(f"<span>{day}</span>" for day in days)
    chart = _svg(width, height, "events over time by part", body)
    return (
        f'<p class="soft">Events in each of {len(total)} equal spans of time; the highest has'
        f' {top:,}.</p>{chart}<div class="ends">{ends}</div>'
    )


def histogram(series: Sequence[tuple[str, Distribution]]) -> str:
    """Shares of numbers in equal buckets, series side by side."""
    edges = shared_bins(*(d.numbers for _, d in series if d.numbers is not None))
    shares = [
        (name, np.histogram(d.numbers, edges)[0] / max(len(d.numbers), 1))
        for name, d in series
        if d.numbers is not None
    ]
    top = max((float(values.max()) for _, values in shares), default=1.0) or 1.0
    step = _WIDTH / (len(edges) - 1)
    thick = (step - 3) / max(len(shares), 1)
    body = []
    for place, (name, values) in enumerate(shares):
        for bucket, share in enumerate(values):
            tall = (_HEIGHT - 6) * float(share) / top
            body.append(
                f'<rect class="{name}" x="{bucket * step + place * thick:.1f}"'
                f' y="{_HEIGHT - tall:.1f}" width="{thick:.1f}" height="{tall:.1f}">'
                f"<title>{edges[bucket]:.4g} to {edges[bucket + 1]:.4g}: {share:.1%}</title></rect>"
            )
    body.append(f'<line class="axis" x1="0" x2="{_WIDTH}" y1="{_HEIGHT}" y2="{_HEIGHT}"/>')
    body.append(f'<text x="0" y="{_HEIGHT + 13}">{edges[0]:.4g}</text>')
    body.append(f'<text x="{_WIDTH}" y="{_HEIGHT + 13}" text-anchor="end">{edges[-1]:.4g}</text>')
    return _svg(_WIDTH, _HEIGHT + 18, "histogram", body)


def top_values(series: Sequence[tuple[str, Distribution]]) -> str:
    """Shares of the most frequent values, one row each."""
    counts: list[tuple[str, Mapping[str, int]]] = [(n, d.counts or {}) for n, d in series]
    totals = [max(1, sum(c.values())) for _, c in counts]
    shares: dict[str, float] = {}
    for (_, values), total in zip(counts, totals, strict=True):
        for value, count in values.items():
            shares[value] = max(shares.get(value, 0.0), count / total)
    shown = sorted(shares, key=lambda value: (-shares[value], value))[:_TOP]
    top = max((shares[value] for value in shown), default=1.0)
    left, row = 128, 18
    body = []
    for place, value in enumerate(shown):
        label = value if len(value) <= _LETTERS else value[:_LETTERS] + "…"
        y = place * row
        body.append(f'<text x="{left - 6}" y="{y + 12}" text-anchor="end">{escape(label)}</text>')
        thick = (row - 5) / len(counts)
        for number, ((name, values), total) in enumerate(zip(counts, totals, strict=True)):
            share = values.get(value, 0) / total
            body.append(
                f'<rect class="{name}" x="{left}" y="{y + 2 + number * thick:.1f}"'
                f' width="{(_WIDTH - left - 36) * share / top:.1f}" height="{thick:.1f}"/>'
            )
        own = counts[0][1].get(value, 0) / totals[0]
        body.append(f'<text x="{_WIDTH}" y="{y + 12}" text-anchor="end">{own:.1%}</text>')
    return _svg(_WIDTH, max(row, row * len(shown)), "most frequent values", body)


def _svg(width: float, height: float, title: str, body: Sequence[Any]) -> str:
    inner = "".join(body)
    return (
        f'<svg viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{escape(title)}">'
        f"{inner}</svg>"
    )
