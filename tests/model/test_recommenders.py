"""The harness of towers and fusions, on the whole model of every shipped configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests import harness
from tests.records import spec, write_prepared
from tests.shipped import MODELS
from tfrec.config.loading import load_config
from tfrec.config.model import ModelConfig
from tfrec.config.presets import find_model_config
from tfrec.model import (
    NeuralView,
    PopularityView,
    TwoTower,
    build_model,
    example_items,
    example_queries,
)
from tfrec.schema import DataLayout, Manifest

pytestmark = pytest.mark.filterwarnings(harness.H5PY_WARNING)

# LightGCN's tables are spread over the graph in training; `test_graph_view.py` follows gradients.
UNTRAINED = {"lightgcn"}
SPECS = [
    spec("title", "text", encoded_dim=3),
    spec("cover", "image", size=(8, 8)),
    spec("genres", "tags", vocabulary_size=6),
    spec("year", "numeric"),
]
ITEMS, ROWS, LENGTH = 12, 6, 5
RNG = np.random.default_rng(4)


@keras.saving.register_keras_serializable("tests")
class Towers(keras.layers.Layer):
    """Both towers of a model side by side, since the harness asks for one [batch, D]."""

    def __init__(self, model: TwoTower, **options: Any) -> None:
        super().__init__(**options)
        self.model = model
        self.built = True

    def call(self, inputs: dict[str, Any], training: bool | None = None) -> Any:
        sides = (self.model.query_tower, self.model.item_tower)
        return tf.concat([side(inputs, training=training) for side in sides], -1)

    def get_config(self) -> dict[str, Any]:
        return {"model": keras.saving.serialize_keras_object(self.model)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Towers:
        return cls(keras.saving.deserialize_keras_object(config["model"]))


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    data = write_prepared(
        tmp_path_factory.mktemp("recommenders") / "data",
        {"train": [(user, item, item, 1) for user in range(ROWS) for item in range(user, 9)]},
        items=ITEMS,
        users=ROWS,
        specs=SPECS,
        values={"title": [f"t{i}" for i in range(ITEMS)], "year": [0.5] * ITEMS},
        encoded={"title": RNG.normal(size=(ITEMS, 3)).tolist()},
        profile=[spec("band", "categorical", vocabulary_size=4)],
        profiles={"band": [2 + user % 2 for user in range(ROWS)]},
        contexts=[spec("hour", "numeric")],
    )
    return DataLayout(data).read_manifest()


def inputs_of(manifest: Manifest) -> dict[str, Any]:
    """Known and unknown users and items, full, short and empty histories, all that there is."""
    inputs = {**example_queries(manifest, LENGTH, ROWS), **example_items(SPECS, ROWS)}
    history = np.full((ROWS, LENGTH), -1)
    for row in range(ROWS - 1):
        history[row, row:] = RNG.integers(0, ITEMS, LENGTH - row)
    ages = np.arange(LENGTH, 0, -1) * 1.5
    return {
        **inputs,
        "user_index": tf.constant([0, 1, 2, 3, 4, -1]),
        "history": tf.constant(history, tf.int32),
        "history_age": tf.constant(np.where(history >= 0, ages, 0.0), tf.float32),
        "band": tf.constant([2, 3, 2, 3, 1, 0]),
        "band/present": tf.constant([True] * 5 + [False]),
        "context/hour": tf.constant(RNG.normal(size=ROWS), tf.float32),
        "item_index": tf.constant([0, 1, 2, 3, 4, -1]),
        "title": tf.constant(RNG.normal(size=(ROWS, 3)), tf.float32),
        "cover": tf.constant(RNG.integers(0, 256, (ROWS, 8, 8, 3)), tf.uint8),
        "genres": tf.constant(RNG.integers(1, 6, (ROWS, 2)), tf.int32),
        "year": tf.constant(RNG.normal(size=ROWS), tf.float32),
        **{f"{one.name}/present": tf.constant([True] * ROWS) for one in SPECS},
    }


def maker(name: str, manifest: Manifest) -> Any:
    """Builds a configuration's model, with a popularity term where it may have one."""
    settings = ["dimension=8", f"query.history_length={LENGTH}", "query.history_content=3"]
    config = load_config(find_model_config(name), ModelConfig, settings)

    def make() -> Towers:
        others = {}
        if config.popularity.enabled:
            others["popularity"] = PopularityView(items=ITEMS, name="popularity")
            counts = np.random.default_rng(3).random((ITEMS, 2))
            others["popularity"].set(counts, newcomer=0.5, known=2.0)
        model = build_model(config, manifest, others=others)
        neural = model.views["neural"]
        assert isinstance(neural, NeuralView)
        if neural.content:
            neural.set_content(np.random.default_rng(2).normal(size=(ITEMS, neural.content)))
        for variable in model.trainable_variables:
            # Biases start at zero, and behind a zero weight no gradient passes.
            variable.assign(variable + 0.1 * np.random.default_rng(1).normal(size=variable.shape))
        return Towers(model)

    return make


@pytest.mark.parametrize("name", MODELS)
def test_a_recommender_keeps_the_basics(name: str, manifest: Manifest) -> None:
    """Shapes, batch 1, the configuration's round trip, a gradient for every weight."""
    make, inputs = maker(name, manifest), inputs_of(manifest)
    width = 2 * make().model.dimension
    harness.check_basics(make, (inputs,), width, trainable=name not in UNTRAINED)


@pytest.mark.parametrize("name", MODELS)
def test_a_recommender_masks_what_is_missing(name: str, manifest: Manifest) -> None:
    """Noise in what is marked as missing changes nothing; with nothing at all it is finite."""
    towers, inputs = maker(name, manifest)(), inputs_of(manifest)
    for one in (*(item.name for item in SPECS), "band"):
        gone = {**inputs, f"{one}/present": tf.zeros([ROWS], tf.bool)}
        noise = tf.cast(tf.roll(inputs[one], 1, 0), tf.float32) * 1.7 + 1.0
        noisy = {**gone, one: tf.cast(noise, inputs[one].dtype)}
        np.testing.assert_array_equal(towers(gone), towers(noisy), err_msg=one)
    empty = {**example_queries(manifest, LENGTH, ROWS), **example_items(SPECS, ROWS)}
    assert np.isfinite(towers(empty)).all()


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_a_recommender_is_the_same_everywhere(
    name: str, manifest: Manifest, tmp_path: Path
) -> None:
    """Files, eager, graph and XLA, half precision, an export in a TF1-style session."""
    inputs = (inputs_of(manifest),)
    trainable = name not in UNTRAINED
    # Vectors are joined and compared in single precision, whatever the layers compute in.
    harness.check_layer(
        maker(name, manifest), inputs, tmp_path, output="float32", trainable=trainable
    )
