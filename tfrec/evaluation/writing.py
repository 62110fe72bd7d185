"""The files that an evaluation leaves in a run directory."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tfrec.evaluation.figures import Evaluation
from tfrec.evaluation.gate import write_verdict
from tfrec.evaluation.held_out import HeldOut
from tfrec.evaluation.media import ItemMedia
from tfrec.evaluation.rankings import Rankings
from tfrec.evaluation.report import report
from tfrec.evaluation.user_values import measure_users

__all__ = ["read_history", "write_evaluation"]


def write_evaluation(
    run: str | Path,
    found: Evaluation,
    held_out: HeldOut,
    rankings: Sequence[Rankings],
    media: ItemMedia,
) -> list[Path]:
    """Writes metrics.json, user_values.npz, report.html, and BLESSED or NOT_BLESSED last.

    Args:
        run: The run directory.
        found: The figures.
        held_out: The question, for examples.
        rankings: The answers, the model's first.
        media: Names and pictures.

    Returns:
        The files.
    """
    root = Path(run)
    metrics, page = root / "metrics.json", root / "report.html"
    _write(metrics, found.model_dump_json(indent=1) + "\n")
    measure_users(
        held_out,
        rankings[0],
        primary=found.primary,
        fingerprint=found.fingerprint,
        modalities={**held_out.items.present, **media.present},
    ).write(root)
    _write(page, report(found, held_out, rankings, media, read_history(root)))
    return [metrics, page, write_verdict(root, found.verdict)]


def read_history(run: Path) -> list[dict[str, Any]]:
    """The training's epochs from history.json; empty for a run without one."""
    try:
        content = json.loads((run / "history.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return []
    return list(content)


def _write(path: Path, text: str) -> None:
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    scratch.write_text(text, encoding="utf-8")
    scratch.replace(path)
