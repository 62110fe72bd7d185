"""A search by cosine reaches its own recall, on items that took no part in the choice."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tests.index.vectors import clustered
from tfrec.index import IvfIndex
from tfrec.index.similar import tune_similar
from tfrec.index.tuning import recall_of


def test_enough_cells_are_probed_for_the_recall_that_is_wanted() -> None:
    """Lengths differ, so that the nearest by cosine aren't those of the greatest product."""
    vectors = clustered(1200) * np.linspace(0.3, 3, 1200)[:, None].astype(np.float32)
    index = IvfIndex(vectors, probes=1)
    reported = tune_similar(index, vectors, target=0.9, k=5)
    assert reported >= 0.85 and 1 <= index.cosine_probes < index.cells and index.probes == 1
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    rows = np.arange(0, 1200, 10)
    cosines = unit[rows] @ unit.T
    cosines[np.arange(len(rows)), rows] = -2
    truth = np.argsort(-cosines, 1)[:, :5]
    queries, own = tf.constant(unit[rows]), tf.constant(rows[:, None], tf.int32)
    found = index.search(queries, tf.constant(5), own, cosine=True).items.numpy()
    assert recall_of(found, truth) >= 0.85


def test_a_recall_out_of_reach_probes_all() -> None:
    """An approximation as good as it gets is still told by its recall."""
    vectors = np.random.default_rng(0).standard_normal((300, 8)).astype(np.float32)
    index = IvfIndex(vectors, "ivf-int8", probes=1)
    assert tune_similar(index, vectors, target=1.0, k=50) <= 1.0
    assert index.cosine_probes >= index.cells // 2
