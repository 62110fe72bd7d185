"""Graphs and propagation, against dense arithmetic."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import scipy.sparse
import tensorflow as tf

from tests import harness
from tfrec.fusion import GraphPropagation, bipartite_graph, combine_graphs, knn_graph

pytestmark = pytest.mark.filterwarnings(harness.H5PY_WARNING)

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("keep_input", [True, False])
def test_propagation_equals_dense_matrices(keep_input: bool) -> None:
    """LightGCN: the mean of x, A x, A² x, A³ x, with A dense in NumPy."""
    graph = bipartite_graph(RNG.integers(0, 6, 20), RNG.integers(0, 8, 20), 6, 8)
    x = RNG.standard_normal((14, 5)).astype(np.float32)
    dense = graph.toarray().astype(np.float64)
    terms = [np.linalg.matrix_power(dense, power) @ x for power in range(4)]
    layer = GraphPropagation.of(graph, layers=3, keep_input=keep_input)
    expected = np.mean(terms if keep_input else terms[1:], 0)
    np.testing.assert_allclose(layer(x), expected, atol=1e-5)


def test_the_layer_keeps_every_common_promise(tmp_path: Path) -> None:
    """Files too: the graph is in the weights."""
    graph = bipartite_graph(RNG.integers(0, 3, 6), RNG.integers(0, 3, 6), 3, 3)
    inputs = (tf.constant(RNG.standard_normal((6, 4)), tf.float32),)

    def make() -> GraphPropagation:
        return GraphPropagation.of(graph)

    harness.check_round_trip(make, inputs)
    harness.check_file(make, inputs, tmp_path)
    harness.check_modes(make, inputs, compiled=True)
    harness.check_export(make, inputs, tmp_path / "saved")


def test_a_user_item_graph_is_normalised_by_both_degrees() -> None:
    """User 0 has two items, item 1 two users: 1 / √(2·1), 1 / √(2·2), 1 / √(1·2); twice is once."""
    graph = bipartite_graph(np.array([0, 0, 1, 0]), np.array([0, 1, 1, 0]), 2, 2).toarray()
    expected = np.zeros((4, 4))
    expected[0, 2] = expected[2, 0] = 2**-0.5
    expected[0, 3] = expected[3, 0] = 0.5
    expected[1, 3] = expected[3, 1] = 2**-0.5
    np.testing.assert_allclose(graph, expected, atol=1e-6)


def test_neighbours_are_the_nearest_by_cosine_and_blocks_do_not_matter() -> None:
    """Against a sort of all similarities; length doesn't count."""
    features = RNG.standard_normal((50, 8)) * RNG.exponential(1, (50, 1))
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    scores = unit @ unit.T - 9 * np.eye(50)
    expected = np.zeros((50, 50), bool)
    for row in range(50):
        expected[row, np.argsort(-scores[row])[:4]] = True
    for size in (7, 1000):
        graph = knn_graph(features, k=4, batch_size=size)
        assert ((graph.toarray() > 0) == expected).all()
    # Every row has 4 neighbours, so D is 4 throughout and each entry is 1 / 4.
    np.testing.assert_allclose(graph.data, 0.25, rtol=1e-6)


def test_a_missing_item_has_no_neighbours_and_is_nobodys() -> None:
    features = RNG.standard_normal((6, 3))
    features[2] = 0
    dense = knn_graph(features, k=3).toarray()
    assert not dense[2].any() and not dense[:, 2].any()
    assert (dense[[0, 1, 3, 4, 5]].sum(1) > 0).all()
    assert knn_graph(np.zeros((3, 2))).nnz == 0


def test_graphs_are_summed_by_weight() -> None:
    one, two = scipy.sparse.eye(2, format="csr"), scipy.sparse.csr_matrix([[0.0, 1.0], [1.0, 0.0]])
    summed = combine_graphs({"text": one, "image": two}, {"text": 3, "image": 1}).toarray()
    np.testing.assert_allclose(summed, [[0.75, 0.25], [0.25, 0.75]])
    with pytest.raises(ValueError, match="must name image, text"):
        combine_graphs({"text": one, "image": two}, {"text": 1.0})
