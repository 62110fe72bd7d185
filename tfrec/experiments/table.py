"""The comparison as rows, as a Markdown table and as a bar chart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict

from tfrec.evaluation.comparison import RunGroup
from tfrec.evaluation.uncertainty import bootstrap_intervals
from tfrec.evaluation.user_values import UserValues
from tfrec.experiments.trained import Result

__all__ = ["Cell", "Row", "bar_chart", "markdown", "rows_of"]

# Slices of an evaluation that a comparison shows, by the heads of their columns.
SLICES = {"all": "all items", "warm": "warm", "cold": "cold"}
_WIDTH, _LEFT, _BAR = 560, 190, 16


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Cell(_Frozen):
    """A mean over users of the mean over seeds, and its 95 % interval over resampled users.

    Attributes:
        value, low, high: The figure.
        deviation: Standard deviation of the seeds' means; 0 for one seed.
    """

    value: float
    low: float
    high: float
    deviation: float


class Row(_Frozen):
    """One system.

    Attributes:
        label: Its name.
        seeds: How many; 0 for a baseline.
        metric: For example `ndcg@20`.
        cells: By slice; those that the data has.
        parameters: Numbers in the model; `null` for a baseline, as the following.
        milliseconds: Of a training step: the median over seeds.
        seconds: Of a training: likewise.
    """

    label: str
    seeds: int
    metric: str
    cells: dict[str, Cell]
    parameters: int | None = None
    milliseconds: float | None = None
    seconds: float | None = None


def rows_of(results: Mapping[Path, Result], baselines: Sequence[Path] = ()) -> list[Row]:
    """Reads every run's values and averages a system's seeds; the baselines follow.

    Args:
        results: Of `train_systems`.
        baselines: Of `measure_baselines`.
    """
    systems: dict[str, list[tuple[Path, Result]]] = {}
    for run, result in results.items():
        systems.setdefault(result.label, []).append((run, result))
    rows = []
    for label, members in systems.items():
        values = tuple(UserValues.read(run) for run, _ in members)
        runs, seeds = tuple(run for run, _ in members), tuple(one.seed for _, one in members)
        group = RunGroup(label, runs, seeds, values)
        metric = values[0].primary
        rows.append(
            Row(
                label=label,
                seeds=len(members),
                metric=metric,
                cells=_cells(group),
                parameters=members[0][1].parameters,
                milliseconds=float(np.median([one.milliseconds for _, one in members])),
                seconds=float(np.median([one.seconds for _, one in members])),
            )
        )
    for folder in baselines:
        own = UserValues.read(folder)
        group = RunGroup(folder.name, (folder,), (0,), (own,))
        rows.append(Row(label=folder.name, seeds=0, metric=own.primary, cells=_cells(group)))
    return rows


def _cells(group: RunGroup) -> dict[str, Cell]:
    first = group.values[0]
    parts = {name: group.table(name, first.users) for name in SLICES}
    return {
        name: _cell(part.values[first.primary]) for name, part in parts.items() if part is not None
    }


def _cell(values: np.ndarray) -> Cell:
    interval = bootstrap_intervals(values.mean(axis=0)[:, None])[0]
    return Cell(
        value=interval.value,
        low=interval.low,
        high=interval.high,
        deviation=float(values.mean(axis=1).std(ddof=1)) if len(values) > 1 else 0.0,
    )


def markdown(rows: list[Row]) -> str:
    """A table with a row a system; ± is the 95 % interval over users."""
    slices = [name for name in SLICES if any(name in row.cells for row in rows)]
    heads = [f"{rows[0].metric}, {SLICES[name]}" for name in slices]
    lines = [
        "| system | " + " | ".join(heads) + " | parameters | ms a batch | training s |",
        "|---|" + "---|" * (len(slices) + 3),
    ]
    for row in rows:
        cells = [
            f"{cell.value:.4f} [{cell.low:.4f}, {cell.high:.4f}]" if cell else "–"
            for cell in (row.cells.get(name) for name in slices)
        ]
        lines.append(
            f"| {row.label} | {' | '.join(cells)} | {_number(row.parameters, ',')}"
            f" | {_number(row.milliseconds, '.1f')} | {_number(row.seconds, '.0f')} |"
        )
    return "\n".join(lines) + "\n"


def _number(value: float | None, form: str) -> str:
    return "–" if value is None else format(value, form)


def bar_chart(rows: list[Row]) -> str:
    """An SVG: for each system a bar a slice, with a whisker for its interval."""
    slices = [name for name in SLICES if any(name in row.cells for row in rows)]
    top = max((cell.high for row in rows for cell in row.cells.values()), default=1.0) or 1.0
    scale = (_WIDTH - _LEFT - 70) / top
    colours = dict(zip(SLICES, ("#0b5cad", "#7a828c", "#b4641e"), strict=True))
    step = _BAR * len(slices) + 10
    height = 30 + step * len(rows)
    body = [f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>']
    for place, name in enumerate(slices):
        x = _LEFT + 110 * place
        body.append(f'<rect x="{x}" y="8" width="11" height="11" fill="{colours[name]}"/>')
        body.append(f'<text x="{x + 16}" y="18">{escape(SLICES[name])}</text>')
    for place, row in enumerate(rows):
        y = 30 + place * step
        middle = y + _BAR * len(slices) / 2 + 4
        body.append(f'<text x="{_LEFT - 8}" y="{middle}" text-anchor="end">')
        body.append(f"{escape(row.label[:28])}</text>")
        for line, name in enumerate(slices):
            cell = row.cells.get(name)
            if cell is None:
                continue
            at = y + line * _BAR
            body.append(
                f'<rect x="{_LEFT}" y="{at}" height="{_BAR - 3}" fill="{colours[name]}"'
                f' width="{max(cell.value, 0) * scale:.1f}"/>'
                f'<line stroke="#1a1d21" x1="{_LEFT + cell.low * scale:.1f}" y1="{at + 6}"'
                f' x2="{_LEFT + cell.high * scale:.1f}" y2="{at + 6}"/>'
                f'<text x="{_LEFT + cell.high * scale + 6:.1f}" y="{at + 11}">'
                f"{cell.value:.4f}</text>"
            )
    label = escape(f"{rows[0].metric} by system", quote=True)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img"'
        f' aria-label="{label}" font-family="system-ui, sans-serif" font-size="12">'
        + "".join(body)
        + "</svg>\n"
    )
