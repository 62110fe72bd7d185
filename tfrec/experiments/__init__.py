"""Experiments over whole runs: configurations against each other, and a run without a modality."""

from tfrec.experiments.ablation import Ablation, ablate
from tfrec.experiments.page import lines_of, page
from tfrec.experiments.systems import System, read_systems
from tfrec.experiments.table import Row, bar_chart, markdown, rows_of
from tfrec.experiments.trained import Result, measure_baselines, train_systems, which_fit

__all__ = [
    "Ablation",
    "Result",
    "Row",
    "System",
    "ablate",
    "bar_chart",
    "lines_of",
    "markdown",
    "measure_baselines",
    "page",
    "read_systems",
    "rows_of",
    "train_systems",
    "which_fit",
]
