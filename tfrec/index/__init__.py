"""Indexes of item vectors in core TensorFlow ops: exact and approximate."""

from tfrec.index.exact import ExactIndex
from tfrec.index.index import Index, Neighbours

__all__ = ["ExactIndex", "Index", "Neighbours"]
