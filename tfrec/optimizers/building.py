"""Sparse optimizers by the names that configurations use."""

from __future__ import annotations

from typing import Any

from tfrec.optimizers.rows import RowOptimizer
from tfrec.optimizers.rules import RowAdagrad, RowAdam, RowFtrl, RowSGD, RowwiseAdagrad

__all__ = ["ROW_OPTIMIZERS", "build_row_optimizer"]

ROW_OPTIMIZERS: dict[str, type[RowOptimizer]] = {
    "adagrad": RowAdagrad,
    "adam": RowAdam,
    "ftrl": RowFtrl,
    "rowwise_adagrad": RowwiseAdagrad,
    "sgd": RowSGD,
}


def build_row_optimizer(name: str, learning_rate: Any, **options: Any) -> RowOptimizer:
    """Builds a sparse optimizer.

    Args:
        name: A key of `ROW_OPTIMIZERS`.
        learning_rate: Number or schedule.
        **options: The class's own.

    Returns:
        The optimizer, unbuilt.

    Example:
        >>> build_row_optimizer("adagrad", 0.1).slots
        {'accumulator': False}
    """
    return ROW_OPTIMIZERS[name](learning_rate, **options)
