"""What each fusion costs, as a ratio to plain concatenation.

For each width and number of modalities, a batch of 1024 goes forward, and forward and backward, in
a graph (`tf.function`); concatenation is timed in turn with each fusion, so that a busy
machine slows both. Prints the median of the repeats, and ends with one JSON object.

    python benchmarks/fusion.py --widths 64 128 --modalities 3
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import tensorflow as tf

import tfrec.fusion
from tfrec.config.model import Component
from tfrec.registry import create, names

assert tfrec.fusion.__all__  # importing it registers the fusions
BASE = "concatenation"


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--widths", type=int, nargs="+", default=[64, 128, 256, 512])
    parser.add_argument("--modalities", type=int, nargs="+", default=[2, 3, 5])
    parser.add_argument("--fusions", nargs="+", default=list(names("fusion")))
    parser.add_argument("--batch", type=int, default=1024)
    parser.add_argument("--repeats", type=int, default=5)
    return parser.parse_args(argv)


def steps(name: str, width: int, count: int, batch: int) -> tuple[dict[str, Callable], int]:
    """The forward and the training step of a fusion on random input, and its parameters."""
    layer = create("fusion", Component(type=name), where="fusion", dimension=width)
    generator = tf.random.Generator.from_seed(0)
    inputs = {f"m{k}": generator.normal((batch, width)) for k in range(count)}
    masks = {key: generator.uniform((batch,)) < 0.8 for key in inputs}
    layer(inputs, masks)
    variables = [weight.value for weight in layer.trainable_variables]

    @tf.function
    def forward() -> Any:
        return layer(inputs, masks)

    @tf.function
    def training() -> Any:
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            output = layer(inputs, masks, training=True)
            loss = tf.reduce_mean(tf.square(output)) + sum(layer.losses)
        return tape.gradient(loss, [*variables, *inputs.values()])

    return {"forward": forward, "training": training}, layer.count_params()


def median_times(one: Callable, two: Callable, repeats: int) -> tuple[float, float]:
    """Median seconds of two functions, timed in turn."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(repeats):
        for function, taken in zip((one, two), times, strict=True):
            start = time.perf_counter()
            tf.nest.map_structure(lambda x: x.numpy() if hasattr(x, "numpy") else x, function())
            taken.append(time.perf_counter() - start)
    return statistics.median(times[0]), statistics.median(times[1])


def main(argv: Sequence[str] | None = None) -> int:
    """Times every fusion at every width and number of modalities, and prints the table."""
    options = arguments(argv)
    rows = []
    print(
        f"{'fusion':20} {'width':>5} {'mods':>4} {'params':>10} {'ms':>8} {'ratio':>6} {'train':>6}"
    )
    for width in options.widths:
        for count in options.modalities:
            base, _ = steps(BASE, width, count, options.batch)
            for name in options.fusions:
                ours, parameters = steps(name, width, count, options.batch)
                row: dict[str, Any] = {"fusion": name, "width": width, "modalities": count}
                row["parameters"] = parameters
                for kind in ("forward", "training"):
                    # The first call traces.
                    base[kind](), ours[kind]()
                    plain, taken = median_times(base[kind], ours[kind], options.repeats)
                    row[f"{kind}_ms"] = round(taken * 1e3, 3)
                    row[f"{kind}_ratio"] = round(taken / plain, 2)
                rows.append(row)
                print(
                    f"{name:20} {width:5} {count:4} {parameters:10,} {row['forward_ms']:8.2f}"
                    f" {row['forward_ratio']:6.2f} {row['training_ratio']:6.2f}",
                    flush=True,
                )
    print(json.dumps({"benchmark": "fusion", "batch": options.batch, "rows": rows}))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
