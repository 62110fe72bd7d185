"""Which baselines stand beside a model."""

from __future__ import annotations

from tfrec.baselines.baseline import Baseline
from tfrec.baselines.content_based import ContentKNN, ContentRidge
from tfrec.baselines.ease import EASE
from tfrec.baselines.ials import IALS
from tfrec.baselines.item_knn import ItemKNN
from tfrec.baselines.popularity import Popularity, RecentPopularity, SegmentPopularity
from tfrec.baselines.random_order import RandomOrder

__all__ = ["ALL", "STANDARD"]

# Seconds to fit on a small data set.
STANDARD: tuple[type[Baseline], ...] = (
    RandomOrder,
    Popularity,
    RecentPopularity,
    SegmentPopularity,
    ItemKNN,
    ContentKNN,
)
# Minutes: a cubic solve, and alternating least squares.
ALL: tuple[type[Baseline], ...] = (*STANDARD, EASE, IALS, ContentRidge)
