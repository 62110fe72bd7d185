"""What a search found, and which setting mattered."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

__all__ = ["importances", "plot_search"]


def importances(study: Any) -> dict[str, float]:
    """Each setting's share in how good trials differ from the others; PED-ANOVA.

    Watanabe, Bansal & Hutter, "PED-ANOVA", 2023. None from fewer than four trials that ended.

    Args:
        study: An Optuna study.

    Returns:
        By setting, from 0 to 1, the greatest first.
    """
    import optuna

    complete = [t for t in study.trials if t.state == optuna.trial.TrialState.COMPLETE]
    names = {name for trial in complete for name in trial.params}
    varied = [n for n in names if len({repr(t.params.get(n)) for t in complete}) > 1]
    if len(complete) < 4 or not varied or len({t.value for t in complete}) < 2:
        return {}
    evaluator = optuna.importance.PedAnovaImportanceEvaluator()
    found = optuna.importance.get_param_importances(
        study, evaluator=evaluator, params=sorted(varied)
    )
    return {name: float(value) for name, value in found.items()}


def plot_search(study: Any) -> bytes:
    """Draws the best figure by trial, the settings' importances, and the figure by each setting.

    Args:
        study: An Optuna study with a trial that ended.

    Returns:
        A PNG.
    """
    done = [t for t in study.trials if t.value is not None and t.state.name == "COMPLETE"]
    names = sorted({name for trial in done for name in trial.params})
    weights = importances(study)
    columns = min(3, len(names) + 2)
    rows = -(-(len(names) + 2) // columns)
    figure = Figure(figsize=(4.2 * columns, 3 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    values = np.array([trial.value for trial in done])
    axes[0].plot([t.number for t in done], values, "o", color="tab:blue", markersize=3)
    axes[0].step([t.number for t in done], np.maximum.accumulate(values), color="tab:orange")
    axes[0].set_xlabel("trial")
    axes[0].set_title(f"validation figure, best {values.max():.4f}")
    axes[1].barh(list(weights)[::-1], list(weights.values())[::-1], color="tab:blue")
    axes[1].set_title("what mattered" if weights else "too few trials to tell what mattered")
    for axis, name in zip(axes[2:], names, strict=False):
        drawn = [trial.params[name] for trial in done if name in trial.params]
        number = all(isinstance(v, int | float) and not isinstance(v, bool) for v in drawn)
        shown = drawn if number else [str(value) for value in drawn]
        axis.plot(shown, [t.value for t in done if name in t.params], "o", markersize=4)
        if number and min(drawn) > 0 and max(drawn) / min(drawn) > 20:
            axis.set_xscale("log")
        axis.set_title(name)
    for axis in axes[len(names) + 2 :]:
        axis.set_visible(False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()
