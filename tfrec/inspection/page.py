"""The inspection page: one HTML file without scripts, that needs nothing from elsewhere."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from html import escape

from tfrec.inspection.anomalies import Anomaly, Distance, distances_between, skew_distances
from tfrec.inspection.drawing import events_over_time, histogram, top_values
from tfrec.inspection.profile import Distribution, Profile
from tfrec.inspection.samples import Sample
from tfrec.inspection.style import CSS
from tfrec.schema import SPLITS, DataLayout

__all__ = ["inspection_page"]

_EXAMPLES = 3


def inspection_page(
    profile: Profile,
    anomalies: Sequence[Anomaly],
    samples: Sequence[Sample],
    against: Profile | None = None,
) -> str:
    """Renders the page.

    Args:
        profile: The directory.
        anomalies: What was found.
        samples: What some items became.
        against: The directory that it is compared with.
    """
    manifest = profile.manifest
    parts = [
        _head(profile, against),
        _anomalies(anomalies),
        _over_time(profile),
        _missing(profile, against),
        _distributions(profile, against),
        _distances(profile, against),
        _samples(samples),
        _rejected(profile),
    ]
    title = escape(f"{manifest.dataset.name}: inspection")
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{title}</title><style>{CSS}</style></head><body><main>"
        + "".join(parts)
        + "</main></body></html>\n"
    )


def _head(profile: Profile, against: Profile | None) -> str:
    manifest = profile.manifest
    tiles = [
        (f"{manifest.items:,}", "items"),
        (f"{manifest.warm_items:,}", "with a positive in train"),
        (f"{manifest.users:,}", "users"),
        *((f"{manifest.events[split]:,}", f"{split} events") for split in SPLITS),
        (f"{sum(manifest.rejected.values()):,}", "rows and files refused"),
    ]
    shown = "".join(f'<div class="tile"><b>{n}</b><span>{w}</span></div>' for n, w in tiles)
    compared = "" if against is None else f", against {escape(str(against.root))}"
    return (
        f"<section><h1>{escape(manifest.dataset.name)}</h1>"
        f'<p class="soft">{escape(str(profile.root))}{compared}; schema'
        f' {escape(manifest.fingerprint)}</p><div class="tiles">{shown}</div></section>'
    )


def _anomalies(anomalies: Sequence[Anomaly]) -> str:
    if not anomalies:
        body = '<p class="fine">Nothing looks wrong.</p>'
    else:
        rows = "".join(
            f'<li class="{a.level}"><b>{escape(a.where)}</b>: {escape(a.what)}.'
            f' <span class="soft">{escape(a.remedy)}.</span></li>'
            for a in anomalies
        )
        body = f'<ul class="anomalies">{rows}</ul>'
    warnings = sum(a.level == "warning" for a in anomalies)
    return (
        f"<section><h2>Anomalies: {warnings} warnings, {len(anomalies) - warnings} notes</h2>"
        f"{body}</section>"
    )


def _over_time(profile: Profile) -> str:
    legend = "".join(
        f'<span><i style="background:var(--{split})"></i>{split}:'
        f" {profile.manifest.events[split]:,}</span>"
        for split in SPLITS
    )
    chart = events_over_time(profile.bins, profile.over_time)
    return f'<section><h2>Split over time</h2><div class="legend">{legend}</div>{chart}</section>'


def _missing(profile: Profile, against: Profile | None) -> str:
    rows = []
    every = {**profile.entities, **profile.events["train"]}
    old = {} if against is None else {**against.entities, **against.events["train"]}
    media = profile.manifest.media
    for key, distribution in every.items():
        if distribution.group == "events" or distribution.name == "positives in train":
            continue
        share = distribution.missing_share
        counts = media.get(distribution.name) if distribution.group == "items" else None
        refused = f"{counts.rejected:,} of {counts.read:,}" if counts else ""
        before = ""
        if against is not None:
            before = f"<td>{old[key].missing_share:.1%}</td>" if key in old else "<td>new</td>"
        rows.append(
            f'<tr><td>{escape(key)}</td><td class="left">{distribution.modality}</td>'
            f"<td>{distribution.missing:,} of {distribution.rows:,}</td><td>{share:.1%}</td>"
            f'{before}<td><div class="bar"><b style="width:{share:.1%}"></b></div></td>'
            f"<td>{refused}</td></tr>"
        )
    heading = "<th>before</th>" if against is not None else ""
    return (
        '<section><h2>Missing values</h2><p class="soft">A missing value is masked, never a zero'
        ' that pretends to be data.</p><div class="scroll"><table><thead><tr><th>feature</th>'
        f'<th class="left">modality</th><th>missing</th><th>share</th>{heading}<th></th>'
        f"<th>files refused</th></tr></thead><tbody>{''.join(rows)}</tbody></table></div></section>"
    )


def _distributions(profile: Profile, against: Profile | None) -> str:
    boxes: list[str] = []
    for key, distribution in profile.entities.items():
        series = [("train", distribution)]
        if against is not None and key in against.entities:
            series.append(("old", against.entities[key]))
        boxes += _box(key, series)
    for key in profile.events["train"]:
        series = [
            (split, profile.events[split][key]) for split in SPLITS if key in profile.events[split]
        ]
        boxes += _box(key, series)
    legend = "".join(
        f'<span><i style="background:var(--{split})"></i>{split}</span>' for split in SPLITS
    )
    if against is not None:
        legend += '<span><i style="background:var(--old)"></i>before</span>'
    return (
        "<section><h2>Distributions</h2>"
        '<p class="soft">Shares; items and users as a whole, events by part. Numbers as they were'
        " before standardisation, texts by their length in characters.</p>"
        f'<div class="legend">{legend}</div><div class="grid">{"".join(boxes)}</div></section>'
    )


def _box(key: str, series: list[tuple[str, Distribution]]) -> Iterator[str]:
    first = series[0][1]
    told = ""
    if first.counts is not None:
        if not first.counts:
            return
        told, chart = f"{len(first.counts):,} different", top_values(series)
    elif first.numbers is not None:
        if not len(first.numbers):
            return
        numbers = first.numbers
        told = f"mean {numbers.mean():.4g}, deviation {numbers.std():.4g}"
        told = f"length, {told}" if first.modality == "text" else told
        chart = histogram(series)
    else:
        return
    yield f'<div class="box"><h3>{escape(key)}</h3><small>{told}</small>{chart}</div>'


def _distances(profile: Profile, against: Profile | None) -> str:
    tables = [
        _distance_table(
            "Skew: train against test",
            skew_distances(profile),
        )
    ]
    if against is not None:
        drift = distances_between(profile.entities, against.entities)
        drift += distances_between(profile.events["train"], against.events["train"])
        title = "Drift: this against before"
        tables.append(_distance_table(title, sorted(drift, key=lambda d: -d.value)))
    return (
        "<section><h2>Distances</h2>"
        '<p class="soft">As TensorFlow Data Validation measures them: L-infinity of shares for'
        " categorical features, Jensen-Shannon divergence of ten equal buckets for numbers; 0 is"
        f" equal, 1 has nothing in common.</p>{''.join(tables)}</section>"
    )


def _distance_table(title: str, distances: Sequence[Distance]) -> str:
    rows = "".join(
        f'<tr><td>{escape(d.key)}</td><td class="left">{d.kind}</td><td>{d.value:.4f}</td>'
        f'<td><div class="bar"><b style="width:{d.value:.1%}"></b></div></td>'
        f'<td class="left">{escape(d.at if d.value else "")}</td></tr>'
        for d in distances
    )
    return (
        f'<h3>{title}</h3><div class="scroll"><table><thead><tr><th>feature</th>'
        '<th class="left">distance</th><th></th><th></th><th class="left">most at</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _samples(samples: Sequence[Sample]) -> str:
    boxes = []
    for sample in samples:
        parts = "".join(
            f"<dt>{escape(name).replace('_', '_<wbr>')}</dt><dd>"
            + ('<span class="none">missing</span>' if shown is None else shown)
            + "</dd>"
            for name, shown in sample.parts
        )
        boxes.append(f'<div class="box"><h3>{escape(sample.name)}</h3><dl>{parts}</dl></div>')
    return (
        '<section><h2>What items became</h2><p class="soft">As records hold them, and a model'
        f' reads them.</p><div class="grid">{"".join(boxes)}</div></section>'
    )


def _rejected(profile: Profile) -> str:
    if not profile.manifest.rejected:
        return '<section><h2>Refused</h2><p class="fine">No row and no file.</p></section>'
    examples: dict[str, list[str]] = {}
    for path in sorted(DataLayout(profile.root).rejected.glob("*.jsonl")):
        with open(path, encoding="utf-8") as stream:
            for line in stream:
                row = json.loads(line)
                shown = examples.setdefault(row["rule"], [])
                if len(shown) < _EXAMPLES:
                    shown.append(f"{row['file']}:{row['line']} {row['received']}"[:120])
    rows = "".join(
        f'<tr><td>{escape(rule)}</td><td>{count:,}</td><td class="left wide">'
        + "<br>".join(escape(text) for text in examples.get(rule, []))
        + "</td></tr>"
        for rule, count in profile.manifest.rejected.items()
    )
    return (
        '<section><h2>Refused</h2><p class="soft">Rows read are rows written and rows refused; all'
        ' of them are in rejected/.</p><div class="scroll"><table><thead><tr><th>rule</th>'
        '<th>rows</th><th class="left">the first</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></div></section>"
    )
