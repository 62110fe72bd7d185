"""Two replicas on two logical CPUs beside one device.

A program, since devices are fixed when TensorFlow starts. Prints the greatest difference of losses
and of weights, as JSON.

    python -m tests.training.two_replicas OBJECTIVE
"""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np
import tensorflow as tf

from tests.input.test_windows import timelines
from tests.training.tiny import LIKED, tiny_trainer
from tfrec.config.model import LossConfig
from tfrec.input import Windows
from tfrec.training.strategies import make_strategy


def main(kind: Any) -> None:
    """Trains six steps in either way."""
    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
    )
    windows = Windows(timelines(LIKED), length=0, batch_size=8)
    cache, graph = 16 if kind == "in_batch" else 0, kind == "graph"
    loss = LossConfig(type="full" if graph else kind, cache=cache, temperature=0.5)
    found = []
    for name in ("one", "mirrored"):
        strategy = make_strategy(name)
        with strategy.scope():
            trainer = tiny_trainer(loss, average=0.5, graph=graph)
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
    print(json.dumps({"loss": first, "difference": abs(first - second), "weights": distance}))


if __name__ == "__main__":
    main(sys.argv[1])
