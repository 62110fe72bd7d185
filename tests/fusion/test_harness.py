"""Every registered fusion keeps what all of them promise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfrec.fusion
from tests import harness
from tfrec.config.model import Component
from tfrec.registry import create, names

pytestmark = pytest.mark.filterwarnings(harness.H5PY_WARNING)

DIMENSION = 8
ROWS = 6
# Each registered fusion, and variants whose options change what is computed.
VARIANTS: list[dict[str, Any]] = [{"type": name} for name in names("fusion")] + [
    {"type": "weighted", "mode": "fixed", "weights": {"audio": 1.0, "image": 0.0, "text": 3.0}},
    {"type": "weighted", "mode": "item"},
    {"type": "concatenation", "activation": "relu"},
    {"type": "gated", "activation": "linear", "dropout": 0.2},
    {"type": "cross_attention", "query": "image"},
    {"type": "self_attention", "blocks": 2, "dropout": 0.1},
]
# An eager pass over these takes a hundred small ops; the quick suite has the others.
HEAVY = {"bottleneck", "cross_attention", "film", "self_attention"}
CASES = [
    pytest.param(variant, marks=pytest.mark.slow) if variant["type"] in HEAVY else variant
    for variant in VARIANTS
]
UNTRAINED = {("weighted", "fixed")}


def label(variant: dict[str, Any]) -> str:
    return "-".join(str(v) for v in variant.values() if not isinstance(v, dict))


def make(variant: dict[str, Any]) -> Any:
    return create("fusion", Component(**variant), where="fusion", dimension=DIMENSION)


def batch(rows: int = ROWS) -> tuple[dict[str, tf.Tensor], dict[str, tf.Tensor]]:
    """Three modalities, one of another width; row 0 has all, row 1 none, others some."""
    rng = np.random.default_rng(0)
    widths = {"audio": DIMENSION, "image": 5, "text": DIMENSION}
    inputs = {k: tf.constant(rng.standard_normal((rows, w)), tf.float32) for k, w in widths.items()}
    flags = rng.random((rows, 3)) < 0.6
    flags[0], flags[1] = True, False
    return inputs, {k: tf.constant(flags[:, i]) for i, k in enumerate(widths)}


def trains(variant: dict[str, Any]) -> bool:
    return (variant["type"], variant.get("mode")) not in UNTRAINED


@pytest.mark.parametrize("variant", CASES, ids=label)
def test_shapes_configuration_and_gradients(variant: dict[str, Any]) -> None:
    """The quick half of the harness."""
    harness.check_basics(lambda: make(variant), batch(), DIMENSION, trainable=trains(variant))


@pytest.mark.slow
@pytest.mark.parametrize("variant", CASES, ids=label)
def test_the_layer_keeps_every_common_promise(variant: dict[str, Any], tmp_path: Path) -> None:
    """Files, eager = graph = XLA, mixed precision, a TF1-style session: the slow half."""
    harness.check_layer(lambda: make(variant), batch(), tmp_path)


@pytest.mark.parametrize("noise", [np.nan, pytest.param(1e6, marks=pytest.mark.slow)])
@pytest.mark.parametrize("variant", CASES, ids=label)
def test_what_is_missing_may_hold_anything(variant: dict[str, Any], noise: float) -> None:
    """A missing modality's content replaced by noise changes nothing, nor do its gradients."""
    layer = harness.seeded(lambda: make(variant))
    inputs, masks = batch()
    expected = harness.call(layer, (inputs, masks))
    dirty = {
        name: tf.where(masks[name][:, None], value, tf.fill(value.shape, noise))
        for name, value in inputs.items()
    }
    np.testing.assert_array_equal(harness.call(layer, (dirty, masks)), expected)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.square(layer(dirty, masks, training=True)))
    for gradient in tape.gradient(loss, [w.value for w in layer.trainable_variables]):
        assert gradient is None or np.isfinite(np.asarray(tf.convert_to_tensor(gradient))).all()


