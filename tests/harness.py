"""What every tower and fusion layer has to keep, whatever it computes.

`check_basics` runs one layer through shapes, configuration and gradients, `check_layer` through
files, eager, graph, XLA, mixed precision and an exported graph in a TF1-style session. A test calls
each with a maker and inputs; the harness compares the layer with itself, and the tests of each
method with other sources.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

# h5py copies Keras variables by a protocol of NumPy 1.
H5PY_WARNING = "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"

Inputs = Any


def seeded(make: Callable[[], keras.layers.Layer]) -> keras.layers.Layer:
    keras.utils.set_random_seed(7)
    return make()


@contextlib.contextmanager
def dtype_policy(name: str) -> Iterator[None]:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def call(layer: keras.layers.Layer, inputs: tuple[Inputs, ...], **options: Any) -> np.ndarray:
    return keras.ops.convert_to_numpy(layer(*inputs, **options))


def first_row(inputs: Inputs) -> Inputs:
    return tf.nest.map_structure(lambda x: x[:1], inputs)


def check_shapes(make: Callable[[], Any], inputs: tuple[Inputs, ...], dimension: int) -> None:
    layer = seeded(make)
    output = call(layer, inputs)
    rows = tf.nest.flatten(inputs)[0].shape[0]
    assert output.shape == (rows, dimension)
    assert np.isfinite(output).all()
    single = call(layer, first_row(inputs))
    np.testing.assert_allclose(single, output[:1], atol=2e-5, rtol=1e-4)


def check_round_trip(make: Callable[[], Any], inputs: tuple[Inputs, ...]) -> None:
    layer = seeded(make)
    call(layer, inputs)
    again = type(layer).from_config(layer.get_config())
    call(again, inputs)
    assert [tuple(w.shape) for w in again.weights] == [tuple(w.shape) for w in layer.weights]
    again.set_weights(layer.get_weights())
    np.testing.assert_allclose(call(again, inputs), call(layer, inputs), atol=1e-6)


class Holder(keras.Model):
    """A model around the layer, so that it can be written to a file."""

    def __init__(self, layer: keras.layers.Layer, **options: Any) -> None:
        super().__init__(**options)
        self.layer = layer

    def build(self, inputs_shape: Any) -> None:
        """The layer writes down what it was built with."""

    def call(self, inputs: Any) -> Any:
        return self.layer(*inputs)

    def get_config(self) -> dict[str, Any]:
        return {"layer": keras.saving.serialize_keras_object(self.layer)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Holder:
        return cls(keras.saving.deserialize_keras_object(config["layer"]))


def check_file(make: Callable[[], Any], inputs: tuple[Inputs, ...], folder: Path) -> None:
    model = Holder(seeded(make))
    expected = call(model, (list(inputs),))
    model.save(folder / "model.keras")
    again = keras.saving.load_model(folder / "model.keras", custom_objects={"Holder": Holder})
    np.testing.assert_allclose(call(again, (list(inputs),)), expected, atol=1e-6)


def check_modes(make: Callable[[], Any], inputs: tuple[Inputs, ...], compiled: bool) -> None:
    layer = seeded(make)
    eager = call(layer, inputs)
    for jit in (False, True) if compiled else (False,):
        graph = tf.function(lambda *x: layer(*x), jit_compile=jit)
        np.testing.assert_allclose(graph(*inputs), eager, atol=1e-4, rtol=1e-3)


def check_precision(
    make: Callable[[], Any],
    inputs: tuple[Inputs, ...],
    output_dtype: str | None = None,
    trainable: bool = True,
) -> None:
    for policy in ("mixed_float16", "mixed_bfloat16"):
        with dtype_policy(policy):
            layer = seeded(make)
            with tf.GradientTape() as tape:
                output = layer(*inputs, training=True)
                loss = tf.reduce_mean(tf.square(tf.cast(output, tf.float32)))
            wanted = output_dtype or policy.removeprefix("mixed_")
            assert output.dtype == wanted, f"{policy} gave {output.dtype}"
            assert np.isfinite(np.asarray(tf.cast(output, tf.float32))).all(), policy
            assert all(w.dtype == "float32" for w in layer.trainable_variables)
            if not trainable:
                continue
            for gradient in tape.gradient(loss, [v.value for v in layer.trainable_variables]):
                assert gradient is not None
                assert np.isfinite(np.asarray(tf.convert_to_tensor(gradient))).all(), policy


def check_gradients(make: Callable[[], Any], inputs: tuple[Inputs, ...]) -> None:
    """A loss with a random direction, so that no symmetry hides a weight."""
    layer = seeded(make)
    call(layer, inputs)
    rng = np.random.default_rng(3)
    with tf.GradientTape() as tape:
        output = layer(*inputs, training=True)
        direction = tf.constant(rng.standard_normal(output.shape), output.dtype)
        loss = tf.reduce_sum(output * direction) + tf.add_n([tf.zeros([]), *layer.losses])
    gradients = tape.gradient(loss, [v.value for v in layer.trainable_variables])
    for weight, gradient in zip(layer.trainable_variables, gradients, strict=True):
        assert gradient is not None, f"no gradient reaches {weight.path}"
        assert np.abs(np.asarray(tf.convert_to_tensor(gradient))).max() > 0, weight.path


def check_export(make: Callable[[], Any], inputs: tuple[Inputs, ...], folder: Path) -> None:
    layer = seeded(make)
    expected = call(layer, inputs)
    flat = tf.nest.flatten(inputs)
    specs = [
        tf.TensorSpec([None, *x.shape[1:]], x.dtype, name=f"x{place}")
        for place, x in enumerate(flat)
    ]

    def serve(*values: tf.Tensor) -> tf.Tensor:
        return layer(*tf.nest.pack_sequence_as(inputs, values))

    archive = keras.export.ExportArchive()
    archive.track(layer)
    archive.add_endpoint("serve", serve, specs)
    archive.write_out(str(folder), verbose=False)
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        loaded = tf.compat.v1.saved_model.load(session, ["serve"], str(folder))
        signature = loaded.signature_def["serve"]
        (fetch,) = signature.outputs.values()
        # By order of name, since ExportArchive takes the names of the function's arguments.
        feeds = [signature.inputs[name].name for name in sorted(signature.inputs, key=_number)]
        values = [x.numpy() for x in flat]
        answer = session.run(fetch.name, dict(zip(feeds, values, strict=True)))
    np.testing.assert_allclose(answer, expected, atol=1e-4, rtol=1e-3)


def _number(name: str) -> int:
    digits = "".join(c for c in name if c.isdigit())
    return int(digits) if digits else 0


def check_basics(
    make: Callable[[], keras.layers.Layer],
    inputs: tuple[Inputs, ...],
    dimension: int,
    *,
    trainable: bool = True,
) -> None:
    """The quick half: shapes, configuration, gradients."""
    check_shapes(make, inputs, dimension)
    check_round_trip(make, inputs)
    if trainable:
        check_gradients(make, inputs)


def check_layer(
    make: Callable[[], keras.layers.Layer],
    inputs: tuple[Inputs, ...],
    folder: Path,
    *,
    compiled: bool = True,
    output: str | None = None,
    trainable: bool = True,
) -> None:
    """The slow half: files, modes, precision, export.

    `compiled` is for layers without strings, `output` for those of one type under every policy.
    """
    check_file(make, inputs, folder)
    check_modes(make, inputs, compiled)
    check_precision(make, inputs, output, trainable)
    check_export(make, inputs, folder / "saved")
