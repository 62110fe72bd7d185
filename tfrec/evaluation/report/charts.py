"""Charts as inline SVG: they scale to the page and take their colours from the style sheet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from math import floor, isfinite, log10

__all__ = [
    "LETTER",
    "WIDTH",
    "Loss",
    "Point",
    "bars",
    "cut",
    "intervals",
    "lines",
    "losses",
    "reliability",
    "steps",
    "svg",
]

_ROW = 30
# Narrow enough that its letters stay readable on a phone; the style sheet bounds it on a desk.
WIDTH = 440
# What a bold letter takes, on a phone, where they are larger.
LETTER = 9.2


@dataclass(frozen=True)
class Point:
    """A row of an interval chart.

    Attributes:
        label: What it is.
        value, low, high: The mean and its interval; the ends are absent when there is none.
        strong: Whether it is the model's.
    """

    label: str
    value: float
    low: float | None = None
    high: float | None = None
    strong: bool = False


@dataclass(frozen=True)
class Loss:
    """A row of a chart of differences.

    Attributes:
        label: What it is.
        value, low, high: The difference and its interval.
        sure: Whether the interval leaves 0 out.
    """

    label: str
    value: float
    low: float
    high: float
    sure: bool


def steps(low: float, high: float, count: int = 4) -> list[float]:
    """Round numbers that span a range."""
    span = max(high - low, 1e-12)
    step = 10.0 ** floor(log10(span / count))
    for factor in (1, 2, 5, 10):
        if span / (step * factor) <= count:
            step *= factor
            break
    first = floor(low / step)
    ticks: list[float] = []
    while not ticks or ticks[-1] < high - step * 1e-9:
        ticks.append(round((first + len(ticks)) * step, 12))
    return ticks


def cut(label: str, longest: int) -> str:
    """A label that fits; the number of users at its end stays."""
    if len(label) <= longest:
        return label
    name, bracket, rest = label.rpartition(" (")
    if not bracket:
        return label[: longest - 1] + "…"
    return name[: max(longest - len(rest) - 3, 1)] + "…" + bracket + rest


def svg(width: int, height: int, title: str, body: Sequence[str]) -> str:
    """A drawing with its title for screen readers."""
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title, quote=True)}">'
        + "".join(body)
        + "</svg>"
    )


def intervals(points: Sequence[Point], title: str, *, width: int = WIDTH) -> str:
    """Means with their intervals, one row each: overlap is seen at once.

    Args:
        points: Rows, in the order shown.
        title: What is plotted, read out by screen readers.
        width: Of the drawing's own coordinates.
    """
    longest = int((width * 0.5 - 16) / LETTER)
    left = 16 + LETTER * min(max(len(point.label) for point in points), longest)
    right = 62
    top = max(max(p.value, p.high or 0.0) for p in points)
    ticks = steps(0.0, max(top, 1e-6))
    scale = (width - left - right) / ticks[-1]
    height = _ROW * len(points) + 26
    body = []
    for tick in ticks:
        x = left + tick * scale
        body.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="4" y2="{height - 22}"/>')
        body.append(
            f'<text class="soft" x="{x:.1f}" y="{height - 6}" text-anchor="middle">{tick:g}</text>'
        )
    for row, point in enumerate(points):
        y = row * _ROW + _ROW / 2 + 2
        kind = "model" if point.strong else "other"
        word = "strong" if point.strong else "plain"
        x = left + point.value * scale
        body.append(
            f'<text class="{word}" x="{left - 10}" y="{y + 4.5}" text-anchor="end">'
            f"{escape(cut(point.label, longest))}</text>"
        )
        end = x
        if point.low is not None and point.high is not None:
            start, end = left + point.low * scale, left + point.high * scale
            body.append(
                f'<line class="{kind}-line" stroke-width="3" stroke-linecap="round"'
                f' x1="{start:.1f}" x2="{end:.1f}" y1="{y}" y2="{y}" opacity="0.55"/>'
            )
        body.append(f'<circle class="{kind}-fill" cx="{x:.1f}" cy="{y}" r="5.5"/>')
        body.append(
            f'<text class="{word}" x="{max(end, x) + 12:.1f}" y="{y + 4.5}">'
            f"{point.value:.3f}</text>"
        )
    return svg(width, height, title, body)


def lines(
    epochs: Sequence[float], loss: Sequence[float], metric: Sequence[float], name: str
) -> str:
    """Training curve: the monitored metric, and the loss on its own scale, over epochs.

    Args:
        epochs: Numbers of the epochs.
        loss: Of each; NaN where unknown.
        metric: Of each; NaN where unknown.
        name: Of the metric.
    """
    width, height, left, right, bottom, top = WIDTH, 230, 48, 44, 34, 26
    body = []
    span = max(epochs[-1] - epochs[0], 1)
    known = [value for value in metric if isfinite(value)]
    losses = [value for value in loss if isfinite(value)]

    def x(epoch: float) -> float:
        if len(epochs) == 1:
            return (left + width - right) / 2
        return left + (epoch - epochs[0]) / span * (width - left - right)

    def draw(values: Sequence[float], ticks: Sequence[float], kind: str) -> None:
        low, high = ticks[0], ticks[-1]
        at = [
            (x(epoch), top + (high - value) / max(high - low, 1e-12) * (height - top - bottom))
            for epoch, value in zip(epochs, values, strict=True)
            if isfinite(value)
        ]
        path = " ".join(f"{'L' if i else 'M'}{a:.1f} {b:.1f}" for i, (a, b) in enumerate(at))
        dash = "" if kind == "model" else ' stroke-dasharray="5 4"'
        body.append(f'<path class="{kind}-line" d="{path}" fill="none" stroke-width="2.5"{dash}/>')
        side = kind == "model"
        for tick in ticks:
            y = top + (high - tick) / max(high - low, 1e-12) * (height - top - bottom)
            if side:
                body.append(
                    f'<line class="grid" x1="{left}" x2="{width - right}" y1="{y:.1f}"'
                    f' y2="{y:.1f}"/>'
                )
            place, anchor = (left - 8, "end") if side else (width - right + 8, "start")
            word = "soft" if side else "loss-text"
            body.append(
                f'<text class="{word}" x="{place}" y="{y + 4:.1f}" text-anchor="{anchor}">'
                f"{tick:g}</text>"
            )
        if side and at:
            best = max(range(len(at)), key=lambda i: known[i])
            body.append(
                f'<circle class="model-fill" cx="{at[best][0]:.1f}" cy="{at[best][1]:.1f}"'
                ' r="5.5"/>'
            )

    if known:
        draw(metric, steps(min(0.0, *known), max(known)), "model")
    if losses:
        draw(loss, steps(min(losses), max(losses)), "loss")
    shown = epochs if len(epochs) <= 12 else epochs[:: -(-len(epochs) // 12)]
    for epoch in shown:
        body.append(
            f'<text class="soft" x="{x(epoch):.1f}" y="{height - 14}" text-anchor="middle">'
            f"{epoch:g}</text>"
        )
    body.append(f'<text class="strong" x="{left}" y="14">{escape(name)}, validation</text>')
    if losses:
        body.append(
            f'<text class="loss-text" x="{width - right}" y="14" text-anchor="end">'
            "loss (dashed)</text>"
        )
    body.append(
        f'<text class="soft" x="{width / 2}" y="{height - 1}" text-anchor="middle">epoch</text>'
    )
    return svg(width, height + 4, f"{name} and loss by epoch", body)


def bars(groups: Sequence[str], series: Mapping[str, Sequence[float]], title: str) -> str:
    """Shares of a few series side by side in each group.

    Args:
        groups: Labels below.
        series: By name, a share for each group; the first is the model's.
        title: What is plotted.
    """
    width, height, left, bottom, top = WIDTH, 230, 44, 40, 10
    ticks = steps(0.0, max(max(values) for values in series.values()))
    scale = (height - top - bottom) / ticks[-1]
    body = []
    for tick in ticks:
        y = height - bottom - tick * scale
        body.append(f'<line class="grid" x1="{left}" x2="{width}" y1="{y:.1f}" y2="{y:.1f}"/>')
        body.append(
            f'<text class="soft" x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">'
            f"{tick * 100:g}%</text>"
        )
    slot = (width - left) / len(groups)
    thick = slot * 0.8 / len(series)
    for place, label in enumerate(groups):
        for number, values in enumerate(series.values()):
            x = left + place * slot + slot * 0.1 + number * thick
            tall = values[place] * scale
            opacity = ("1", "0.9", "0.45")[min(number, 2)]
            kind = "model" if number == 0 else "other"
            body.append(
                f'<rect class="{kind}-fill" x="{x:.1f}" y="{height - bottom - tall:.1f}"'
                f' width="{thick - 1.5:.1f}" height="{tall:.1f}" opacity="{opacity}"/>'
            )
        body.append(
            f'<text class="soft" x="{left + (place + 0.5) * slot:.1f}" y="{height - 18}"'
            f' text-anchor="middle">{escape(label)}</text>'
        )
    return svg(width, height, title, body)


def losses(rows: Sequence[Loss], title: str) -> str:
    """Differences around a line at 0, with their intervals.

    Args:
        rows: In the order shown.
        title: What is plotted.
    """
    longest = int((WIDTH * 0.42) / LETTER)
    left = 16 + LETTER * min(max(len(row.label) for row in rows), longest)
    right = 74
    low, high = min(0.0, *(row.low for row in rows)), max(0.0, *(row.high for row in rows))
    ticks = steps(low, max(high, low + 1e-6), 3)
    scale = (WIDTH - left - right) / (ticks[-1] - ticks[0])
    height = _ROW * len(rows) + 26
    body = []
    for tick in ticks:
        x = left + (tick - ticks[0]) * scale
        kind = "zero" if abs(tick) < 1e-12 else "grid"
        body.append(
            f'<line class="{kind}" x1="{x:.1f}" x2="{x:.1f}" y1="4" y2="{height - 22}"/>'
            f'<text class="soft" x="{x:.1f}" y="{height - 6}" text-anchor="middle">{tick:g}</text>'
        )
    for place, row in enumerate(rows):
        y = place * _ROW + _ROW / 2 + 2
        kind, word = ("model", "strong") if row.sure else ("other", "plain")
        start, x, end = (left + (v - ticks[0]) * scale for v in (row.low, row.value, row.high))
        body.append(
            f'<text class="{word}" x="{left - 10}" y="{y + 4.5}" text-anchor="end">'
            f"{escape(cut(row.label, longest))}</text>"
            f'<line class="{kind}-line" stroke-width="3" stroke-linecap="round" opacity="0.55"'
            f' x1="{start:.1f}" x2="{end:.1f}" y1="{y}" y2="{y}"/>'
            f'<circle class="{kind}-fill" cx="{x:.1f}" cy="{y}" r="5.5"/>'
            f'<text class="{word}" x="{WIDTH}" y="{y + 4.5}" text-anchor="end">'
            f"{row.value:+.4f}</text>"
        )
    return svg(WIDTH, height, title, body)


def reliability(predicted: Sequence[float], observed: Sequence[float], title: str) -> str:
    """A reliability diagram: on the diagonal, what was said is what came.

    Args:
        predicted: Mean probability of each group.
        observed: Share of each group that was relevant.
        title: What is plotted.
    """
    width, height, left, bottom, top = WIDTH, 300, 58, 42, 10
    ticks = steps(0.0, max(*predicted, *observed, 1e-6))
    across, up = (width - left - 14) / ticks[-1], (height - top - bottom) / ticks[-1]
    body = []
    for tick in ticks:
        x, y = left + tick * across, height - bottom - tick * up
        body.append(
            f'<line class="grid" x1="{left}" x2="{width - 14}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text class="soft" x="{left - 8}" y="{y + 4:.1f}" text-anchor="end">'
            f"{tick * 100:g}%</text>"
            f'<text class="soft" x="{x:.1f}" y="{height - 24}" text-anchor="middle">'
            f"{tick * 100:g}%</text>"
        )
    body.append(
        f'<line class="other-line" stroke-dasharray="5 4" x1="{left}" x2="{width - 14}"'
        f' y1="{height - bottom}" y2="{top}"/>'
    )
    at = [
        (left + p * across, height - bottom - o * up)
        for p, o in zip(predicted, observed, strict=True)
    ]
    path = " ".join(f"{'L' if i else 'M'}{x:.1f} {y:.1f}" for i, (x, y) in enumerate(at))
    body.append(f'<path class="model-line" d="{path}" fill="none" stroke-width="2"/>')
    body += [f'<circle class="model-fill" cx="{x:.1f}" cy="{y:.1f}" r="4.5"/>' for x, y in at]
    body.append(
        f'<text class="soft" x="{(left + width) / 2}" y="{height - 5}" text-anchor="middle">'
        "chance said (across), share that came (up); dashed: equal</text>"
    )
    return svg(width, height, title, body)