@pytest.mark.parametrize("variant", CASES, ids=label)
def test_weights_are_shares_of_what_is_present(variant: dict[str, Any]) -> None:
    """They sum to 1 where anything is present, and are 0 for what is missing."""
    layer = harness.seeded(lambda: make(variant))
    inputs, masks = batch()
    fused, weights = layer(inputs, masks, return_weights=True)
    np.testing.assert_allclose(fused, layer(inputs, masks), atol=1e-6)
    assert list(weights) == ["audio", "image", "text"]
    shares = np.stack([weights[name].numpy() for name in weights], 1)
    flags = np.stack([masks[name].numpy() for name in weights], 1)
    assert (shares >= 0).all() and (shares[~flags] == 0).all()
    any_weight = flags.copy()
    if variant.get("weights"):
        any_weight &= np.array([w > 0 for w in variant["weights"].values()])
    np.testing.assert_allclose(shares.sum(1), any_weight.any(1), atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("variant", CASES, ids=label)
def test_no_masks_means_all_present(variant: dict[str, Any]) -> None:
    layer = harness.seeded(lambda: make(variant))
    inputs, masks = batch()
    everything = {name: tf.ones_like(mask) for name, mask in masks.items()}
    np.testing.assert_array_equal(
        harness.call(layer, (inputs,)), harness.call(layer, (inputs, everything))
    )


@pytest.mark.slow
@pytest.mark.parametrize("variant", CASES, ids=label)
def test_the_order_of_the_modalities_does_not_matter(variant: dict[str, Any]) -> None:
    """A dict says names, not places."""
    layer = harness.seeded(lambda: make(variant))
    inputs, masks = batch()
    backwards = dict(reversed(inputs.items()))
    np.testing.assert_array_equal(
        harness.call(layer, (inputs, masks)), harness.call(layer, (backwards, masks))
    )


@pytest.mark.slow
@pytest.mark.parametrize("variant", CASES, ids=label)
def test_tokens_are_taken(variant: dict[str, Any]) -> None:
    """A modality may give several vectors a row; one vector is one token."""
    layer = harness.seeded(lambda: make(variant))
    inputs, masks = batch()
    expected = harness.call(layer, (inputs, masks))
    one = {name: value[:, None] for name, value in inputs.items()}
    np.testing.assert_allclose(harness.call(layer, (one, masks)), expected, atol=1e-6)
    three = {name: tf.repeat(value[:, None], 3, 1) for name, value in inputs.items()}
    assert np.isfinite(harness.call(layer, (three, masks))).all()


@pytest.mark.slow
@pytest.mark.parametrize("variant", CASES, ids=label)
def test_a_single_modality_is_enough(variant: dict[str, Any]) -> None:
    layer = harness.seeded(
        lambda: make({k: v for k, v in variant.items() if k not in ("weights", "query")})
    )
    inputs, masks = batch()
    output = harness.call(layer, ({"text": inputs["text"]}, {"text": masks["text"]}))
    assert output.shape == (ROWS, DIMENSION) and np.isfinite(output).all()


@pytest.mark.slow
@pytest.mark.parametrize("variant", CASES, ids=label)
def test_other_modalities_than_built_with_are_refused(variant: dict[str, Any]) -> None:
    layer = harness.seeded(lambda: make(variant))
    inputs, masks = batch()
    layer(inputs, masks)
    with pytest.raises(ValueError, match=r"audio, image, text\. Received: audio, image"):
        layer({k: v for k, v in inputs.items() if k != "text"}, masks)


def test_every_exported_fusion_is_registered() -> None:
    """A class that is exported but has no name can't be used from YAML."""
    registered = {type(make({"type": name})) for name in names("fusion")}
    exported = {
        value
        for value in vars(tfrec.fusion).values()
        if isinstance(value, type)
        and issubclass(value, tfrec.fusion.Fusion)
        and value is not tfrec.fusion.Fusion
    }
    assert exported == registered
    assert all(keras.saving.get_registered_name(cls).startswith("tfrec>") for cls in registered)
