"""Training-serving skew: other answers for the same users, other features in the requests."""

from tfrec.online.skew.features import FeatureSkew, compare_features, training_distributions
from tfrec.online.skew.ranks import RankSkew, compare_ranks
from tfrec.online.skew.served import Served, read_served

__all__ = [
    "FeatureSkew",
    "RankSkew",
    "Served",
    "compare_features",
    "compare_ranks",
    "read_served",
    "training_distributions",
]
