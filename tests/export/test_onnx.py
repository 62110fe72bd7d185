"""A second executor: towers as ONNX models, in Keras's place when an export is proved.

`tf2onnx` and `onnxruntime` aren't among the project's own; docs/serving.md tells how to run this.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tests.export.test_every_config import SMALL, data  # noqa: F401 - a fixture
from tfrec.config.loading import load_config
from tfrec.config.model import ModelConfig
from tfrec.config.presets import find_model_config
from tfrec.export.exporting import export_run
from tfrec.export.from_run import serving_source
from tfrec.export.verify import verify_saved_model
from tfrec.export.warmup import sample_requests
from tfrec.training import load_run, train

pytest.importorskip("tf2onnx")
pytest.importorskip("onnxruntime")
OPSET = 18


def onnx_of(
    function: Callable[[dict[str, tf.Tensor]], Any], inputs: Mapping[str, tf.Tensor]
) -> Callable[[Mapping[str, Any]], list[np.ndarray]]:
    """A function of a dictionary of tensors, converted for a batch of any size, in onnxruntime."""
    import onnxruntime
    import tf2onnx

    names = {key: key.replace("/", "__") for key in sorted(inputs)}
    specs = [
        tf.TensorSpec([None, *inputs[key].shape[1:]], inputs[key].dtype, name)
        for key, name in names.items()
    ]

    @tf.function(input_signature=specs)
    def flat(*tensors: tf.Tensor) -> Any:
        return function(dict(zip(names, tensors, strict=True)))

    model, _ = tf2onnx.convert.from_function(flat, specs, opset=OPSET)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    taken = {each.name.partition(":")[0] for each in session.get_inputs()}

    def run(values: Mapping[str, Any]) -> list[np.ndarray]:
        feeds = {names[key]: np.asarray(values[key]) for key in names if names[key] in taken}
        found: list[np.ndarray] = session.run(None, feeds)
        return found

    return run


class OnnxTower:
    """In place of a Keras tower: converted when it is first called."""

    def __init__(self, tower: Any) -> None:
        self.tower, self.calls = tower, 0
        self.run: Callable[[Mapping[str, Any]], list[np.ndarray]] | None = None

    def __call__(self, inputs: Mapping[str, tf.Tensor], training: bool = False) -> np.ndarray:
        if self.run is None:
            self.run = onnx_of(lambda each: self.tower(each, training=False), inputs)
        self.calls += 1
        return self.run(inputs)[0]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ids", "large", "pointwise", "sequence"])
def test_an_export_answers_as_the_query_tower_does_in_onnxruntime(
    data: Path,  # noqa: F811
    tmp_path: Path,
    name: str,
) -> None:
    """Ids, scores and vectors of every request for users: strings aside, all of it is ONNX."""
    words = [*SMALL, "item.features=[genres, price]", "query.profile=false"]
    config = load_config(find_model_config(name), ModelConfig, SMALL if name == "ids" else words)
    train(data, tmp_path / "run", config, progress=False)
    done = export_run(tmp_path / "run", tmp_path / name, force=True, explain=False)
    source = serving_source(load_run(tmp_path / "run"), name, explain=False)
    query, item = OnnxTower(source.query_tower), OnnxTower(source.item_tower)
    onnx = replace(source, query_tower=query, item_tower=item)
    found = verify_saved_model(done.path, onnx, sample_requests(source), exact=True)
    assert found.largest_difference < 1e-4
    assert query.calls > 5 and (item.calls > 0) == (name != "ids")
