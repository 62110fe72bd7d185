"""The graph view against LightGCN written out densely in NumPy, in training and from histories."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfrec.fusion import GraphPropagation, bipartite_graph
from tfrec.model import PROPAGATED, GraphView, TwoTower
from tfrec.model.parts import USER

pytestmark = pytest.mark.filterwarnings(
    # Keras reads a variable into NumPy so, when it saves.
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)

# User 3 and item 4 have no edge; user 0 liked item 1 twice.
EDGES = [(0, 0), (0, 1), (0, 1), (1, 1), (1, 2), (2, 2), (2, 3), (2, 0)]
LIKED = {0: [0, 1], 1: [1, 2], 2: [0, 2, 3]}
USERS, ITEMS, WIDTH, LAYERS = 4, 5, 3, 3


def made(layers: int = LAYERS, *, bias: bool = False) -> tuple[GraphView, GraphPropagation]:
    """A view of random tables, and its graph."""
    keras.utils.set_random_seed(3)
    view = GraphView(
        WIDTH,
        layers=layers,
        items=ITEMS,
        users=USERS,
        item_bias=bias,
        normalize=False,
        name="neural",
    )
    users, items = np.array(EDGES).T
    graph = GraphPropagation.of(bipartite_graph(users, items, USERS, ITEMS), layers=layers)
    return view, graph


def dense(view: GraphView, layers: int = LAYERS) -> tuple[np.ndarray, np.ndarray]:
    """He et al. 2020, equations 3 and 4, node by node; users and items."""
    users = np.array(view.user_table.table.numpy(), np.float64)
    items = np.array(view.item_table.table.numpy(), np.float64)
    fans = {item: [u for u, liked in LIKED.items() if item in liked] for item in range(ITEMS)}
    sums = users.copy(), items.copy()
    for _ in range(layers):
        next_users, next_items = np.zeros_like(users), np.zeros_like(items)
        for user, liked in LIKED.items():
            for item in liked:
                norm = np.sqrt(len(liked)) * np.sqrt(len(fans[item]))
                next_users[user] += items[item] / norm
                next_items[item] += users[user] / norm
        users, items = next_users, next_items
        sums = sums[0] + users, sums[1] + items
    return sums[0] / (layers + 1), sums[1] / (layers + 1)


def asked(users: list[int], histories: list[list[int]], length: int = 4) -> dict[str, Any]:
    rows = [[-1] * (length - len(history)) + history for history in histories]
    return {"user_index": tf.constant(users), "history": tf.constant(rows)}


@pytest.mark.parametrize("layers", [1, 3])
def test_a_training_step_reads_lightgcn(layers: int) -> None:
    """Users of the graph and items, whatever the history that comes with them."""
    view, graph = made(layers)
    users, items = dense(view, layers)
    given = {PROPAGATED: view.propagate(graph)}
    queries = view.query({**asked([0, 1, 2], [[], [3], []]), **given}, training=True)
    np.testing.assert_allclose(queries, users[:3], atol=1e-6)
    vectors = view.item({"item_index": tf.range(4), **given}, training=True)
    np.testing.assert_allclose(vectors, items[:4], atol=1e-6)


@pytest.mark.parametrize("layers", [1, 3])
def test_the_past_of_a_known_user_gives_the_trained_vector(layers: int) -> None:
    """Inductive equals transductive: by history and lookups alone, in any order."""
    view, graph = made(layers)
    view.settle(graph)
    users, items = dense(view, layers)
    found = view.query(asked([0, 1, 2], [[1, 0], [1, 2], [3, 0, 2]]))
    np.testing.assert_allclose(found, users[:3], atol=1e-6)
    np.testing.assert_allclose(view.item({"item_index": tf.range(4)}), items[:4], atol=1e-6)


def test_someone_without_an_id_is_the_same_without_an_embedding() -> None:
    view, graph = made()
    view.settle(graph)
    known, unknown = view.query(asked([2, -1], [[0, 2, 3], [0, 2, 3]])).numpy()
    own = view.user_table.table.numpy()[2] / (LAYERS + 1)
    np.testing.assert_allclose(known - unknown, own, atol=1e-6)
    assert np.abs(unknown).max() > 1e-3


def test_an_item_counts_once_and_one_without_behaviour_not_at_all() -> None:
    """Nor one that the table hasn't: an item that was added after training."""
    view, graph = made()
    view.settle(graph)
    plain, twice, cold, later, empty = view.query(
        asked([-1] * 5, [[0, 2], [2, 0, 2], [0, 4, 2], [0, 2, ITEMS + 7], []])
    ).numpy()
    np.testing.assert_allclose([twice, cold, later], [plain] * 3, atol=1e-6)
    assert not empty.any() and plain.any()


