"""Puts the report together: from the verdict, down to what to try next."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from tfrec.evaluation.figures import Evaluation, Figure, Slice
from tfrec.evaluation.gate import MODEL
from tfrec.evaluation.held_out import HeldOut
from tfrec.evaluation.media import ItemMedia
from tfrec.evaluation.rankings import Rankings
from tfrec.evaluation.report import charts, examples
from tfrec.evaluation.report.advice import advise
from tfrec.evaluation.report.in_short import in_short
from tfrec.evaluation.report.style import CSS
from tfrec.evaluation.table import table_metrics

__all__ = ["report"]

_POPULARITY = ("least", "2nd", "3rd", "4th", "most")
_WORDS = {
    "ndcg": "NDCG",
    "recall": "recall",
    "hit_rate": "hit rate",
    "mrr": "MRR",
    "precision": "precision",
}


def report(
    found: Evaluation,
    held_out: HeldOut,
    rankings: Sequence[Rankings],
    media: ItemMedia,
    history: Sequence[dict[str, Any]],
) -> str:
    """The whole page: one file, no script, nothing from elsewhere.

    Args:
        found: The figures.
        held_out: The question, for examples.
        rankings: The answers, the model's among them.
        media: Names and pictures.
        history: The training's epochs; empty leaves its curve out.
    """
    lists = next(ranked for ranked in rankings if ranked.name == MODEL).lists["all"]
    body = [
        f"<h1>{escape(found.model)} on the {found.split} part of {escape(found.data)}</h1>",
        _verdict(found, history),
        _against(found, found.slices[0], "Against the baselines"),
    ]
    for name, title in (("cold", "New items"), ("warm", "Items with behaviour")):
        part = found.slice(name)
        if part is not None:
            body.append(_against(found, part, title))
    body += [
        _training(found, history),
        _slices(found),
        _contributions(found),
        _section(
            "Examples",
            "The latest liked items of some users, and the model's list for them, as it would have"
            " been on the day. Marked: what they then went on to like."
            + examples.users(held_out, lists, media),
        ),
        _misses(held_out, lists, media),
        _popularity(found),
        _calibration(found),
        _next(found, history),
        _method(found),
    ]
    title = f"{'Blessed' if found.verdict.blessed else 'Not blessed'}: {found.model}"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{CSS}</style></head><body><main>"
        + "\n".join(part for part in body if part)
        + "</main></body></html>\n"
    )


def _section(title: str, content: str) -> str:
    text, _, rest = content.partition("<")
    lead = f'<p class="soft">{text}</p>' if text.strip() else ""
    return f"<section><h2>{title}</h2>{lead}{'<' + rest if rest else ''}</section>"


def _verdict(found: Evaluation, history: Sequence[dict[str, Any]]) -> str:
    verdict, whole = found.verdict, found.slices[0]
    kind, word = ("yes", "Blessed") if verdict.blessed else ("no", "Not blessed")
    compared = whole.compared
    if compared is None:
        line = "No baseline was evaluated beside it."
    else:
        ours = whole.systems[MODEL].metrics[found.primary].value or 0.0
        theirs = ours - compared.value
        change = f"{abs(ours / theirs - 1):.0%}" if theirs > 0 else "all of it"
        more = "more" if compared.value >= 0 else "less"
        sure = (
            "Better than"
            if compared.low > 0
            else "Worse than"
            if compared.high < 0
            else "Not surely different from"
        )
        line = (
            f"{sure} {escape(compared.baseline)}, the best baseline: {change} {more}"
            f" {_name(found.primary)}."
        )
    tiles = [
        _tile(whole.systems[MODEL].metrics[metric], _name(metric), "all items")
        for metric in table_metrics(found)[:3]
    ]
    cold = found.slice("cold")
    if cold is not None:
        note = f"{cold.candidates:,} new items among themselves"
        tiles.append(_tile(cold.systems[MODEL].metrics[found.primary], _name(found.primary), note))
    short = "".join(
        f"<li>{_code(said)}</li>" for said in in_short(found, advise(found, history)[0])
    )
    rules = "".join(
        f"<li>{'✓' if check.passed else '✗'} {escape(check.rule)}: {_number(check.found)}"
        f" against {_number(check.required)}</li>"
        for check in verdict.checks
    )
    return (
        f'<section class="verdict {kind}"><p class="line"><span class="word">{word}.</span>'
        f" {line}</p>"
        f'<p class="soft">{found.users:,} users, {whole.candidates:,} items;'
        f" seen items left out; 95 % intervals over users."
        f" The gate, which decides on export: {escape(verdict.reason)}.</p>"
        f'<ul class="short">{short}</ul><div class="tiles">{"".join(tiles)}</div>'
        f"<details><summary>Rules of the gate</summary><ul>{rules}</ul></details></section>"
    )


def _tile(figure: Figure, name: str, note: str) -> str:
    between = "" if figure.low is None else f"{figure.low:.3f} to {figure.high:.3f}; "
    return f'<div class="tile"><span>{name}</span><b>{_number(figure.value)}</b>' + (
        f"<span>{between}{note}</span></div>"
    )


def _against(found: Evaluation, part: Slice, title: str) -> str:
    order = _order(found, part)
    points = []
    for name in order:
        figure = part.systems[name].metrics[found.primary]
        if figure.value is not None:
            points.append(charts.Point(name, figure.value, figure.low, figure.high, name == MODEL))
    chart = charts.intervals(points, f"{_name(found.primary)} of each system, {part.title}")
    lead = (
        f"{_name(found.primary)} over {part.title}: {part.users:,} users,"
        f" {part.candidates:,} candidates. Bars are 95 % intervals."
    )
    if part.compared is not None:
        compared = part.compared
        lead += (
            f" Model minus {escape(compared.baseline)}: {compared.value:+.4f}, between"
            f" {compared.low:+.4f} and {compared.high:+.4f} (p = {compared.p_value:.3f})."
        )
    chance = part.systems.get("random")
    if part.name == "cold" and chance is not None:
        low, ours = chance.metrics[found.primary].value, points and part.systems[MODEL]
        value = ours.metrics[found.primary].value if ours else None
        if low and value is not None:
            lead += f" {value / low:.1f} times chance."
    return _section(title, f"{lead}<figure>{chart}</figure>{_figures(found, part, order)}")


def _figures(found: Evaluation, part: Slice, order: Sequence[str]) -> str:
    columns = table_metrics(found)
    whole = part.name == found.slices[0].name
    extra = ("coverage@10", "novelty@10") if whole else ()
    heads = "".join(f'<th scope="col">{_name(column)}</th>' for column in (*columns, *extra))
    rows = []
    for name in order:
        cells = []
        for column in columns:
            figure = part.systems[name].metrics[column]
            between = (
                "" if figure.low is None else f"<small>{figure.low:.3f} – {figure.high:.3f}</small>"
            )
            cells.append(f"<td>{_number(figure.value)}{between}</td>")
        cells += [f"<td>{_number(found.catalogue[name].get(column))}</td>" for column in extra]
        kind = ' class="model"' if name == MODEL else ""
        rows.append(f'<tr{kind}><th scope="row">{escape(name)}</th>{"".join(cells)}</tr>')
    return _scroll(
        f"<table><caption>Means over users, 95 % intervals below</caption>"
        f'<thead><tr><th scope="col">system</th>{heads}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table>",
        f"figures, {part.title}",
    )


def _scroll(content: str, label: str) -> str:
    # Focusable, so that a keyboard can scroll what a narrow screen cuts off.
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(label, quote=True)}">'
        f"{content}</div>"
    )


def _training(found: Evaluation, history: Sequence[dict[str, Any]]) -> str:
    metric = next((key for key in (history[0] if history else {}) if "@" in key), None)
    if metric is None:
        return ""
    nan = float("nan")
    chart = charts.lines(
        [float(epoch.get("epoch", n)) for n, epoch in enumerate(history, 1)],
        [float(epoch.get("loss", nan)) for epoch in history],
        [float(epoch.get(metric, nan)) for epoch in history],
        _name(metric),
    )
    return _section(
        "Training", f"The dot marks the epoch whose weights were kept.<figure>{chart}</figure>"
    )


def _slices(found: Evaluation) -> str:
    groups: dict[str, list[Slice]] = {}
    for part in found.slices:
        if part.group not in ("whole",) and MODEL in part.systems:
            groups.setdefault(part.group, []).append(part)
    if not groups:
        return ""
    blocks = []
    for group, parts in groups.items():
        points = []
        for part in parts:
            figure = part.systems[MODEL].metrics[found.primary]
            if figure.value is not None:
                points.append(
                    charts.Point(
                        f"{part.name.removeprefix('history ')} ({part.users:,})",
                        figure.value,
                        figure.low,
                        figure.high,
                        strong=True,
                    )
                )
        if points:
            chart = charts.intervals(points, f"{_name(found.primary)} by {group}")
            blocks.append(f"<div><h3>By {escape(group)}</h3><figure>{chart}</figure></div>")
    return _section(
        "Where it is good, and where not",
        f"The model's {_name(found.primary)} in parts of the data; in brackets, users with"
        f' something to find there.<div class="two">{"".join(blocks)}</div>',
    )


def _contributions(found: Evaluation) -> str:
    if not found.contributions:
        return ""
    rows = [
        charts.Loss(one.name, one.lost, one.low, one.high, one.low > 0 or one.high < 0)
        for one in found.contributions
    ]
    drawn = charts.losses(rows, f"{_name(found.primary)} that each modality adds")
    return _section(
        "What each modality adds",
        f"How much {_name(found.primary)} is lost when a modality's share of every score is taken"
        " away from this very model; blue where the interval leaves 0 out. Left of the line, the"
        f" lists would be better without.<figure>{drawn}</figure>",
    )


def _calibration(found: Evaluation) -> str:
    if found.calibration is None:
        return ""
    one, k = found.calibration, found.primary.rpartition("@")[2]
    drawn = charts.reliability(one.predicted, one.observed, "chance that was said, and what came")
    return _section(
        "Can a score be read as a chance?",
        f"The chance that a place of the first {k} holds something liked, read off the score by two"
        " numbers that other users taught, and how often it came. They differ by"
        f" {one.error * 100:.2f} percentage points on average.<figure>{drawn}</figure>",
    )


def _misses(held_out: HeldOut, lists: Any, media: ItemMedia) -> str:
    content = examples.misses(held_out, lists, media)
    if not content:
        return ""
    return _section(
        "Worst misses",
        "Items that most users went on to like without the model showing them in the top 20."
        + content,
    )


def _popularity(found: Evaluation) -> str:
    series = {"model's top 10": found.exposure[MODEL], "users' own past": found.exposure["history"]}
    compared = found.slices[0].compared
    other = (
        compared.baseline
        if compared
        else next((name for name in found.exposure if name not in (MODEL, "history")), None)
    )
    if other is not None:
        series[f"{other}'s top 10"] = found.exposure[other]
    marks = ("var(--model)", "var(--other)", "var(--other);opacity:.45")
    legend = "".join(
        f'<span><i style="background:{mark}"></i>{escape(name)}</span>'
        for name, mark in zip(series, marks, strict=False)
    )
    ours = found.catalogue[MODEL]
    lift = ours.get("popularity_lift@10")
    told = (
        "" if lift is None else f" Recommended items are {1 + lift:.1f} times as popular as those."
    )
    cold = ours.get("cold_share@10") or 0.0
    return _section(
        "Popularity bias",
        f"Where the places of the top 10 go, by fifths of the training's positives, from the least"
        f" popular items to the most. Without a bias"
        f" the lists would follow the users' own past.{told}"
        f" {cold:.1%} of the places go to new items, {_number(ours.get('coverage@10'), '.1%')} of"
        f" the catalogue is shown to someone."
        f"<figure>{charts.bars(_POPULARITY, series, 'exposure by popularity')}</figure>"
        f'<div class="legend">{legend}</div>',
    )


def _next(found: Evaluation, history: Sequence[dict[str, Any]]) -> str:
    said = "".join(f"<li>{_code(line)}</li>" for line in advise(found, history))
    return _section("What to try next", f'<ol class="next">{said}</ol>')


def _code(text: str) -> str:
    parts = escape(text).split("`")
    return "".join(f"<code>{p}</code>" if n % 2 else p for n, p in enumerate(parts))


def _method(found: Evaluation) -> str:
    chosen = "; ".join(
        f"{name}: " + ", ".join(f"{key} {value}" for key, value in options.items())
        for name, options in found.options.items()
        if options
    )
    tuned = f" Options chosen on the validation part: {escape(chosen)}." if chosen else ""
    past = "train part" if found.split == "validation" else "train and validation parts"
    return (
        "<section><details><summary>How this was measured</summary>"
        f"<p>Every item of {escape(found.slices[0].title)} is ranked for {found.users:,} of the"
        f" {found.users_total:,} users of the {found.split} part: those with a positive event on"
        f" an item that is new to them. Their past is the {past}; whatever they did there, liked"
        " or not, is never recommended again. All systems learnt from the train part alone."
        " Intervals resample users 1,000 times; p comes from swapping the two systems user by user."
        f"{tuned} Every figure is in metrics.json.</p></details></section>"
    )


def _order(found: Evaluation, part: Slice) -> list[str]:
    return sorted(
        part.systems, key=lambda name: -(part.systems[name].metrics[found.primary].value or 0.0)
    )


def _name(metric: str) -> str:
    word, at, k = metric.partition("@")
    return f"{_WORDS.get(word, word)}{at}{k}"


def _number(value: float | None, shape: str = ".4f") -> str:
    return "–" if value is None else format(value, shape)
