"""The graph of items by content: whose learned vectors an item takes in, and how it is trained."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tests.records import Event, spec, write_prepared
from tfrec.config.model import ModelConfig
from tfrec.fusion import knn_graph
from tfrec.model import example_items
from tfrec.towers import NeighboursTower
from tfrec.training import load_run, train


def test_neighbours_are_those_of_the_frozen_graph() -> None:
    """As `knn_graph` finds them before it makes them mutual; their learned vectors are averaged."""
    random = np.random.default_rng(0)
    vectors = random.standard_normal((30, 6)).astype(np.float32)
    tower = NeighboursTower(4, k=3, anchors=40, own=False)
    tower.remember(vectors)
    prepared = tower.prepare(tf.constant(vectors))
    places = prepared.numpy()[:, 6:].astype(int)
    graph = knn_graph(vectors, k=3)
    mutual = np.zeros((30, 30))
    np.put_along_axis(mutual, places, 1, 1)
    np.testing.assert_array_equal(mutual > 0, graph.toarray() > 0)
    assert (places != np.arange(30)[:, None]).all()
    expected = tower.learned.numpy()[places].mean(1)
    np.testing.assert_allclose(tower.features(prepared, None), expected, atol=1e-6)


def test_few_anchors_are_fewer_neighbours_and_none_is_zero() -> None:
    """Two anchors and a k of 3: the item itself is left out, so each has one; or none at all."""
    tower = NeighboursTower(4, k=3, anchors=5, own=False)
    vectors = tf.constant([[1.0, 0.0], [0.6, 0.8]])
    tower.remember(vectors.numpy())
    prepared = tower.prepare(vectors)
    np.testing.assert_array_equal(prepared.numpy()[:, 2:], [[1, -1, -1], [0, -1, -1]])
    np.testing.assert_allclose(
        tower.features(prepared, None), tower.learned.numpy()[[1, 0]], atol=1e-6
    )
    bare = NeighboursTower(4, k=3, anchors=5, own=False)
    np.testing.assert_array_equal(bare.features(bare.prepare(vectors), None), np.zeros((2, 4)))


def test_wrong_options_and_widths_are_one_line() -> None:
    with pytest.raises(ValueError, match=r"`k` must be at least 1.*Received: k=6, anchors=5"):
        NeighboursTower(4, k=6, anchors=5)
    tower = NeighboursTower(4, k=1, anchors=5)
    tower.remember(np.eye(3))
    with pytest.raises(ValueError, match=r"must be 3 wide.*Received: 7"):
        tower.prepare(tf.zeros([1, 7]))


@pytest.mark.slow
def test_a_new_item_lives_on_what_its_neighbours_learned(tmp_path: Path) -> None:
    """Chosen in a configuration, trained, loaded: a new item ranks with those it resembles."""
    items, users, new = 24, 40, 4
    random = np.random.default_rng(1)
    events: dict[str, list[Event]] = {"train": [], "validation": [], "test": []}
    for user in range(users):
        own = [item for item in range(items - new) if item % 2 == user % 2]
        for place, item in enumerate(random.permutation(own)):
            split = "train" if place < 7 else "validation" if place < 9 else "test"
            events[split].append((user, int(item), 1_000 * place + user, 1.0))
    # Kinds lie on two opposite rays, so that neighbours are of the own kind.
    content = random.standard_normal((items, 4)) * 0.3
    content[:, 0] += np.where(np.arange(items) % 2, 3.0, -3.0)
    data = write_prepared(
        tmp_path / "data",
        events,
        items=items,
        users=users,
        specs=[spec("plot", "embedding", dimension=4)],
        values={"plot": [row.tolist() for row in content]},
    )
    tower = {"type": "neighbours", "k": 4, "anchors": 32, "own": False}
    config = ModelConfig.model_validate(
        {
            "name": "graph",
            "dimension": 8,
            "item": {"use_id": False, "towers": {"plot": tower}},
            "training": {"epochs": 15, "batch_size": 64, "patience": 15},
            "optimizer": {"learning_rate": 0.01},
        }
    )
    train(data, tmp_path / "run", config, progress=False)
    run = load_run(tmp_path / "run")
    tower = run.model.views["neural"].item_towers["plot"]
    assert int((np.abs(tower.anchor_vectors.numpy()).sum(1) > 0).sum()) == items - new
    inputs = example_items(run.manifest.item_features, new)
    inputs |= {"plot": tf.constant(content[-new:], tf.float32)}
    inputs |= {"plot/present": tf.ones([new], tf.bool)}
    vectors = run.model.item_tower(inputs).numpy()
    np.testing.assert_allclose(vectors, run.item_vectors()[-new:], atol=1e-4)
    scores = run.query_vectors(run.train) @ vectors.T
    own = (np.arange(items - new, items) % 2)[None] == (run.train.user_index % 2)[:, None]
    assert scores[own].mean() > scores[~own].mean() + 0.5
