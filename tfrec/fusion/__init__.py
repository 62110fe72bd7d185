"""Fusion layers: several modalities' vectors to one."""

from tfrec.fusion.concatenation import Concatenation
from tfrec.fusion.fusion import Fusion
from tfrec.fusion.gated import GatedMultimodalUnit
from tfrec.fusion.masking import masked_softmax
from tfrec.fusion.matrix import MatrixSum
from tfrec.fusion.weighted import WeightedAverage

__all__ = [
    "Concatenation",
    "Fusion",
    "GatedMultimodalUnit",
    "MatrixSum",
    "WeightedAverage",
    "masked_softmax",
]