def test_items_without_behaviour_have_no_id() -> None:
    view, graph = made()
    view.settle(graph)
    assert not view.item({"item_index": tf.constant([-1])}).numpy().any()


@pytest.mark.parametrize(("layers", "everywhere"), [(1, False), (3, True)])
def test_one_score_moves_all_that_it_comes_from(layers: int, everywhere: bool) -> None:
    """Within three steps of user 0 and item 0 lies the whole graph; within one it doesn't.

    The gradient is dense, and equals that of the dense arithmetic by differences.
    """
    view, graph = made(layers)
    tables = [view.user_table.table, view.item_table.table]
    with tf.GradientTape() as tape:
        given = {PROPAGATED: view.propagate(graph)}
        query = view.query({**asked([0], [[]]), **given}, training=True)
        score = tf.reduce_sum(query * view.item({"item_index": tf.constant([0]), **given}, True))
    gradients = tape.gradient(score, [table.value for table in tables])
    assert all(isinstance(gradient, tf.Tensor) for gradient in gradients)
    moved = [np.abs(gradient).max(1) > 1e-6 for gradient in gradients]
    assert moved[0].tolist() == [True, everywhere, True, False]
    assert moved[1].tolist() == [True, True, everywhere, everywhere, False]

    def at(table: Any, row: int, value: float) -> float:
        before = np.array(table.numpy())
        table.assign(before + value * np.eye(len(before))[:, [row]])
        users, items = dense(view, layers)
        table.assign(before)
        return float(users[0] @ items[0])

    for table, gradient in zip(tables, gradients, strict=True):
        for row in range(len(gradient)):
            slope = (at(table, row, 0.05) - at(table, row, -0.05)) / 0.1
            assert float(tf.reduce_sum(gradient[row])) == pytest.approx(slope, abs=1e-4)


def test_parts_add_up_and_events_are_the_terms_of_the_sum() -> None:
    """With bias and unit length, as shipped: the query is user, events and the bias's one."""
    view, graph = made(bias=True)
    view.normalize = True
    view.settle(graph)
    model = TwoTower({"neural": view})
    queries = asked([2, -1, 1], [[0, 2, 3], [1, 1, 4], []])
    parts = model.query_tower.parts(queries)
    total = tf.reduce_sum(parts.events, 1) + sum(parts.others.values())
    np.testing.assert_allclose(total, model.query_tower(queries), atol=1e-6)
    moved = np.abs(parts.events).max(2) > 1e-6
    assert moved.tolist() == [[False, True, True, True], [False, True, True, False], [False] * 4]
    assert np.abs(parts.others[USER]).max(1).astype(bool).tolist() == [True, False, True]
    items = {"item_index": tf.constant([0, 3, -1])}
    of_items = model.item_tower.parts(items)
    np.testing.assert_allclose(sum(of_items.values()), model.item_tower(items), atol=1e-6)


def test_a_saved_view_answers_alike_and_trains_the_same_tables(tmp_path: Path) -> None:
    """What follows from the trained tables is in the file, and no weight that is trained."""
    view, graph = made(bias=True)
    view.settle(graph)
    model = TwoTower({"neural": view})
    inputs = {**asked([0, -1], [[0, 2], [1, 3]]), "item_index": tf.constant([1, -1])}
    model.build_layers(inputs)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded(inputs), model(inputs), atol=1e-6)
    for one in (model, loaded):
        tables = [v.path for v in one.trainable_variables if v.path.endswith("/table")]
        assert len(tables) == 3 and not [path for path in tables if "settled" in path]
    assert loaded.views["neural"].graph_layers == LAYERS


@pytest.mark.parametrize("change", [{"users": 0}, {"item_id": False}])
def test_a_graph_needs_ids_on_both_sides(change: dict[str, Any]) -> None:
    options: dict[str, Any] = {"items": ITEMS, "users": USERS, **change}
    if not options.get("item_id", True):
        options["fusion"] = object()
    with pytest.raises(ValueError, match="`users` must be positive, `item_id` True"):
        GraphView(WIDTH, **options)
