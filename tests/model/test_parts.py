"""Vectors as exact sums: of an item's modalities, of a history's events."""

from __future__ import annotations

import itertools
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.model.test_closed_form_view import VALUES as CONTENT
from tests.model.test_closed_form_view import fitted, view  # noqa: F401
from tests.records import spec, write_prepared
from tfrec.config.loading import validate
from tfrec.config.model import ModelConfig
from tfrec.model import TwoTower, build_model, example_items, example_queries
from tfrec.model.closed_form_view import ClosedFormView
from tfrec.model.parts import BASE, BEHAVIOUR, QueryParts, event_parts, shapley
from tfrec.schema import DataLayout, Manifest

SPECS = [spec("cover", "image", size=(8, 8)), spec("year", "numeric")]


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    data = write_prepared(
        tmp_path_factory.mktemp("parts") / "data",
        {"train": [(0, 0, 1, 1), (0, 1, 2, 1), (1, 2, 3, 1)]},
        items=4,
        specs=SPECS,
        values={"year": [0.5, None, -1.0, 0.0]},
        profile=[spec("band", "categorical", vocabulary_size=4)],
        profiles={"band": [2, None]},
        contexts=[spec("hour", "numeric")],
    )
    return DataLayout(data).read_manifest()


def built(manifest: Manifest, *, fusion: str, history: str, normalize: bool = True) -> TwoTower:
    keras.utils.set_random_seed(2)
    content = {
        "name": "m",
        "dimension": 8,
        "item": {"fusion": {"type": fusion}, "bias": True},
        "query": {"history": {"type": history}, "history_length": 4, "use_id": True},
        "loss": {"normalize": normalize},
    }
    model = build_model(validate(content, ModelConfig, where="test"), manifest)
    random = np.random.default_rng(0)
    for variable in model.trainable_variables:
        # Biases start at zero, where a part that forgets them isn't seen.
        variable.assign(variable + 0.3 * random.standard_normal(variable.shape))
    return model


def some_items() -> dict[str, Any]:
    inputs = example_items(SPECS, 4)
    inputs["item_index"] = tf.constant([0, 1, -1, -1])
    random = np.random.default_rng(1)
    inputs["cover"] = tf.constant(random.integers(0, 255, (4, 8, 8, 3)), tf.uint8)
    inputs["cover/present"] = tf.constant([True, True, True, False])
    inputs["year"] = tf.constant([0.5, 1.0, -1.0, 0.0])
    inputs["year/present"] = tf.constant([True, False, True, False])
    return inputs


def some_queries(manifest: Manifest) -> dict[str, Any]:
    inputs = example_queries(manifest, 4, 3)
    inputs["user_index"] = tf.constant([0, -1, 1])
    inputs["history"] = tf.constant([[-1, 0, 1, 2], [-1, -1, -1, 3], [-1, -1, -1, -1]])
    inputs["history_age"] = tf.constant([[0.0, 9, 4, 1], [0, 0, 0, 2], [0, 0, 0, 0]])
    inputs["band"] = tf.constant([2, 3, 0])
    inputs["band/present"] = tf.constant([True, False, True])
    inputs["context/hour"] = tf.constant([0.5, 0.0, 1.0])
    return inputs


def total(parts: QueryParts) -> np.ndarray:
    return np.asarray(tf.reduce_sum(parts.events, 1) + sum(parts.others.values()))


@pytest.mark.parametrize("players", [3, 7])
def test_shares_are_shapleys_by_definition(players: int) -> None:
    """Three of a product and a sum against all orders; seven add up and respect a dummy."""
    names = [f"m{place}" for place in range(players)]

    def value(masks: Any, copies: int) -> Any:
        flags = {name: tf.cast(masks[name], tf.float32)[:, None] for name in names}
        return 4.0 * flags["m0"] * flags["m1"] + 2.0 * flags["m0"] + 1.0

    parts = shapley(value, {name: tf.constant([True, name != "m1"]) for name in names})
    found = {name: part.numpy()[:, 0].tolist() for name, part in parts.items()}
    if players == 3:
        orders = list(itertools.permutations(range(3)))
        first = np.mean([2.0 + 4.0 * (order.index(1) < order.index(0)) for order in orders])
        assert found["m0"] == pytest.approx([first, 2.0])
        assert found["m1"] == pytest.approx([6.0 - first, 0.0])
    assert found["m2"] == pytest.approx([0.0, 0.0], abs=1e-6) and found[BASE] == [1.0, 1.0]
    assert sum(part[0] for part in found.values()) == pytest.approx(7.0)


