"""Typed descriptions of data sets and models. Imports no TensorFlow."""

from tfrec.config.dataset import (
    CommentsConfig,
    DatasetConfig,
    FeatureConfig,
    InteractionsConfig,
    InteractionsSource,
    ItemsConfig,
    LabelRule,
    Modality,
    SplitConfig,
    UsersConfig,
)
from tfrec.config.loading import load_config, parse_override
from tfrec.config.model import ModelConfig
from tfrec.config.quality import ColumnRules

__all__ = [
    "ColumnRules",
    "CommentsConfig",
    "DatasetConfig",
    "FeatureConfig",
    "InteractionsConfig",
    "InteractionsSource",
    "ItemsConfig",
    "LabelRule",
    "Modality",
    "ModelConfig",
    "SplitConfig",
    "UsersConfig",
    "load_config",
    "parse_override",
]
