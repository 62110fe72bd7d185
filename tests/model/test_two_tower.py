"""The two towers: masks, missing content, cold items, serialization, views side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.records import spec, write_prepared
from tfrec.config.loading import validate
from tfrec.config.model import ModelConfig
from tfrec.input import ItemTable
from tfrec.model import (
    IdEmbedding,
    NeuralView,
    TwoTower,
    View,
    build_model,
    example_items,
    example_queries,
    history_content,
)
from tfrec.schema import DataLayout, Manifest

pytestmark = pytest.mark.filterwarnings(
    # Keras reads a variable into NumPy so, when it saves.
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)

SPECS = [
    spec("title", "text", encoded_dim=3),
    spec("cover", "image", size=(8, 8)),
    spec("genres", "tags", vocabulary_size=6),
    spec("year", "numeric"),
]
VALUES: dict[str, list[Any]] = {
    "title": ["a", "b", None, "d"],
    "genres": [[2], [2, 3], [4], None],
    "year": [0.5, None, -1.0, 0.0],
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_prepared(
        tmp_path_factory.mktemp("model") / "data",
        {"train": [(0, 0, 1, 1), (0, 1, 2, 1), (1, 2, 3, 1)]},
        items=4,
        specs=SPECS,
        values=VALUES,
        encoded={"title": [[1, 0, 0], [0, 1, 0], None, [0, 0, 1]]},
        profile=[spec("band", "categorical", vocabulary_size=4)],
        profiles={"band": [2, None]},
        contexts=[spec("hour", "numeric"), spec("device", "categorical", vocabulary_size=5)],
    )


@pytest.fixture(scope="module")
def manifest(data: Path) -> Manifest:
    return DataLayout(data).read_manifest()


def config(**changes: Any) -> ModelConfig:
    content = {"name": "m", "dimension": 8, "query": {"history_length": 4, **changes}}
    return validate(content, ModelConfig, where="test")


@pytest.fixture(scope="module")
def model(manifest: Manifest) -> TwoTower:
    keras.utils.set_random_seed(1)
    return build_model(config(use_id=True), manifest)


def items_of(rows: int = 3) -> dict[str, Any]:
    random = np.random.default_rng(0)
    inputs = example_items(SPECS, rows)
    inputs["item_index"] = tf.range(rows)
    inputs["title"] = tf.constant(random.normal(size=(rows, 3)), tf.float32)
    inputs["title/present"] = tf.fill([rows], True)
    inputs["year"] = tf.constant(random.normal(size=rows), tf.float32)
    return inputs


def test_what_is_missing_is_masked_whatever_stands_in_its_place(model: TwoTower) -> None:
    one, other = items_of(), items_of()
    other["year"] = tf.constant([9.0, -9.0, float("nan")])
    other["cover"] = tf.fill(other["cover"].shape, tf.constant(200, tf.uint8))
    np.testing.assert_array_equal(model.item_tower(one), model.item_tower(other))
    other["year/present"] = tf.constant([True, True, False])
    changed = np.abs(model.item_tower(one) - model.item_tower(other)).max(1)
    assert (changed > 1e-4).tolist() == [True, True, False]


def test_a_new_item_has_no_id_and_still_a_vector(model: TwoTower) -> None:
    inputs = items_of()
    known = model.item_tower(inputs)
    inputs["item_index"] = tf.constant([-1, -1, 2])
    new = model.item_tower(inputs)
    assert np.abs(new - known).max(1).tolist()[2] == 0
    assert (np.abs(new - known).max(1)[:2] > 1e-3).all()
    nothing = model.item_tower(example_items(SPECS, 2))
    assert np.isfinite(nothing).all()


def test_items_without_behaviour_are_drawn_together_and_no_other(manifest: Manifest) -> None:
    """Their differences shrink to a share around a mean that stays; known items stay."""
    model = build_model(config(), manifest)
    view = model.views["neural"]
    assert isinstance(view, NeuralView)
    inputs = items_of()
    inputs["item_index"] = tf.constant([-1, -1, 2])
    before = model.item_tower(inputs).numpy()
    mean = before[:2].mean(0)
    view.set_unseen(0.25, mean)
    after = model.item_tower(inputs).numpy()
    np.testing.assert_allclose(after[:2], mean + 0.25 * (before[:2] - mean), atol=1e-6)
    np.testing.assert_array_equal(after[2], before[2])
    np.testing.assert_allclose(after[:2].mean(0), mean, atol=1e-6)


def test_an_unknown_user_without_history_has_a_finite_vector(
    model: TwoTower, manifest: Manifest
) -> None:
    inputs = example_queries(manifest, 4)
    assert np.isfinite(model.query_tower(inputs)).all()
    inputs["user_index"] = tf.constant([0, -1])
    vectors = model.query_tower(inputs).numpy()
    assert np.abs(vectors[0] - vectors[1]).max() > 1e-3


def test_padding_is_no_item(model: TwoTower, manifest: Manifest) -> None:
    """A padded history equals the shorter one, whatever ages stand in the padding."""
    inputs = example_queries(manifest, 4, 1)
    inputs["history"] = tf.constant([[-1, -1, 2, 1]])
    inputs["history_age"] = tf.constant([[7.0, 5.0, 2.0, 1.0]])
    short = {**inputs, "history": inputs["history"][:, 2:]}
    short["history_age"] = inputs["history_age"][:, 2:]
    short["history_event"] = inputs["history_event"][:, 2:]
    np.testing.assert_allclose(model.query_tower(inputs), model.query_tower(short), atol=1e-6)


def test_a_cold_item_in_a_history_counts_by_its_content(manifest: Manifest) -> None:
    keras.utils.set_random_seed(1)
    model = build_model(config(history_content=2), manifest)
    view: Any = model.views["neural"]
    inputs = example_queries(manifest, 4, 2)
    inputs["history"] = tf.constant([[-1, -1, -1, 3], [-1, -1, -1, 3]])
    before = model.query_tower(inputs).numpy()
    view.set_content(np.array([[0, 0], [0, 0], [0, 0], [1, 2]], np.float32))
    assert np.abs(model.query_tower(inputs).numpy() - before).max() > 1e-3


def test_hidden_context_and_profile_change_nothing(model: TwoTower, manifest: Manifest) -> None:
    inputs = example_queries(manifest, 4, 1)
    other = {**inputs, "band": tf.constant([3])}
    np.testing.assert_array_equal(model.query_tower(inputs), model.query_tower(other))
    other["band/present"] = tf.constant([True])
    assert np.abs(model.query_tower(inputs) - model.query_tower(other)).max() > 1e-3
    late = {**inputs, "context/device": tf.constant([3])}
    assert np.abs(model.query_tower(inputs) - model.query_tower(late)).max() > 1e-3


def test_id_dropout_hides_ids_in_training_alone(manifest: Manifest) -> None:
    content = {"name": "m", "dimension": 8, "item": {"id_dropout": 0.9}}
    model = build_model(validate(content, ModelConfig, where="test"), manifest)
    inputs = items_of(3)
    quiet = [model.item_tower(inputs).numpy() for _ in range(2)]
    np.testing.assert_array_equal(*quiet)
    loud = np.stack([model.item_tower(inputs, training=True).numpy() for _ in range(30)])
    hidden = np.abs(loud - quiet[0]).max((2,)) > 1e-4
    assert 0.7 < hidden.mean() < 1.0


def test_a_view_says_whether_an_item_may_have_several_vectors_in_a_step(
    manifest: Manifest,
) -> None:
    """An id alone has one, whatever `id_dropout` says: nothing could stand for a hidden id."""
    same = tf.constant([1] * 64)
    for features, several in (([], False), (None, True)):
        content = {"name": "m", "dimension": 8, "item": {"features": features, "id_dropout": 0.5}}
        model = build_model(validate(content, ModelConfig, where="test"), manifest)
        rows = {name: tf.gather(value, same) for name, value in items_of(3).items()}
        vectors = model.item_tower(rows, training=True).numpy()
        assert (np.ptp(vectors, 0).max() > 1e-3) == several
        assert model.views["neural"].random_items == several


def test_the_model_is_the_same_after_saving_and_under_jit(
    model: TwoTower, manifest: Manifest, tmp_path: Path
) -> None:
    inputs = {**example_queries(manifest, 4, 3), **items_of(3)}
    inputs["history"] = tf.constant([[-1, 0, 1, 2], [-1, -1, -1, 3], [-1, -1, -1, -1]])
    scores = model(inputs).numpy()
    compiled = tf.function(lambda: model(inputs), jit_compile=True)
    np.testing.assert_allclose(compiled(), scores, atol=1e-5)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded(inputs), scores, atol=1e-6)
    assert loaded.dimension == model.dimension == 9


def test_views_stand_side_by_side_and_are_scaled() -> None:
    """⟨q, v⟩ of two views with scales 1 and 3: 2·5 + 3·(1·7) = 31."""

    class Constant(View):
        def __init__(self, query: float, item: float) -> None:
            super().__init__(1)
            self.values = query, item

        def query(self, inputs: Any, training: bool | None = None) -> Any:
            return tf.fill([tf.shape(inputs["user_index"])[0], 1], self.values[0])

        def item(self, inputs: Any, training: bool | None = None) -> Any:
            return tf.fill([tf.shape(inputs["item_index"])[0], 1], self.values[1])

    model = TwoTower({"a": Constant(2.0, 5.0), "b": Constant(1.0, 7.0)})
    inputs = {"user_index": tf.constant([0, 0]), "item_index": tf.constant([0, 0])}
    model.build_layers(inputs)
    model.set_scales({"b": 3.0})
    assert model(inputs).numpy().tolist() == [31.0, 31.0]
    assert model.query_tower(inputs).numpy().tolist() == [[2.0, 3.0]] * 2
    assert model.dimension == 2


def test_an_id_beyond_the_table_or_below_is_zero() -> None:
    table = IdEmbedding(3, 2)
    found = table(tf.constant([[-1, 3], [2, 0]])).numpy()
    assert not found[0].any() and found[1].any(1).all()
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(table(tf.constant([1, 1])))
    assert isinstance(tape.gradient(total, table.table.value), tf.IndexedSlices)


def test_history_content_is_principal_and_zero_where_nothing_is_known(data: Path) -> None:
    items = ItemTable.load(data)
    content = history_content(items, ("genres", "title"), 8, {})
    assert content.shape == (4, 8)
    assert np.sqrt((content**2).sum(1).mean()) == pytest.approx(1.0, rel=1e-5)
    # Components are orthogonal, the strongest first.
    gram = content.T @ content
    assert np.abs(gram - np.diag(np.diag(gram))).max() < 1e-4
    assert (np.diff(np.diag(gram)) <= 1e-5).all()
    assert not history_content(items, ("cover",), 3, {}).any()
