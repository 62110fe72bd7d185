"""A replay as a table for a terminal, as a chart, and as a page."""

from __future__ import annotations

from datetime import UTC, datetime
from html import escape

from tfrec.evaluation.replay.figures import PeriodFigures, Replay
from tfrec.evaluation.report.charts import Point
from tfrec.evaluation.report.over_time import over_time
from tfrec.evaluation.report.style import CSS

__all__ = ["chart", "page", "table"]


def table(found: Replay) -> str:
    """One line a period, and the mean."""
    names = list(found.mean)
    head = f"{'':<4}{'from':<12}{'learnt from':>12}{'users':>8}{'new':>7}"
    lines = [head + "".join(f"{name:>14}" for name in names)]
    for number, one in enumerate(found.periods, 1):
        cells = [
            f"{number:<4}{_day(one.start):<12}{one.train_events:>12,}{one.users:>8,}"
            f"{one.new_items:>7.0%}"
        ]
        cells += [f"{_shown(one, name):>14}" for name in names]
        lines.append("".join(cells))
    lines.append(f"{'mean':<43}" + "".join(f"{found.mean[name]:>14.4f}" for name in names))
    return "\n".join([*lines, found.verdict])


_STANDALONE = """
<style>svg { background:#ffffff } text { font:13px system-ui,sans-serif; fill:#1a1d21 }
.soft { fill:#555c66 } .strong { font-weight:650; fill:#0b5cad } .grid { stroke:#e9ebee }
.model-fill { fill:#0b5cad } .model-line { stroke:#0b5cad }
.other-fill { fill:#7a828c } .other-line { stroke:#7a828c }</style>
""".strip()


def chart(found: Replay, *, standalone: bool = False) -> str:
    """The metric over time, a line a system, as SVG.

    Args:
        found: The replay.
        standalone: Whether it is a file of its own and so carries its own style.
    """
    asked = [one for one in found.periods if one.users]
    series = {
        name: [
            Point(name, one.systems[name].value or 0.0, one.systems[name].low,
                  one.systems[name].high) if name in one.systems else None
            for one in asked
        ]
        for name in found.mean
    }  # fmt: skip
    labels = [_day(one.start)[:7] for one in asked]
    drawn = over_time(labels, series, f"{found.metric} by period")
    if not standalone:
        return drawn
    head, _, rest = drawn.partition(">")
    return f'{head} xmlns="http://www.w3.org/2000/svg">{_STANDALONE}{rest}'


def page(found: Replay) -> str:
    """replay.html: verdict, chart and every figure, in one file."""
    rows = []
    for one in found.periods:
        cells = "".join(f"<td>{_cell(one, name)}</td>" for name in found.mean)
        rows.append(
            f'<tr><th scope="row">{_day(one.start)}<small> to {_day(one.end - 1)}</small></th>'
            f"<td>{one.train_events:,}</td><td>{one.users:,}</td><td>{one.new_items:.0%}</td>"
            f"{cells}</tr>"
        )
    means = "".join(
        f"<td>{mean:.4f}<small>± {found.deviation[name] or 0:.4f}</small></td>"
        for name, mean in found.mean.items()
    )
    heads = "".join(
        f'<th scope="col">{escape(name)}</th>'
        for name in ("period", "learnt from", "users", "new items", *found.mean)
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Replay of {escape(found.data)}</title><style>{CSS}</style></head><body><main>"
        f"<h1>Replay of {escape(found.data)}, {len(found.periods)} periods</h1>"
        f'<section class="verdict"><p class="line">{escape(found.verdict)}.</p>'
        '<p class="soft">Every system learns again before each period, from what lies before it'
        " alone.</p></section>"
        f"<section><h2>{escape(found.metric)} over time</h2>"
        '<p class="soft">Whiskers: 95 % intervals over the users of the period.</p>'
        f"<figure>{chart(found)}</figure></section>"
        '<section><h2>Every figure</h2><div class="scroll" tabindex="0" role="region"'
        ' aria-label="figures by period"><table><thead><tr>'
        f"{heads}</tr></thead><tbody>{''.join(rows)}"
        '<tr class="model"><th scope="row">mean<small> ± deviation over periods</small></th>'
        f"<td></td><td></td><td></td>{means}</tr></tbody></table></div>"
        '<p class="soft">New items: the share of what was to be found that nobody had met before'
        " in training; systems of behaviour alone can't find it. Vocabularies and means of"
        " features are those of the data's own train part, so a model with features knows some"
        " of the future in early periods; systems of behaviour alone don't.</p></section>"
        "</main></body></html>\n"
    )


def _cell(one: PeriodFigures, name: str) -> str:
    figure = one.systems.get(name)
    if figure is None or figure.value is None:
        return "–"
    between = "" if figure.low is None else f"<small>{figure.low:.3f} – {figure.high:.3f}</small>"
    return f"{figure.value:.4f}{between}"


def _shown(one: PeriodFigures, name: str) -> str:
    value = one.systems[name].value if name in one.systems else None
    return "–" if value is None else f"{value:.4f}"


def _day(moment: int) -> str:
    return datetime.fromtimestamp(moment, UTC).date().isoformat()
