"""The closed-form view against NumPy, new items by content, and a faithful copy after loading."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.teachers.planted import block, two_tastes
from tfrec.config import FeatureConfig
from tfrec.fusion import WeightedAverage
from tfrec.model import NeuralView, TwoTower
from tfrec.model.closed_form_view import ClosedFormView
from tfrec.model.descriptors import Descriptor, build_descriptor
from tfrec.schema import FeatureSpec
from tfrec.teachers import ColdView, WarmView, fit_cold, fit_warm
from tfrec.teachers.content import ContentBlock
from tfrec.towers import ProjectionTower

ITEMS = 60
VALUES = np.random.default_rng(0).standard_normal((ITEMS, 5)).astype(np.float32)


@pytest.fixture(scope="module")
def fitted() -> tuple[WarmView, ColdView, np.ndarray]:
    train, later, _ = two_tastes(0, items=50)
    content = {"x": block(VALUES)}
    options: dict[str, Any] = {"rank": 6, "seed": 0, "max_items": 100, "max_trials": 1}
    warm = fit_warm(train, later, content, ITEMS, **options)
    cold = fit_cold(train, later, content, ITEMS, **options)
    assert cold is not None
    return warm, cold, cold.item_vectors(cold.content_features(content))


@pytest.fixture(scope="module")
def view(fitted: tuple[WarmView, ColdView, np.ndarray]) -> ClosedFormView:
    warm, cold, vectors = fitted
    descriptors = {"x": Descriptor("vector", name="x_descriptor")}
    return ClosedFormView.from_teachers(
        warm, cold, descriptors, vectors, ~warm.covered, 2.0, name="closed_form"
    )


def inputs(index: list[int], present: bool = True) -> dict[str, Any]:
    values = VALUES[: len(index)]
    return {
        "item_index": tf.constant(index, tf.int32),
        "x": tf.constant(values),
        "x/present": tf.fill([len(index)], present),
    }


def test_a_query_is_the_recency_weighted_mean(
    view: ClosedFormView, fitted: tuple[WarmView, ColdView, np.ndarray]
) -> None:
    """Padding counts nothing; the latest event has weight 1, the one before 2^-decay."""
    warm, cold, _ = fitted
    weights = np.array([2.0**-warm.decay, 1.0])
    expected = (weights[:, None] * warm.in_table[[3, 7]]).sum(0) / weights.sum()
    cold_weights = np.array([2.0**-cold.decay, 1.0])
    expected_cold = (cold_weights[:, None] * cold.in_table[[3, 7]]).sum(0) / cold_weights.sum()
    found = view.query({"history": tf.constant([[-1, -1, 3, 7], [-1, -1, -1, -1]])}).numpy()
    np.testing.assert_allclose(found[0], [*expected, *expected_cold], rtol=1e-5, atol=1e-7)
    assert not found[1].any()


def test_a_warm_item_has_its_row_and_a_new_one_its_content(
    view: ClosedFormView, fitted: tuple[WarmView, ColdView, np.ndarray]
) -> None:
    warm, _, vectors = fitted
    found = view.item(inputs([0, 1, -1, -1])).numpy()
    rank = warm.out_table.shape[1]
    np.testing.assert_allclose(found[:2, :rank], warm.out_table[:2], rtol=1e-6)
    assert not found[:2, rank:].any() and not found[2:, :rank].any()
    np.testing.assert_allclose(found[2:, rank:], 2.0 * vectors[2:4], rtol=1e-3, atol=1e-5)


def test_missing_content_may_hold_anything(view: ClosedFormView) -> None:
    one = view.item(inputs([-1], present=False)).numpy()
    noise = inputs([-1], present=False) | {"x": tf.constant([[9.0, -9.0, 1e6, 0.0, 3.0]])}
    np.testing.assert_array_equal(view.item(noise).numpy(), one)
    assert np.isfinite(one).all()


def test_graph_and_compiled_answers_are_the_eager_ones(view: ClosedFormView) -> None:
    asked = inputs([0, -1, 5])
    eager = view.item(asked).numpy()
    for compiled in (False, True):
        graph = tf.function(view.item, jit_compile=compiled)
        np.testing.assert_allclose(graph(asked).numpy(), eager, rtol=1e-4, atol=1e-5)


def test_a_restored_view_is_the_same(view: ClosedFormView) -> None:
    """What a run keeps is the config and the weights."""
    content = keras.saving.serialize_keras_object(view)
    other = keras.saving.deserialize_keras_object(content)
    for ours, theirs in zip(view.variables, other.variables, strict=True):
        theirs.assign(ours)
    asked = inputs([0, -1])
    np.testing.assert_array_equal(other.item(asked).numpy(), view.item(asked).numpy())


def spec(modality: str, **options: Any) -> FeatureSpec:
    size = options.pop("vocabulary_size", None)
    config = FeatureConfig(modality=modality, **options)  # type: ignore[arg-type]
    return FeatureSpec(
        name="f",
        modality=modality,
        config=config,
        vocabulary_size=size,  # type: ignore[arg-type]
    )


def described(feature: FeatureSpec, values: np.ndarray) -> np.ndarray:
    descriptor = build_descriptor(feature, values, np.ones(len(values), bool))
    result: np.ndarray = descriptor(tf.constant(values)).numpy()
    assert result.dtype == np.float32 and np.isfinite(result).all()
    return result


def test_tags_are_a_multi_hot_without_padding_and_unknown() -> None:
    rows = described(spec("tags", vocabulary_size=5), np.array([[2, 4, 4], [1, 0, 0]], np.int32))
    np.testing.assert_array_equal(rows, [[1, 0, 1], [0, 0, 0]])


def test_near_numbers_are_alike() -> None:
    rows = described(spec("numeric"), np.array([0.0, 0.05, 1.0], np.float32))
    assert np.dot(rows[0], rows[1]) > 10 * np.dot(rows[0], rows[2])


def test_words_count_whatever_their_order_and_case() -> None:
    values = np.array(["Night train, night!", "train NIGHT night", "quiet sea"], object)
    rows = described(spec("text"), values)
    np.testing.assert_array_equal(rows[0], rows[1])
    assert rows[0].max() == pytest.approx(np.log(3))
    assert rows[0] @ rows[2] == 0


def test_pictures_of_one_colour_are_alike() -> None:
    def flat(*colour: int) -> np.ndarray:
        return np.broadcast_to(np.array(colour, np.uint8), (32, 32, 3))

    rows = described(
        spec("image", size=[32, 32]),
        np.stack([flat(200, 0, 0), flat(210, 10, 0), flat(0, 0, 200)]),
    )
    distance = np.linalg.norm(rows[0] - rows[1]), np.linalg.norm(rows[0] - rows[2])
    assert distance[0] < 0.2 * distance[1]


def test_sounds_of_one_pitch_are_alike() -> None:
    moments = np.arange(16_000) / 16_000

    def tone(pitch: float) -> np.ndarray:
        return (8_000 * np.sin(2 * np.pi * pitch * moments)).astype(np.int16)

    rows = described(spec("audio"), np.stack([tone(440), tone(450), tone(3_000)]))
    distance = np.linalg.norm(rows[0] - rows[1]), np.linalg.norm(rows[0] - rows[2])
    assert distance[0] < 0.5 * distance[1]


def test_content_that_is_absent_everywhere_leaves_no_cold_part() -> None:
    train, later, _ = two_tastes(0)
    absent = {"x": ContentBlock(np.zeros((60, 2), np.float32), np.zeros(60, bool))}
    assert fit_cold(train, later, absent, 60, rank=4, seed=0, max_items=100) is None


def test_it_says_of_learned_vectors_what_the_kernel_carries_over(
    fitted: tuple[WarmView, ColdView, np.ndarray],
) -> None:
    """New items' learned vectors get it added, known ones don't; it is the sum of its parts."""
    warm, cold, vectors = fitted
    descriptors = {"x": Descriptor("vector", name="x_descriptor")}
    told = ClosedFormView.from_teachers(
        warm, cold, descriptors, vectors, ~warm.covered, 1.0, name="closed_form", learned_rank=4
    )
    coefficients = np.random.default_rng(1).standard_normal((len(cold.landmarks), 4))
    told.set_learned(coefficients.astype(np.float32))
    content = cold.content_features({"x": block(VALUES)})[:3]
    kernel = np.exp(
        -np.sqrt(np.square(content[:, None] - cold.landmark_content[None]).sum(-1) + 1e-4)
    )
    asked = inputs([0, -1, -1])
    np.testing.assert_allclose(told.placed(asked), kernel @ coefficients, atol=1e-3)
    learned = NeuralView(
        3,
        items=ITEMS,
        item_towers={"x": ProjectionTower(3)},
        fusion=WeightedAverage(3),
        history=None,
        users=2,
        normalize=False,
    )
    learned.set_unseen(0.0, np.arange(4.0))
    model = TwoTower({"neural": learned, "closed_form": told})
    alone = TwoTower({"neural": learned})
    gained = (model.item_tower(asked)[:, :4] - alone.item_tower(asked)).numpy()
    np.testing.assert_allclose(gained[0], 0, atol=1e-6)
    np.testing.assert_allclose(gained[1:], (kernel @ coefficients)[1:], atol=1e-3)
    parts = model.item_tower.parts(asked)
    np.testing.assert_allclose(sum(parts.values()), model.item_tower(asked), atol=1e-4)
    added = (parts["x"][:, :4] - alone.item_tower.parts(asked)["x"]).numpy()
    assert np.abs(added[1:]).max() > 0.1 and np.abs(added[0]).max() < 1e-6
