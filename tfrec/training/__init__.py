"""Training: defaults from the data's size, the loop, the run directory."""

# First: it chooses Keras 2 for `tf.keras`, which tensorflow_text would load as Keras 3.
from tfrec.losses.retrieval_task import retrieval_task
from tfrec.training.catalogue import Catalogue
from tfrec.training.defaults import resolve
from tfrec.training.distillation import distill
from tfrec.training.loop import TrainingResult, train
from tfrec.training.options import check_fit
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
    "check_fit",
    "distill",
    "load_run",
    "resolve",
    "retrieval_task",
    "train",
]
