"""Defaults, the validation figure, item factors, media towers trained item by item."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.records import write_prepared
from tests.training.conftest import ITEMS, kind
from tfrec.config.augmentation import AugmentationConfig
from tfrec.config.model import ModelConfig
from tfrec.errors import DescriptionError
from tfrec.input import ItemTable, Timelines
from tfrec.input.augmentation import Augmenter
from tfrec.schema import DataLayout
from tfrec.towers import build_tower
from tfrec.training import Validation, distill, resolve
from tfrec.training.item_factors import item_factors
from tfrec.training.strategies import make_strategy


@pytest.mark.parametrize(
    ("positives", "items", "expected"),
    [
        (3_000, 500, (32, "full", 64, 60, "adam", 5e-3, "factors")),
        (70_000, 2_000, (64, "full", 1024, 60, "adam", 5e-3, "factors")),
        (1_000_000, 50_000, (64, "in_batch", 1024, 20, "adam", 5e-3, "factors")),
        (100_000_000, 1_000_000, (128, "in_batch", 4096, 1, "adagrad", 0.05, "random")),
    ],
)
def test_defaults_follow_the_documented_rules(
    data: Path, positives: int, items: int, expected: tuple[Any, ...]
) -> None:
    manifest = DataLayout(data).read_manifest()
    manifest = manifest.model_copy(update={"items": items, "positives": {"train": positives}})
    config, told = resolve(ModelConfig(name="x"), manifest)
    found = (
        config.dimension,
        config.loss.type,
        config.training.batch_size,
        config.training.epochs,
        config.optimizer.embedding,
        config.optimizer.embedding_learning_rate,
        config.training.start,
    )
    assert found == expected
    assert len(told) == 7
    given, told = resolve(config, manifest)
    assert given == config and told == []


@pytest.mark.parametrize(
    ("items", "features", "given", "expected"),
    [
        (6_144, None, {}, ("full", 0)),
        (6_145, None, {}, ("in_batch", 1_024)),
        (6_145, None, {"negatives": 64}, ("in_batch", 64)),
        (6_145, None, {"type": "full"}, ("full", 0)),
        (6_145, (), {}, ("full", 0)),
        (20_001, None, {}, ("in_batch", 0)),
    ],
)
def test_a_step_samples_where_it_would_embed_much_content(
    data: Path, items: int, features: Any, given: dict[str, Any], expected: tuple[Any, ...]
) -> None:
    """The border is three times batch and negatives, 3 × (1,024 + 1,024); ids cost little."""
    manifest = DataLayout(data).read_manifest()
    manifest = manifest.model_copy(update={"items": items, "positives": {"train": 70_000}})
    config = ModelConfig.model_validate(
        {"name": "x", "item": {"features": features}, "loss": given}
    )
    config, _ = resolve(config, manifest)
    assert (config.loss.type, config.loss.negatives) == expected
    again, told = resolve(config, manifest)
    assert again == config and told == []


def test_validation_by_hand(tmp_path: Path) -> None:
    """User 0 saw items 0 and 1 and then liked 2 and 1: only item 2 is new, and ranks second."""
    data = write_prepared(
        tmp_path / "data",
        {
            "train": [(0, 0, 1, 1), (0, 1, 2, 0), (1, 3, 1, 1)],
            "validation": [(0, 2, 3, 1), (0, 1, 4, 1), (1, 0, 5, 0)],
        },
        items=4,
    )
    validation = Validation(
        Timelines.load(data, "train"), Timelines.load(data, "validation"), items=4, length=3
    )
    assert validation.users == 1
    assert validation.inputs["history"].tolist() == [[-1, -1, 0]]
    queries = np.array([[1.0, 0.0]], np.float32)
    vectors = np.array([[9, 0], [8, 0], [1, 0], [2, 0]], np.float32)
    assert validation.measure(queries, vectors, "ndcg@2") == pytest.approx(1 / np.log2(3))
    assert validation.measure(queries, vectors, "recall@1") == 0.0


def test_item_factors_are_near_for_items_with_the_same_public(data: Path) -> None:
    factors = item_factors(Timelines.load(data, "train"), ITEMS, 4, seed=0)
    known = np.flatnonzero(np.linalg.norm(factors, axis=1) > 0)
    cosine = factors[known] @ factors[known].T
    same = (known[:, None] % 2) == (known[None, :] % 2)
    off = ~np.eye(len(known), dtype=bool)
    assert cosine[same & off].mean() > cosine[~same].mean() + 0.3
    again = item_factors(Timelines.load(data, "train"), ITEMS, 4, seed=0)
    np.testing.assert_array_equal(factors, again)


@pytest.mark.slow
def test_a_picture_tower_learns_what_behaviour_says(data: Path) -> None:
    """Pictures tell the kind, so held-out items are predicted far better than by a constant."""
    keras.utils.set_random_seed(0)
    items = ItemTable.load(data, features=["cover"])
    tower = build_tower(items.specs["cover"], None, 8)
    tower(tf.constant(items.features["cover"][:1]))
    results = distill(items, Timelines.load(data, "train"), {"cover": tower}, rank=2)
    result = results["cover"]
    assert result.cosine > result.constant + 0.3
    assert not tower.trainable_variables
    assert not result.vectors[~items.present["cover"]].any()
    rows = np.flatnonzero(items.present["cover"])
    vectors = result.vectors[rows]
    length = np.linalg.norm(vectors, axis=1)
    cosine = (vectors @ vectors.T) / length[:, None] / length[None, :]
    same = (rows[:, None] % 2) == (rows[None, :] % 2)
    assert cosine[same].mean() > cosine[~same].mean() + 0.3
    assert kind(1) != kind(2)


@pytest.mark.slow
def test_distillation_sees_changed_pictures_and_gives_vectors_of_whole_ones(data: Path) -> None:
    """Augmentation reaches each step, reproducibly; validation and vectors never see it."""
    seen: list[int] = []

    class Watched(Augmenter):
        def one(self, name: str, value: Any, seed: Any) -> Any:
            seen.append(int(value.shape[0] or 0))
            return super().one(name, value, seed)

    items = ItemTable.load(data, features=["cover"])
    timelines = Timelines.load(data, "train")
    config = AugmentationConfig.model_validate({"image": {}})
    outcomes = []
    for augment in (
        None,
        Watched(config, {"cover": "image"}),
        Augmenter(config, {"cover": "image"}),
    ):
        keras.utils.set_random_seed(0)
        tower = build_tower(items.specs["cover"], None, 8)
        tower(tf.constant(items.features["cover"][:1]))
        result = distill(items, timelines, {"cover": tower}, rank=2, passes=2, augment=augment)
        outcomes.append(result["cover"].vectors)
        whole = tower(tf.constant(items.features["cover"]), training=False).numpy()
        present = items.present["cover"]
        np.testing.assert_allclose(outcomes[-1][present], whole[present], atol=1e-5)
    assert seen
    np.testing.assert_array_equal(outcomes[1], outcomes[2])
    assert not np.array_equal(outcomes[0], outcomes[1])


def test_a_feature_that_hardly_an_item_has_is_left_to_joint_training(data: Path) -> None:
    items = ItemTable.load(data, features=["cover"])
    few = replace(items, present={"cover": np.arange(ITEMS) < 5})
    tower = build_tower(items.specs["cover"], None, 8)
    assert distill(few, Timelines.load(data, "train"), {"cover": tower}) == {}


def test_a_missing_tpu_is_one_line() -> None:
    with pytest.raises(DescriptionError, match="a TPU must be attached"):
        make_strategy("tpu")
