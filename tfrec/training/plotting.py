"""The curve of a training."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

__all__ = ["plot_history"]


def plot_history(history: Sequence[dict[str, Any]], monitor: str, title: str) -> bytes:
    """Draws loss and monitored metric by epoch, the best epoch marked.

    Args:
        history: By epoch: `epoch` (from 1), `loss` and the metric.
        monitor: The metric's name.
        title: Above the picture.

    Returns:
        A PNG.
    """
    epochs = [row["epoch"] for row in history]
    values = [row[monitor] for row in history]
    best = max(range(len(values)), key=values.__getitem__)
    figure = Figure(figsize=(8, 4), layout="constrained")
    FigureCanvasAgg(figure)
    left = figure.add_subplot()
    left.plot(epochs, [row["loss"] for row in history], color="tab:blue", label="loss")
    left.set_xlabel("epoch")
    left.set_ylabel("training loss", color="tab:blue")
    right = left.twinx()
    right.plot(epochs, values, color="tab:orange", marker="o", markersize=3)
    right.set_ylabel(f"validation {monitor}", color="tab:orange")
    right.axvline(epochs[best], color="grey", linestyle=":")
    left.set_title(f"{title}: best {monitor} {values[best]:.4f} in epoch {epochs[best]}")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()
