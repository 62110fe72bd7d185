"""Fusion layers: several modalities' vectors to one."""

from tfrec.fusion.aligned import AlignedFusion
from tfrec.fusion.bilinear import Bilinear
from tfrec.fusion.bottleneck import BottleneckFusion
from tfrec.fusion.concatenation import Concatenation
from tfrec.fusion.cross_attention import CrossAttentionFusion
from tfrec.fusion.deep import DeepFusion
from tfrec.fusion.disentangled import DisentangledFusion
from tfrec.fusion.film import FilmFusion
from tfrec.fusion.fusion import Fusion
from tfrec.fusion.gated import GatedMultimodalUnit
from tfrec.fusion.item_graph import bipartite_graph, combine_graphs, knn_graph
from tfrec.fusion.low_rank import LowRankFusion
from tfrec.fusion.masking import masked_softmax
from tfrec.fusion.matrix import MatrixSum
from tfrec.fusion.mfb import FactorizedBilinear
from tfrec.fusion.mixture import MixtureOfExperts
from tfrec.fusion.mlb import HadamardBilinear
from tfrec.fusion.multi_gate import MultiGateMixture
from tfrec.fusion.product_of_experts import ProductOfExperts
from tfrec.fusion.propagation import GraphPropagation
from tfrec.fusion.self_attention import SelfAttentionFusion
from tfrec.fusion.transformer_block import TransformerBlock
from tfrec.fusion.weighted import WeightedAverage

__all__ = [
    "AlignedFusion",
    "Bilinear",
    "BottleneckFusion",
    "Concatenation",
    "CrossAttentionFusion",
    "DeepFusion",
    "DisentangledFusion",
    "FactorizedBilinear",
    "FilmFusion",
    "Fusion",
    "GatedMultimodalUnit",
    "GraphPropagation",
    "HadamardBilinear",
    "LowRankFusion",
    "MatrixSum",
    "MixtureOfExperts",
    "MultiGateMixture",
    "ProductOfExperts",
    "SelfAttentionFusion",
    "TransformerBlock",
    "WeightedAverage",
    "bipartite_graph",
    "combine_graphs",
    "knn_graph",
    "masked_softmax",
]
