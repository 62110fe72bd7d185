"""Two replicas on two logical CPUs beside one device.

A program, since devices are fixed when TensorFlow starts. Prints the greatest difference of losses
and of weights, as JSON.

    python -m tests.training.two_replicas OBJECTIVE|lightgcn|pointwise
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tests.input.test_windows import timelines
from tests.records import write_prepared
from tests.training.conftest import events
from tests.training.tiny import LIKED, tiny_trainer
from tfrec.config.dataset import FeatureConfig
from tfrec.config.loading import load_config
from tfrec.config.model import LossConfig, ModelConfig
from tfrec.config.presets import find_model_config
from tfrec.input import Windows
from tfrec.schema import FeatureSpec
from tfrec.training import RunLayout, load_run, train
from tfrec.training.strategies import make_strategy

TITLE = FeatureConfig(modality="text")


def runs(name: str) -> dict[str, float]:
    """A shipped configuration from prepared data to a run, in either way."""
    sets = ["dimension=8", "training.epochs=1", "training.batch_size=64"]
    # A bias of all items alike has no gradient but rounding, which any optimizer makes a step of.
    sets += ["optimizer.average=0.5", "optimizer.embedding=adagrad", "item.bias=false"]
    config = load_config(find_model_config(name), ModelConfig, sets)
    found, losses = [], []
    with tempfile.TemporaryDirectory() as folder:
        data = write_prepared(
            Path(folder) / "data",
            events(),
            items=40,
            users=60,
            specs=[FeatureSpec(name="title", modality="text", config=TITLE)],
            values={"title": [f"song {i % 5} of {i % 7}" for i in range(40)]},
        )
        for way in ("one", "mirrored"):
            run = Path(folder) / way
            train(data, run, config, strategy=make_strategy(way), progress=False)
            losses.append(json.loads(RunLayout(run).history.read_text())[-1]["loss"])
            found.append(load_run(run).item_vectors())
    distance = float(np.abs(found[0] - found[1]).max())
    return {"loss": losses[0], "difference": abs(losses[0] - losses[1]), "weights": distance}


def steps(kind: Any) -> dict[str, float]:
    """Six steps of an objective in either way."""
    windows = Windows(timelines(LIKED), length=0, batch_size=8)
    cache = 16 if kind == "in_batch" else 0
    loss = LossConfig(type=kind, cache=cache, temperature=0.5)
    found = []
    for name in ("one", "mirrored"):
        strategy = make_strategy(name)
        with strategy.scope():
            trainer = tiny_trainer(loss, average=0.5)
        if name == "one":
            batches: Any = windows.dataset(0, 6)
        else:
            assert strategy.num_replicas_in_sync == 2
            batches = strategy.distribute_datasets_from_function(
                lambda context: windows.dataset(0, 6, parts=2)
            )
        fitted = trainer.fit(batches, steps_per_epoch=6, verbose=0, shuffle=False)
        weights = [np.array(v.numpy()) for v in trainer._tables]
        with trainer.averaged():
            weights += [np.array(v.numpy()) for v in trainer._tables]
        found.append((fitted.history["loss"][-1], weights))
    (first, one), (second, two) = found
    distance = max(float(np.abs(a - b).max()) for a, b in zip(one, two, strict=True))
    return {"loss": first, "difference": abs(first - second), "weights": distance}


if __name__ == "__main__":
    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
    )
    print(
        json.dumps(
            runs(sys.argv[1]) if sys.argv[1] in ("lightgcn", "pointwise") else steps(sys.argv[1])
        )
    )
