"""Experiments over whole runs: configurations against each other, and a run without a modality."""

from tfrec.experiments.ablation import Ablation, ablate
from tfrec.experiments.systems import System, read_systems
from tfrec.experiments.table import Row, bar_chart, markdown, rows_of
from tfrec.experiments.trained import Result, train_systems

__all__ = [
    "Ablation",
    "Result",
    "Row",
    "System",
    "ablate",
    "bar_chart",
    "markdown",
    "read_systems",
    "rows_of",
    "train_systems",
]
