"""A line a system over time, as inline SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from tfrec.evaluation.report.charts import LETTER, WIDTH, Point, cut, steps, svg

__all__ = ["over_time"]

_DASHES = ("", "7 4", "2 3", "9 3 2 3")


def over_time(
    labels: Sequence[str], series: Mapping[str, Sequence[Point | None]], title: str
) -> str:
    """A line a system over periods, with whiskers; told apart by dash and by the name at its end.

    Args:
        labels: Of the periods.
        series: By system, a point a period; `None` where it has none.
        title: What is plotted.
    """
    longest = max(len(name) for name in series)
    width, height, left, bottom, top = WIDTH, 260, 48, 30, 12
    right = min(24 + LETTER * longest, width * 0.4)
    points = [point for values in series.values() for point in values if point is not None]
    ticks = steps(0.0, max(max(point.value, point.high or 0.0) for point in points))
    scale = (height - top - bottom) / ticks[-1]
    body = []
    for tick in ticks:
        y = height - bottom - tick * scale
        body.append(
            f'<line class="grid" x1="{left}" x2="{width - right:.1f}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text class="soft" x="{left - 8}" y="{y + 4:.1f}" text-anchor="end">{tick:g}</text>'
        )
    step = (width - right - left - 24) / max(len(labels) - 1, 1)
    every = -(-len(labels) // 4)
    for place, label in enumerate(labels):
        if place % every == 0:
            body.append(
                f'<text class="soft" x="{left + 12 + place * step:.1f}" y="{height - 8}"'
                f' text-anchor="middle">{escape(label)}</text>'
            )
    names: list[tuple[float, str, str]] = []
    strongest = max(series, key=lambda name: sum(p.value for p in series[name] if p is not None))
    for number, (name, values) in enumerate(series.items()):
        kind = "model" if name == strongest else "other"
        dash = _DASHES[number % len(_DASHES)]
        at = []
        for place, point in enumerate(values):
            if point is None:
                continue
            # Beside each other, so that whiskers can be told apart.
            x = left + 12 + place * step + (number - (len(series) - 1) / 2) * 4
            y = height - bottom - point.value * scale
            at.append((x, y))
            if point.low is not None and point.high is not None:
                ends = [height - bottom - end * scale for end in (point.low, point.high)]
                body.append(
                    f'<line class="{kind}-line" opacity="0.5" x1="{x:.1f}" x2="{x:.1f}"'
                    f' y1="{ends[0]:.1f}" y2="{ends[1]:.1f}"/>'
                )
            body.append(f'<circle class="{kind}-fill" cx="{x:.1f}" cy="{y:.1f}" r="3.5"/>')
        path = " ".join(f"{'L' if i else 'M'}{x:.1f} {y:.1f}" for i, (x, y) in enumerate(at))
        style = f' stroke-dasharray="{dash}"' if dash else ""
        body.append(f'<path class="{kind}-line" d="{path}" fill="none" stroke-width="2.5"{style}/>')
        names.append((at[-1][1], name, "strong" if kind == "model" else "plain"))
    below = -1e9
    for y, name, word in sorted(names):
        below = max(y + 4, below + 17)
        body.append(
            f'<text class="{word}" x="{width - right + 4:.1f}" y="{below:.1f}">'
            f"{escape(cut(name, int((right - 8) / LETTER)))}</text>"
        )
    return svg(width, height, title, body)
