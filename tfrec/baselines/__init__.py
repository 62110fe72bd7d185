"""Recommenders without gradients: what any model has to beat, fitted on the same data."""

from tfrec.baselines.baseline import Baseline, interaction_matrix
from tfrec.baselines.content import content_matrix, has_content
from tfrec.baselines.content_based import ContentKNN, ContentRidge
from tfrec.baselines.ease import EASE
from tfrec.baselines.ials import IALS
from tfrec.baselines.item_knn import ItemKNN
from tfrec.baselines.popularity import Popularity, RecentPopularity, SegmentPopularity
from tfrec.baselines.random_order import RandomOrder
from tfrec.baselines.suite import ALL, STANDARD

__all__ = [
    "ALL",
    "EASE",
    "IALS",
    "STANDARD",
    "Baseline",
    "ContentKNN",
    "ContentRidge",
    "ItemKNN",
    "Popularity",
    "RandomOrder",
    "RecentPopularity",
    "SegmentPopularity",
    "content_matrix",
    "has_content",
    "interaction_matrix",
]
