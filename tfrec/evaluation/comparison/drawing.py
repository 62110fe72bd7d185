"""The comparison as a bar chart and as a page; neither needs anything from elsewhere."""

from __future__ import annotations

from html import escape

from tfrec.evaluation.comparison.compare import Comparison, Pair, SlicePair
from tfrec.evaluation.report.style import CSS

__all__ = ["bar_chart", "page"]

_ONE_SEED = "–"
_WIDTH, _LEFT, _HEAD, _ROW, _SLICE = 440, 6, 48, 19, 70
_STANDALONE = """
<style>text { font:13px system-ui,-apple-system,"Segoe UI",Roboto,sans-serif; fill:#1a1d21 }
.soft { fill:#555c66 } .ours { fill:#0b5cad } .theirs { fill:#7a828c } .whisker { stroke:#1a1d21 }
@media (prefers-color-scheme: dark) { text { fill:#e9ecef } .soft { fill:#a8b0b9 }
.ours { fill:#6cb2ff } .theirs { fill:#8f98a3 } .whisker { stroke:#e9ecef } .back { fill:#1d2125 } }
.back { fill:#ffffff }</style>
""".strip()
_STYLE = """
.ours { fill:var(--model) } .theirs { fill:var(--other) } .whisker { stroke:var(--ink) }
.back { fill:none } th[scope=row] { white-space:normal; min-width:8rem }
"""


def _primary(found: Comparison) -> list[tuple[SlicePair, Pair]]:
    return [
        (part, pair)
        for part in found.slices
        for pair in part.metrics
        if pair.metric == found.primary
    ]


def bar_chart(found: Comparison, *, standalone: bool = True) -> str:
    """Bars of the primary metric by slice, whiskers for the 95 % intervals.

    Args:
        found: The comparison.
        standalone: Whether the SVG is a file of its own and so carries its own style.
    """
    rows = _primary(found)
    top = max((max(pair.ours.high, pair.theirs.high) for _, pair in rows), default=1.0) or 1.0
    scale = (_WIDTH - 2 * _LEFT - 62) / top
    height = _HEAD + len(rows) * _SLICE
    ours, *others = found.systems
    body = [f'<rect class="back" width="{_WIDTH}" height="{height}"/>']
    for line, (kind, label) in enumerate((("ours", ours), ("theirs", ", ".join(others)))):
        body.append(
            f'<rect class="{kind}" x="{_LEFT}" y="{8 + 20 * line}" width="11" height="11"/>'
            f'<text x="{_LEFT + 17}" y="{18 + 20 * line}">{escape(_short(label))}</text>'
        )
    for place, (part, pair) in enumerate(rows):
        y = _HEAD + place * _SLICE
        name = part.title if len(others) == 1 else f"{part.title}, against {part.theirs}"
        body.append(f'<text class="soft" x="{_LEFT}" y="{y + 13}">{escape(_short(name))}</text>')
        for row, (kind, figure) in enumerate((("ours", pair.ours), ("theirs", pair.theirs))):
            at = y + 19 + row * _ROW
            middle = at + _ROW / 2 - 1
            end = _LEFT + max(figure.high, figure.value) * scale + 8
            body += [
                f'<rect class="{kind}" x="{_LEFT}" y="{at}" height="{_ROW - 2}"'
                f' width="{figure.value * scale:.1f}"/>',
                f'<line class="whisker" stroke-width="1.5" y1="{middle}" y2="{middle}"'
                f' x1="{_LEFT + figure.low * scale:.1f}" x2="{_LEFT + figure.high * scale:.1f}"/>',
                f'<text x="{end:.1f}" y="{middle + 5}">{figure.value:.4f}</text>',
            ]
    title = f"{found.primary} of {', '.join(found.systems)} by slice"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img"'
        f' aria-label="{escape(title, quote=True)}">{_STANDALONE if standalone else ""}'
        + "".join(body)
        + "</svg>\n"
    )


def _short(text: str, length: int = 48) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"


def page(found: Comparison) -> str:
    """compare.html: verdicts, chart, and every figure."""
    verdicts = "".join(f'<p class="line">{escape(line)}.</p>' for line in found.verdicts)
    systems = "".join(
        f"<li><b>{escape(label)}</b>: {escape(', '.join(runs))}"
        f" (seed{'s' if len(runs) > 1 else ''} {', '.join(map(str, found.seeds[label]))})</li>"
        for label, runs in found.systems.items()
    )
    left_out = f" {found.users_left_out:,} are in some runs only." if found.users_left_out else ""
    pairs = [pair for part in found.slices for pair in part.metrics]
    # Columns that would say the same in each row only push the others out of sight.
    several = len({part.theirs for part in found.slices}) > 1
    seeded = any(_seeds(pair) != _ONE_SEED for pair in pairs)
    rows = []
    for part in found.slices:
        for pair in part.metrics:
            sure = "model" if pair.low > 0 or pair.high < 0 else ""
            against = f"<td>{escape(part.theirs)}</td>" if several else ""
            seeds = f"<td>{_seeds(pair)}</td>" if seeded else ""
            rows.append(
                f'<tr class="{sure}"><th scope="row">{escape(part.title)}</th>'
                f"{against}<td>{escape(pair.metric)}</td><td>{part.users:,}</td><td>{pair.ours.value:.4f}</td><td>{pair.theirs.value:.4f}</td>"
                f"<td>{pair.difference:+.4f}<small>[{pair.low:+.4f}, {pair.high:+.4f}]</small></td>"
                f"<td>{pair.p_value:.3f}</td><td>"
                f"{'–' if pair.detectable is None else f'{pair.detectable:.4f}'}</td>"
                f"{seeds}</tr>"
            )
    ours = escape(next(iter(found.systems)))
    other = "other" if several else escape(next((part.theirs for part in found.slices), "other"))
    heads = ["slice", *(["against"] if several else []), "metric", "users", ours, other]
    heads += ["difference", "p", "would show", *(["seeds"] if seeded else [])]
    head = "".join(f'<th scope="col">{name}</th>' for name in heads)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Comparison on the {escape(found.split)} part</title><style>{CSS}{_STYLE}</style>"
        f"</head><body><main><h1>Comparison on the {escape(found.split)} part,"
        f" {found.users:,} users in every run.{left_out}</h1>"
        f'<section class="verdict">{verdicts}<ul>{systems}</ul></section>'
        "<section><h2>By slice</h2>"
        f"<figure>{bar_chart(found, standalone=False)}</figure></section>"
        "<section><h2>Every figure</h2><p>Differences are paired by user; intervals are 95 %"
        " bootstrap over users, p of a randomisation test. The verdict looks at one figure; of"
        " twenty slices one is expected to leave 0 out by chance. Bold: the interval leaves 0"
        " out. Would show: the least difference that as many users tell from none in four of five"
        " tests.</p>"
        '<div class="scroll" tabindex="0" role="region" aria-label="Every figure"><table><thead>'
        f"<tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div></section>"
        "</main></body></html>\n"
    )


def _seeds(pair: Pair) -> str:
    if max(len(pair.ours.by_seed), len(pair.theirs.by_seed)) < 2:
        return _ONE_SEED
    sides = (pair.ours.by_seed, pair.theirs.by_seed)
    return " | ".join(", ".join(f"{value:.4f}" for value in side) for side in sides)
