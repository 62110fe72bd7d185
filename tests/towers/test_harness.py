"""Every registered tower keeps what all of them promise."""

from __future__ import annotations

import atexit
import functools
import shutil
import tempfile
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfrec.towers
from tests import harness
from tests.encoders.presets import (
    write_huggingface_bert,
    write_keras_hub_image,
    write_keras_hub_moonshine,
    write_keras_hub_whisper,
)
from tfrec.config.dataset import FeatureConfig
from tfrec.config.model import Component
from tfrec.registry import lookup, names
from tfrec.schema import FeatureSpec
from tfrec.towers import NeighboursTower, Tower, build_tower

pytestmark = pytest.mark.filterwarnings(harness.H5PY_WARNING)

DIMENSION = 8
RNG = np.random.default_rng(0)
TEXTS = ["a blue song", "rain in the night, rain", "", "Song of the blue night and the rain"]
INPUTS: dict[str, tf.Tensor] = {
    "text": tf.constant(TEXTS),
    "image": tf.constant(RNG.integers(0, 256, (4, 16, 16, 3)), tf.uint8),
    "audio": tf.constant(RNG.integers(-9000, 9000, (4, 2000)), tf.int16),
    "video": tf.constant(RNG.integers(0, 256, (4, 3, 16, 16, 3)), tf.uint8),
    "categorical": tf.constant([0, 1, 2, 4], tf.int32),
    "tags": tf.constant([[2, 3, 0], [1, 0, 0], [0, 0, 0], [4, 2, 3]], tf.int32),
    "numeric": tf.constant([0.0, -1.5, 30.0, 0.7], tf.float32),
    "vector": tf.constant(RNG.standard_normal((4, 12)), tf.float32),
}
CONFIGS: dict[str, dict[str, Any]] = {
    "text": {"max_length": 10},
    "image": {"size": (16, 16)},
    "audio": {"sample_rate": 8000, "seconds": 0.25},
    "video": {"size": (16, 16), "frames": 3},
    "vector": {"modality": "embedding", "dimension": 12},
}
# Smaller than the defaults, so that the harness ends in seconds.
WORD_TOWERS = ("sentiment", "text_cnn", "text_rnn", "text_transformer", "words")
SMALL: dict[str, dict[str, Any]] = {name: {"buckets": 50} for name in WORD_TOWERS}
SMALL["neighbours"] = {"anchors": 4, "k": 2}
VARIANTS: list[dict[str, Any]] = [{"type": name} for name in names("tower")] + [
    {"type": "frames", "pooling": "gru"},
    {"type": "frames", "pooling": "attention"},
    {"type": "text_rnn", "cell": "lstm", "bidirectional": False},
    {"type": "projection", "hidden": [6], "dropout": 0.3},
    {"type": "projection", "normalize": False},
    {"type": "neighbours", "own": False},
    {"type": "word_vectors", "tuned": True, "pooling": "attention"},
    {"type": "pretrained_text", "tuning": "last", "layers": 1, "pooling": "cls"},
    {"type": "pretrained_text", "tuning": "lora", "rank": 2, "pooling": "attention"},
    {"type": "pretrained_text", "tuning": "all", "pooling": "max"},
    {"type": "pretrained_image", "tuning": "all", "pooling": "attention"},
    {"type": "pretrained_audio", "handle": "moonshine", "tuning": "all", "pooling": "attention"},
]
# An eager pass over these takes a hundred small ops; the quick suite has the others.
HEAVY = {"audio_crnn", "audio_transformer", "frames", "image_transformer", "text_rnn"}
HEAVY |= {"pretrained_audio", "pretrained_image", "pretrained_text", "text_transformer"}
CASES = [
    pytest.param(variant, marks=pytest.mark.slow) if variant["type"] in HEAVY else variant
    for variant in VARIANTS
]


def spec_of(kind: str) -> FeatureSpec:
    config = FeatureConfig(**{"modality": kind, **CONFIGS.get(kind, {})})
    return FeatureSpec(name="f", modality=config.modality, config=config, vocabulary_size=5)


def kind_of(variant: dict[str, Any]) -> str:
    (kind,) = lookup("tower", variant["type"], where="test").modalities
    return kind


@functools.cache
def files() -> Path:
    """Pretrained things, as small as they can be."""
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder)
    vectors = {"blue": [1, 0, 0], "song": [0, 1, 0], "rain": [0, 0.5, -1]}
    lines = [f"{word} {' '.join(map(str, numbers))}" for word, numbers in vectors.items()]
    (folder / "vectors.txt").write_text("\n".join(lines))
    write_huggingface_bert(folder / "bert")
    write_keras_hub_image(folder / "resnet")
    write_keras_hub_whisper(folder / "whisper", layers=1, rate=8000)
    write_keras_hub_moonshine(folder / "moonshine", layers=1, rate=8000)
    return folder


