"""The figures as a table for a terminal."""

from __future__ import annotations

from tfrec.evaluation.figures import Evaluation, Slice
from tfrec.evaluation.gate import MODEL

__all__ = ["table", "table_metrics"]


def table_metrics(found: Evaluation) -> list[str]:
    """The metrics worth a column: at the primary depth, and coverage."""
    k = found.primary.rpartition("@")[2]
    return [f"{name}@{k}" for name in ("ndcg", "recall", "hit_rate", "mrr", "precision")]


def table(found: Evaluation) -> str:
    """One block a slice that has every metric, systems by descending primary metric."""
    lines = []
    for part in found.slices:
        if part.full:
            lines += [*_block(found, part), ""]
    word = "BLESSED" if found.verdict.blessed else "NOT BLESSED"
    return "\n".join([*lines, f"{word}: {found.verdict.reason}"])


def _block(found: Evaluation, part: Slice) -> list[str]:
    columns = table_metrics(found)
    whole = part.name == "all"
    heads = [*columns, *(["coverage@10"] if whole else [])]
    lines = [f"{part.title}: {part.users:,} users, {part.candidates:,} candidates"]
    lines.append(" " * 20 + "".join(f"{head:>14}" for head in heads) + "   95 % of " + columns[0])
    order = sorted(
        part.systems, key=lambda name: -(part.systems[name].metrics[columns[0]].value or 0)
    )
    for name in order:
        figures = part.systems[name].metrics
        cells = [figures[column].value for column in columns]
        if whole:
            cells.append(found.catalogue[name]["coverage@10"])
        shown = "".join(f"{'–' if cell is None else f'{cell:.4f}':>14}" for cell in cells)
        first = figures[columns[0]]
        interval = "" if first.low is None else f"   [{first.low:.4f}, {first.high:.4f}]"
        lines.append(f"{'→ ' if name == MODEL else '  '}{name:<18}{shown}{interval}")
    if part.compared is not None:
        other = part.compared
        lines.append(
            f"  model − {other.baseline}: {other.value:+.4f} [{other.low:+.4f}, {other.high:+.4f}],"
            f" p = {other.p_value:.3f}"
        )
    return lines
