"""A trainer of two id towers over a dozen items, for tests of a single step."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tests.input.test_windows import timelines
from tfrec.config.model import LossConfig
from tfrec.input import ItemTable
from tfrec.model import GraphView, NeuralView, TwoTower
from tfrec.optimizers import AveragedAdamW, RowAdagrad
from tfrec.training import Catalogue, Trainer
from tfrec.training.user_item_graph import UserItemGraph

ITEMS, USERS = 12, 6
# Item, time and label of each user's events.
LIKED = [[((u + 5 * k) % ITEMS, k, 1.0) for k in range(8)] for u in range(USERS)]


def tiny_trainer(
    loss: LossConfig,
    *,
    micro_batches: int = 1,
    average: float = 0.0,
    item_bias: bool = True,
    static: bool = False,
    batch_size: int = 8,
    never: tuple[int, ...] = (),
    graph: bool = False,
) -> Trainer:
    """Compiled, to be called step by step; the same weights each time.

    Items `never` are no targets. With `graph` ids are spread over `LIKED`.
    """
    keras.utils.set_random_seed(0)
    kind: Any = GraphView if graph else NeuralView
    view = kind(4, items=ITEMS, users=USERS, item_bias=item_bias, name="neural")
    model = TwoTower({"neural": view})
    one = tf.constant([0])
    model.build_layers({"user_index": one, "item_index": one, "history": one[:, None]})
    zeros = np.zeros(ITEMS, np.int64)
    table = ItemTable(np.empty(ITEMS, object), zeros + 1, zeros, zeros, {}, {}, {}, {})
    counts = np.arange(1, ITEMS + 1, dtype=np.float64)
    counts[list(never)] = 0
    trainer = Trainer(
        model,
        Catalogue(table, {}, {}),
        loss,
        counts,
        RowAdagrad(0.1, average=average, static_shapes=static),
        users=USERS,
        batch_size=batch_size,
        micro_batches=micro_batches,
        graph=UserItemGraph(view, timelines(LIKED)) if graph else None,
    )
    dense = AveragedAdamW(0.01, average=average)
    if trainer.dense_variables:
        dense.build(trainer.dense_variables)
    trainer.compile(optimizer=dense)
    return trainer


def batch(size: int, *, seed: int = 0) -> dict[str, Any]:
    """Rows of different items and of weights 1 and 2."""
    random = np.random.default_rng(seed)
    return {
        "user_index": tf.constant(random.integers(0, USERS, size), tf.int32),
        "item_index": tf.constant(random.permutation(ITEMS)[:size], tf.int32),
        "target_weight": tf.constant(1.0 + np.arange(size) % 2, tf.float32),
        "history": tf.zeros([size, 0], tf.int32),
    }