FILES = {
    "word_vectors": ("path", "vectors.txt"),
    "pretrained_text": ("handle", "bert"),
    "pretrained_image": ("handle", "resnet"),
    "pretrained_audio": ("handle", "whisper"),
}


def options_of(variant: dict[str, Any]) -> dict[str, Any]:
    """With those that have no default, or too large a one."""
    name = variant["type"]
    if name not in FILES:
        return {**SMALL.get(name, {}), **variant}
    option, file = FILES[name]
    return {**variant, option: str(files() / variant.get(option, file))}


def make(variant: dict[str, Any]) -> Tower:
    kind = kind_of(variant)
    tower = build_tower(spec_of(kind), Component(**options_of(variant)), DIMENSION)
    if isinstance(tower, NeighboursTower):
        tower.remember(INPUTS["vector"].numpy())
    for layer in tower._flatten_layers():
        if getattr(layer, "lora_enabled", False):
            # A fresh LoRA's second factor is zero, and so the first one's gradient.
            layer.lora_kernel_b.assign(keras.random.normal(layer.lora_kernel_b.shape, seed=5))
    return tower


def label(variant: dict[str, Any]) -> str:
    return "-".join(str(value) for value in variant.values())


@pytest.mark.parametrize("variant", CASES, ids=label)
def test_shapes_configuration_and_gradients(variant: dict[str, Any]) -> None:
    """The quick half of the harness."""
    harness.check_basics(lambda: make(variant), (INPUTS[kind_of(variant)],), DIMENSION)


@pytest.mark.slow
@pytest.mark.parametrize("variant", CASES, ids=label)
def test_the_tower_keeps_every_common_promise(variant: dict[str, Any], tmp_path: Path) -> None:
    """Files, eager = graph = XLA, mixed precision, a TF1-style session: the slow half."""
    kind = kind_of(variant)
    harness.check_layer(lambda: make(variant), (INPUTS[kind],), tmp_path, compiled=kind != "text")


@pytest.mark.slow
@pytest.mark.parametrize("variant", CASES, ids=label)
def test_prepared_input_gives_the_same_and_compiles(variant: dict[str, Any]) -> None:
    """What `prepare` gives can be computed once, before a compiled training loop."""
    tower = harness.seeded(lambda: make(variant))
    inputs = INPUTS[kind_of(variant)]
    expected = harness.call(tower, (inputs,))
    prepared = tower.prepare(inputs)
    compiled = tf.function(lambda x: tower(x), jit_compile=True)
    np.testing.assert_allclose(compiled(prepared), expected, atol=1e-4)


NORMALIZED = [variant for variant in VARIANTS if variant.get("normalize", True)]


@pytest.mark.slow
@pytest.mark.parametrize("variant", NORMALIZED, ids=label)
def test_vectors_have_length_one_to_begin_with(variant: dict[str, Any]) -> None:
    """No modality enters the fusion longer than another."""
    vectors = harness.call(harness.seeded(lambda: make(variant)), (INPUTS[kind_of(variant)],))
    lengths = np.linalg.norm(vectors, axis=1)
    # An empty text or bag of a fresh tower is no direction at all.
    np.testing.assert_allclose(lengths[lengths > 0.5], 1.0, atol=1e-3)
    assert (lengths[[0, 1, 3]] > 0.5).all()


@pytest.mark.slow
@pytest.mark.parametrize("variant", CASES, ids=label)
def test_one_row_depends_on_no_other(variant: dict[str, Any]) -> None:
    """An item's vector is the same in every batch: what is indexed is what was trained."""
    tower = harness.seeded(lambda: make(variant))
    inputs = INPUTS[kind_of(variant)]
    whole = harness.call(tower, (inputs,))
    backwards = harness.call(tower, (tf.reverse(inputs, [0]),))
    np.testing.assert_allclose(backwards[::-1], whole, atol=1e-5)


def test_every_exported_tower_is_registered() -> None:
    """A class that is exported but has no name can't be used from YAML, bases aside."""
    registered = {lookup("tower", name, where="test") for name in names("tower")}
    exported = {
        value
        for value in vars(tfrec.towers).values()
        if isinstance(value, type) and issubclass(value, Tower)
    }
    bases = {tfrec.towers.Tower, tfrec.towers.TextTower, tfrec.towers.AudioTower}
    assert exported - bases == registered
    assert all(keras.saving.get_registered_name(cls).startswith("tfrec>") for cls in registered)
