"""The curve of a training."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

__all__ = ["plot_history"]


def plot_history(
    history: Sequence[dict[str, Any]], monitor: str, title: str, *, start: float | None = None
) -> bytes:
    """Draws loss and monitored metric by epoch, the best epoch marked.

    Args:
        history: By epoch: `epoch` (from 1), `loss` and the metric.
        monitor: The metric's name.
        title: Above the picture.
        start: The metric before the first epoch, if it was measured.

    Returns:
        A PNG.
    """
    epochs = [row["epoch"] for row in history]
    measured = {epoch: row[monitor] for epoch, row in zip(epochs, history, strict=True)}
    if start is not None:
        measured = {0: start, **measured}
    best = max(measured, key=measured.__getitem__)
    figure = Figure(figsize=(8, 4), layout="constrained")
    FigureCanvasAgg(figure)
    left = figure.add_subplot()
    left.plot(epochs, [row["loss"] for row in history], color="tab:blue", label="loss")
    left.set_xlabel("epoch")
    left.set_ylabel("training loss", color="tab:blue")
    right = left.twinx()
    right.plot(
        list(measured), list(measured.values()), color="tab:orange", marker="o", markersize=3
    )
    right.set_ylabel(f"validation {monitor}", color="tab:orange")
    right.axvline(best, color="grey", linestyle=":")
    left.set_title(f"{title}: best {monitor} {measured[best]:.4f} in epoch {best}")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()
