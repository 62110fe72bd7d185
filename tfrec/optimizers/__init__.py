"""Optimizers whose cost follows the rows that a batch used, not the size of the table."""

from tfrec.optimizers.averaged import AveragedAdamW
from tfrec.optimizers.building import ROW_OPTIMIZERS, build_row_optimizer
from tfrec.optimizers.rows import RowOptimizer, sum_by_row
from tfrec.optimizers.rules import RowAdagrad, RowAdam, RowFtrl, RowSGD, RowwiseAdagrad
from tfrec.optimizers.schedule import WarmupSchedule

__all__ = [
    "ROW_OPTIMIZERS",
    "AveragedAdamW",
    "RowAdagrad",
    "RowAdam",
    "RowFtrl",
    "RowOptimizer",
    "RowSGD",
    "RowwiseAdagrad",
    "WarmupSchedule",
    "build_row_optimizer",
    "sum_by_row",
]
