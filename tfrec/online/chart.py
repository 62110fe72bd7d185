"""Estimates with their intervals as inline SVG, over a range that may lie anywhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from math import floor, isfinite, log10

__all__ = ["Row", "interval_chart"]

_HIGH, _LEFT, _RIGHT, _WIDTH = 30, 165, 72, 500


@dataclass(frozen=True)
class Row:
    """A row of the chart.

    Attributes:
        label: What it is.
        value, low, high: The estimate and its interval.
        shown: The value as text.
        strong: Whether it is what the chart is about.
    """

    label: str
    value: float
    low: float
    high: float
    shown: str
    strong: bool = True


def interval_chart(rows: Sequence[Row], title: str, mark: float, unit: str = "") -> str:
    """One row an estimate, and a line at the value that they are held against.

    Args:
        rows: In the order shown; those without a finite interval are left out.
        title: What is plotted, read out by screen readers.
        mark: Where the line is: no change, or what the live policy earned.
        unit: After the numbers of the axis.

    Returns:
        An `<svg>`; empty text if no row has an interval.
    """
    rows = [row for row in rows if isfinite(row.low) and isfinite(row.high)]
    if not rows:
        return ""
    low, high = min(mark, *(row.low for row in rows)), max(mark, *(row.high for row in rows))
    ticks = _ticks(low, high)
    low, high = min(low, ticks[0]), max(high, ticks[-1])
    width = _WIDTH - _LEFT - _RIGHT

    def x(value: float) -> float:
        return _LEFT + (value - low) / (high - low) * width

    bottom = len(rows) * _HIGH + 6
    body = [
        f'<line class="grid" x1="{x(t):.1f}" x2="{x(t):.1f}" y1="0" y2="{bottom}"/>'
        f'<text class="soft" x="{x(t):.1f}" y="{bottom + 18}" text-anchor="middle">'
        f"{t:g}{unit}</text>"
        for t in ticks
    ]
    body.append(
        f'<line class="other-line" x1="{x(mark):.1f}" x2="{x(mark):.1f}" y1="0" y2="{bottom}"'
        ' stroke-width="1.5" stroke-dasharray="4 3"/>'
    )
    for place, row in enumerate(rows):
        y, kind = place * _HIGH + _HIGH / 2 + 3, "model" if row.strong else "other"
        body.append(
            f'<text x="{_LEFT - 14}" y="{y + 4:.1f}" text-anchor="end">{escape(row.label)}</text>'
            f'<line class="{kind}-line" x1="{x(row.low):.1f}" x2="{x(row.high):.1f}" y1="{y:.1f}"'
            f' y2="{y:.1f}" stroke-width="3"/>'
            f'<circle class="{kind}-fill" cx="{x(row.value):.1f}" cy="{y:.1f}" r="5"/>'
            f'<text x="{_WIDTH - _RIGHT + 16}" y="{y + 4:.1f}">{escape(row.shown)}</text>'
        )
    return (
        f'<svg viewBox="0 0 {_WIDTH} {bottom + 26}" role="img"'
        f' aria-label="{escape(title, quote=True)}">{"".join(body)}</svg>'
    )


def _ticks(low: float, high: float) -> list[float]:
    """Four to eight round numbers that span a range."""
    span = max(high - low, 1e-9)
    step = 10.0 ** floor(log10(span / 4))
    step *= next(factor for factor in (1, 2, 5, 10) if span / (step * factor) <= 6)
    ticks = [floor(low / step) * step]
    while ticks[-1] < high - step * 1e-9:
        ticks.append(ticks[-1] + step)
    return [round(tick, 12) for tick in ticks]