def test_an_event_counts_beside_those_before_and_those_after() -> None:
    """max(2, 3, 5) in time: 2, +1, +2; from the end: 5, 0, 0. Halves: 1, 0.5, 3.5; base 0."""
    sizes = tf.constant([2.0, 3.0, 5.0])

    def greatest(inputs: dict[str, Any]) -> Any:
        history = inputs["history"]
        found = tf.where(history >= 0, tf.gather(sizes, tf.maximum(history, 0)), 0.0)
        return tf.reduce_max(found, 1)[:, None]

    parts = event_parts(greatest, {"history": tf.constant([[-1, 0, 1, 2]])})
    assert parts.events[0, :, 0].numpy().tolist() == [0.0, 1.0, 0.5, 3.5]
    assert parts.others[BASE].numpy().tolist() == [[0.0]]


def test_a_prefix_is_as_a_client_would_send_it() -> None:
    """Right-aligned, ages and all: what is asked of the encoder, spelled out."""
    asked: list[dict[str, np.ndarray]] = []

    def note(inputs: dict[str, Any]) -> Any:
        asked.append({name: value.numpy() for name, value in inputs.items()})
        return tf.zeros([len(inputs["history"]), 1])

    event_parts(note, {"history": tf.constant([[4, 7]]), "history_age": tf.constant([[9.0, 1.0]])})
    assert asked[0]["history"].tolist() == [[-1, -1], [-1, 4], [4, 7], [4, 7], [-1, 7], [-1, -1]]
    assert asked[0]["history_age"].tolist() == [[0, 0], [0, 9], [9, 1], [9, 1], [0, 1], [0, 0]]


@pytest.mark.parametrize(
    ("fusion", "history", "normalize"),
    [
        ("gated", "mean", True),
        ("cross_attention", "transformer", True),
        ("concatenation", "attention", False),
    ],
)
def test_the_learned_views_parts_add_up(
    manifest: Manifest, fusion: str, history: str, normalize: bool
) -> None:
    """Known and new items, whole and bare; full, short and empty histories."""
    model = built(manifest, fusion=fusion, history=history, normalize=normalize)
    model.views["neural"].set_unseen(0.3, np.linspace(-1, 1, 9))  # type: ignore[attr-defined]
    items = some_items()
    parts = model.item_tower.parts(items)
    np.testing.assert_allclose(sum(parts.values()), model.item_tower(items), atol=1e-5)
    assert set(parts) == {BEHAVIOUR, "cover", "year", BASE}
    assert not parts[BEHAVIOUR][2:].numpy().any() and not parts["year"][1].numpy().any()
    assert np.abs(parts["cover"][:3]).max(1).min() > 1e-3
    queries = some_queries(manifest)
    found = model.query_tower.parts(queries)
    np.testing.assert_allclose(total(found), model.query_tower(queries), atol=1e-5)
    assert set(found.others) == {"user", "band", "context/hour", BASE}
    there = np.abs(found.events).max(2) > 1e-6
    assert (there == (queries["history"].numpy() >= 0)).all()
    assert not found.others["user"][1].numpy().any()


def test_a_known_items_closed_form_is_behaviours_alone(
    view: ClosedFormView,  # noqa: F811
) -> None:
    """What its vector doesn't depend on has no share; a new one is all content."""
    asked = {
        "item_index": tf.constant([0, 1, -1]),
        "x": tf.constant(CONTENT[:3]),
        "x/present": tf.constant([True, True, True]),
    }
    parts = view.item_parts(asked)
    np.testing.assert_allclose(sum(parts.values()), view.item(asked), atol=1e-5)
    sizes = {name: np.abs(part).max(1) > 1e-6 for name, part in parts.items()}
    assert sizes[BEHAVIOUR].tolist() == [True, True, False]
    assert sizes["x"].tolist() == [False, False, True]


def test_the_closed_forms_events_are_the_terms_of_its_mean(
    view: ClosedFormView,  # noqa: F811
) -> None:
    """Whoever met one item has a query of that item alone."""
    asked = {"history": tf.constant([[-1, 3, 7], [-1, -1, 3]])}
    parts = view.query_parts(asked)
    assert not parts.others
    np.testing.assert_allclose(tf.reduce_sum(parts.events, 1), view.query(asked), atol=1e-6)
    np.testing.assert_allclose(parts.events[1, 2], view.query(asked)[1], atol=1e-6)
    assert not parts.events[:, 0].numpy().any()


def test_views_parts_stand_in_their_own_columns(
    manifest: Manifest,
    view: ClosedFormView,  # noqa: F811
) -> None:
    """Scales and places of two views; a part that both have is one vector."""
    neural = built(manifest, fusion="gated", history="mean").views["neural"]
    model = TwoTower({"closed_form": view, "neural": neural})
    model.set_scales({"neural": 0.5, "closed_form": 2.0})
    items = {**some_items(), "x": tf.constant(CONTENT[:4]), "x/present": tf.fill([4], True)}
    parts = model.item_tower.parts(items)
    np.testing.assert_allclose(sum(parts.values()), model.item_tower(items), atol=1e-5)
    queries = some_queries(manifest)
    found = model.query_tower.parts(queries)
    np.testing.assert_allclose(total(found), model.query_tower(queries), atol=1e-5)
