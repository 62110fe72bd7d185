"""Indexes of item vectors in core TensorFlow ops: exact and approximate."""

from tfrec.index.cells import Cells, default_cells, train_cells
from tfrec.index.exact import ExactIndex
from tfrec.index.index import Index, Neighbours
from tfrec.index.item_filter import ItemFilter
from tfrec.index.ivf import IvfIndex

__all__ = [
    "Cells",
    "ExactIndex",
    "Index",
    "ItemFilter",
    "IvfIndex",
    "Neighbours",
    "default_cells",
    "train_cells",
]
