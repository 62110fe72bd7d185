"""Training: defaults from the data's size, the loop, the run directory."""

from tfrec.training.catalogue import Catalogue
from tfrec.training.defaults import resolve
from tfrec.training.distillation import distill
from tfrec.training.loop import TrainingResult, train
from tfrec.training.run_directory import Run, RunLayout, load_run
from tfrec.training.trainer import Trainer
from tfrec.training.validation import Validation

__all__ = [
    "Catalogue",
    "Run",
    "RunLayout",
    "Trainer",
    "TrainingResult",
    "Validation",
    "distill",
    "load_run",
    "resolve",
    "train",
]
