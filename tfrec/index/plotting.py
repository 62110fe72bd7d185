"""The curve of recall against latency, as a picture."""

from __future__ import annotations

from pathlib import Path

from tfrec.errors import DescriptionError
from tfrec.index.tuning import Tuning

__all__ = ["plot_tuning"]


def plot_tuning(tuning: Tuning, path: Path) -> None:
    """Writes a PNG or SVG: a line for each number of cells, the setting chosen, the exact time.

    Args:
        tuning: What was measured.
        path: Ends in `.png` or `.svg`.

    Raises:
        DescriptionError: The file is of another kind or can't be written.
    """
    if path.suffix not in (".png", ".svg"):
        raise DescriptionError(
            "--plot", "it ends in .png or .svg", received=path.name, remedy="Rename it"
        )
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.add_subplot()
    for cells in sorted({point.cells for point in tuning.curve}):
        points = [point for point in tuning.curve if point.cells == cells]
        recalls = [point.recall for point in points]
        axes.plot(recalls, [p.milliseconds for p in points], "o-", label=f"{cells:,} cells")
        for point in points:
            place = (point.recall, point.milliseconds)
            axes.annotate(str(point.probes), place, (3, 4), textcoords="offset points", fontsize=7)
    chosen = tuning.chosen
    axes.plot([chosen.recall], [chosen.milliseconds], "k*", markersize=13, label="chosen, held out")
    axes.axhline(tuning.exact_milliseconds, color="grey", linestyle="--", label="every item scored")
    axes.axvline(tuning.target, color="grey", linestyle=":", label="target")
    axes.set(xlabel=f"recall@{tuning.k}", ylabel="milliseconds a query", yscale="log")
    axes.set_title(f"{tuning.kind}: numbers are cells probed")
    axes.legend(fontsize=8)
    try:
        figure.savefig(path)
    except OSError as error:
        raise DescriptionError(
            "--plot", "its folder must exist and be writable", received=f"{path}: {error.strerror}"
        ) from error
