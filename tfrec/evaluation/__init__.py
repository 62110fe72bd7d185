"""Exact ranking of the whole catalogue, metrics, intervals, the gate and the report."""

from tfrec.evaluation.candidates import read_candidates
from tfrec.evaluation.compressed_rows import CompressedRows
from tfrec.evaluation.contributions import MAX_ITEMS, measure_contributions
from tfrec.evaluation.evaluate import DEFAULT_KS, evaluate, primary_metric
from tfrec.evaluation.figures import Evaluation
from tfrec.evaluation.gate import GateConfig, judge, load_gate, read_last, write_verdict
from tfrec.evaluation.held_out import HeldOut, histories_before, seen_items
from tfrec.evaluation.latency import measure_latency
from tfrec.evaluation.media import ItemMedia, read_media
from tfrec.evaluation.metrics import RankedLists, mean
from tfrec.evaluation.rankings import Rankings, rank_baselines, rank_vectors, tuning_users
from tfrec.evaluation.table import table
from tfrec.evaluation.top_k import TopK, top_k, top_k_blocks, top_k_of_scores
from tfrec.evaluation.uncertainty import (
    bootstrap_intervals,
    minimum_detectable_effect,
    paired_difference,
)
from tfrec.evaluation.writing import write_evaluation

__all__ = [
    "DEFAULT_KS",
    "MAX_ITEMS",
    "CompressedRows",
    "Evaluation",
    "GateConfig",
    "HeldOut",
    "ItemMedia",
    "RankedLists",
    "Rankings",
    "TopK",
    "bootstrap_intervals",
    "evaluate",
    "histories_before",
    "judge",
    "load_gate",
    "mean",
    "measure_contributions",
    "measure_latency",
    "minimum_detectable_effect",
    "paired_difference",
    "primary_metric",
    "rank_baselines",
    "rank_vectors",
    "read_candidates",
    "read_last",
    "read_media",
    "seen_items",
    "table",
    "top_k",
    "top_k_blocks",
    "top_k_of_scores",
    "tuning_users",
    "write_evaluation",
    "write_verdict",
]
