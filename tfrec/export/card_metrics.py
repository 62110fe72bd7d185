"""What `metrics.json` says of a run, as Markdown for its model card."""

from __future__ import annotations

from pathlib import Path

from tfrec.evaluation import Evaluation
from tfrec.evaluation.figures import Figure, Slice

__all__ = ["card_metrics"]

_MODEL = "model"
_LISTED = (
    ("coverage@10", "share of the catalogue that is in anyone's top 10"),
    ("popularity_lift@10", "how much more popular lists are than the users' own past"),
    ("cold_share@10", "share of the top 10 that new items take"),
)


def card_metrics(path: Path) -> str:
    """Quality beside the best baseline by slice, spread, calibration, modalities, and the gate.

    Args:
        path: The run's metrics.json.

    Returns:
        Markdown; a sentence when the run was not evaluated or by another version of tfrec.
    """
    try:
        found = Evaluation.model_validate_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return "The run was not evaluated."
    except ValueError:
        return "The run was evaluated by another version of tfrec; evaluate it again."
    lines = [
        f"{found.primary} on the {found.split} part, over {found.slices[0].title}, with 95 %"
        f" intervals over {found.users:,} users:",
        "",
        "| slice | users | model | best baseline | difference |",
        "|---|---|---|---|---|",
        *(_row(part, found.primary) for part in found.slices if _MODEL in part.systems),
        "",
    ]
    ours = found.catalogue.get(_MODEL, {})
    for name, meaning in _LISTED:
        if ours.get(name) is not None:
            lines.append(f"- {meaning}: {ours[name]:.3f} (`{name}`)")
    if found.calibration is not None:
        lines.append(f"- scores as chances are off by {found.calibration.error:.4f} on average")
    if found.contributions:
        told = ", ".join(f"{one.name} {one.lost:+.4f}" for one in found.contributions)
        lines.append(f"- {found.primary} that each modality adds: {told}")
    for check in found.verdict.checks:
        required = "–" if check.required is None else f"{check.required:.4f}"
        value = "–" if check.found is None else f"{check.found:.4f}"
        word = "passed" if check.passed else "failed"
        lines.append(f"- gate, {word}: {check.rule}: {value} against {required}")
    return "\n".join(lines)


def _row(part: Slice, primary: str) -> str:
    ours = _shown(part.systems[_MODEL].metrics[primary])
    compared = part.compared
    if compared is None:
        return f"| {part.title} | {part.users:,} | {ours} | – | – |"
    theirs = _shown(part.systems[compared.baseline].metrics[primary])
    return (
        f"| {part.title} | {part.users:,} | {ours} | {compared.baseline} {theirs} |"
        f" {compared.value:+.4f} [{compared.low:+.4f}, {compared.high:+.4f}] |"
    )


def _shown(figure: Figure) -> str:
    if figure.value is None:
        return "–"
    between = "" if figure.low is None else f" [{figure.low:.4f}, {figure.high:.4f}]"
    return f"{figure.value:.4f}{between}"
