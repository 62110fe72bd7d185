"""A learned view of ids alone, trained in a run of its own, to stand beside one with content."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfrec import schema
from tfrec.config.model import (
    ClosedFormConfig,
    IdsConfig,
    ModelConfig,
    NewItemsConfig,
    PopularityConfig,
)
from tfrec.model import NeuralView
from tfrec.schema import Manifest
from tfrec.training.defaults import resolve

__all__ = ["IDS", "ids_alone", "prepare_ids_view"]

# What the view and its run's folder are called.
IDS = "ids"
_BATCH = 8_192


def ids_alone(config: ModelConfig, manifest: Manifest) -> ModelConfig:
    """The configuration that trains it.

    Args:
        config: The whole model's, as it was read: what it leaves open is settled for each apart.
        manifest: Of the prepared data.

    Returns:
        The same training, of ids, histories and, where it has them, users' ids.
    """
    item = config.item.model_copy(update={"use_id": True, "features": (), "towers": {}})
    query = config.query.model_copy(update={"profile": False, "context": False, "towers": {}})
    # Both are about modalities, of which there is one.
    optimizer = config.optimizer.model_copy(
        update={"balance": 0.0, "balance_noise": False, "modality_rates": {}}
    )
    alone = config.model_copy(
        update={
            "name": f"{config.name}-{IDS}",
            "item": item,
            "query": query,
            "optimizer": optimizer,
            "augmentation": None,
            "closed_form": ClosedFormConfig(),
            "popularity": PopularityConfig(),
            "new_items": NewItemsConfig(),
            "ids": IdsConfig(),
        }
    )
    if resolve(alone, manifest)[0].loss.type == "full" and config.loss.type is None:
        # Where ids may be scored against the whole catalogue, and content may not.
        none = {"negatives": 0, "cache": 0, "hard_negatives": 0}
        alone = alone.model_copy(update={"loss": config.loss.model_copy(update=none)})
    return alone


def prepare_ids_view(view: NeuralView, warm: npt.NDArray[np.bool_]) -> npt.NDArray[np.float32]:
    """Lets the view say of every item without behaviour what it says of the others on average.

    Args:
        view: Trained.
        warm: bool [N], which items have behaviour.

    Returns:
        float32 [N, dimension], its vectors of the catalogue.
    """
    vectors = np.empty((len(warm), view.dimension), np.float32)
    for start in range(0, len(warm), _BATCH):
        rows = tf.range(start, min(start + _BATCH, len(warm)))
        vectors[start : start + _BATCH] = view.item({schema.ITEM_INDEX: rows}).numpy()
    mean = vectors[warm].mean(0) if warm.any() else np.zeros(view.dimension, np.float32)
    view.set_unseen(0.0, mean)
    vectors[~warm] = mean
    return vectors
