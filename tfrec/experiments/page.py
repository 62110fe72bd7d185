"""The comparison as one page: `report.html`."""

from __future__ import annotations

from html import escape

from tfrec.evaluation.report.style import CSS
from tfrec.experiments.table import SLICES, Row, bar_chart

__all__ = ["lines_of", "page"]

_CHANCE = "random"


def lines_of(rows: list[Row]) -> list[str]:
    """What the figures say: each trained system against chance, the rest and the best baseline.

    Args:
        rows: Of `rows_of`.
    """
    lines = []
    trained = [row for row in rows if row.seeds]
    others = {row.label: row for row in rows if not row.seeds and row.label != _CHANCE}
    chance = next((row for row in rows if row.label == _CHANCE), None)
    for name, title in SLICES.items():
        best = max(
            (row for row in trained if name in row.cells),
            key=lambda row: row.cells[name].value,
            default=None,
        )
        if best is None:
            continue
        own = best.cells[name]
        text = f"{title}: {best.label} {own.value:.4f} ({best.seeds} seeds ± {own.deviation:.4f})"
        against = [
            f"{row.label} {row.cells[name].value:.4f}"
            for row in trained
            if row is not best and name in row.cells
        ]
        rival = max(
            (row for row in others.values() if name in row.cells),
            key=lambda row: row.cells[name].value,
            default=None,
        )
        if rival is not None:
            against.append(f"the best baseline, {rival.label}, {rival.cells[name].value:.4f}")
        if chance is not None and name in chance.cells and chance.cells[name].value > 0:
            times = own.value / chance.cells[name].value
            against.append(f"chance {chance.cells[name].value:.4f}: {times:.1f} times as much")
        lines.append(f"{text}; {'; '.join(against)}" if against else text)
    return lines


def page(rows: list[Row]) -> str:
    """A self-contained HTML page: what the figures say, the chart, every figure.

    Args:
        rows: Of `rows_of`; at least one.
    """
    slices = [name for name in SLICES if any(name in row.cells for row in rows)]
    heads = ("system", "seeds", *(SLICES[name] for name in slices), "parameters", "training s")
    body = []
    for row in rows:
        cells = []
        for name in slices:
            cell = row.cells.get(name)
            seeds = f" ± {cell.deviation:.4f}" if cell and row.seeds > 1 else ""
            cells.append(
                f"<td>{cell.value:.4f}{seeds}<small>{cell.low:.4f} – {cell.high:.4f}</small></td>"
                if cell
                else "<td>–</td>"
            )
        parameters = "–" if row.parameters is None else f"{row.parameters:,}"
        seconds = "–" if row.seconds is None else f"{row.seconds:.0f}"
        body.append(
            f'<tr class="{"model" if row.seeds else ""}"><th scope="row">{escape(row.label)}</th>'
            f"<td>{row.seeds or '–'}</td>{''.join(cells)}<td>{parameters}</td>"
            f"<td>{seconds}</td></tr>"
        )
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in heads)
    said = "".join(f'<p class="line">{escape(line)}.</p>' for line in lines_of(rows))
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Systems compared by {escape(rows[0].metric)}</title><style>{CSS}</style></head>"
        f"<body><main><h1>Systems compared by {escape(rows[0].metric)}</h1>"
        f'<section class="verdict">{said}</section>'
        f"<section><h2>By slice</h2><figure>{bar_chart(rows)}</figure></section>"
        "<section><h2>Every figure</h2><p>Mean over users and seeds, ± the deviation between seeds;"
        " below it the 95 % interval over users."
        '</p><div class="scroll" tabindex="0" role="region" aria-label="Every figure"><table>'
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table></div></section>"
        "</main></body></html>\n"
    )
