"""`tfrec train`: trains a two-tower model on prepared data."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from pathlib import Path
from typing import Any

from tfrec.config.loading import load_config
from tfrec.config.model import ModelConfig
from tfrec.config.presets import DEFAULT_MODEL, find_model_config

SUMMARY = "Train a two-tower model on prepared data; stop by validation, keep the best weights."
EXAMPLES = [
    "tfrec train data run",
    "tfrec train data run --config ids --set dimension=64 --seed 1",
    "tfrec train data run --config my/model.yaml --set optimizer.learning_rate=3e-4",
    "tfrec train data-of-today run-of-today --from run-of-yesterday",
    "tfrec train data run --resume   # go on after an interruption",
]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    add = parser.add_argument
    add("data", metavar="DATA", type=Path, help="what `tfrec preprocess` wrote")
    add("run", metavar="RUN", type=Path, help="new or empty directory")
    add(
        "--config",
        default=DEFAULT_MODEL,
        metavar="NAME|FILE",
        help="a shipped configuration or a YAML file (%(default)s)",
    )
    add(
        "--set",
        action="append",
        default=[],
        dest="overrides",
        metavar="KEY=VALUE",
        help="override of the configuration, by dotted path; may be repeated",
    )
    add("--seed", type=int, help="of weights, order and dropout (short for --set training.seed=N)")
    add(
        "--strategy",
        choices=("one", "mirrored", "multiworker", "tpu"),
        default="one",
        help="how training is distributed (%(default)s device)",
    )
    add(
        "--import",
        action="append",
        default=[],
        dest="imports",
        metavar="MODULE",
        help="module that registers components of your own; may be repeated",
    )
    add(
        "--from",
        type=Path,
        dest="source",
        metavar="OLD",
        help="begin with the weights of an older run, on data that has grown since",
    )
    add(
        "--wandb",
        metavar="PROJECT",
        help="log to Weights & Biases too, into RUN-wandb; WANDB_MODE=offline needs no account",
    )
    add("--resume", action="store_true", help="go on with an interrupted training in RUN")
    add("--json", action="store_true", help="print one JSON object instead of lines")


def run(arguments: argparse.Namespace) -> int:
    """Trains, telling each choice and each epoch."""
    overrides = list(arguments.overrides)
    if arguments.seed is not None:
        overrides.append(f"training.seed={arguments.seed}")
    config = load_config(find_model_config(arguments.config), ModelConfig, overrides)
    # TensorFlow takes seconds to load; a wrong option is told before.
    from tfrec.registry import import_components
    from tfrec.training import train
    from tfrec.training.strategies import make_strategy

    import_components(arguments.imports)
    out = sys.stderr if arguments.json else sys.stdout
    with contextlib.ExitStack() as stack:
        options: dict[str, Any] = {}
        if arguments.wandb:
            from tfrec.training.wandb_log import WandbLog

            # Beside the run: that one must be new or empty.
            folder = arguments.run.with_name(f"{arguments.run.name}-wandb")
            log = stack.enter_context(WandbLog(arguments.wandb, folder, config))
            options["watch"] = log.write
        result = train(
            arguments.data,
            arguments.run,
            config,
            resume=arguments.resume,
            source=arguments.source,
            strategy=make_strategy(arguments.strategy),
            say=lambda line: print(line, file=out, flush=True),
            **options,
        )
    if arguments.json:
        content = {
            "run": str(result.run),
            result.monitor: result.best,
            "best_epoch": result.best_epoch,
            "epochs": result.epochs,
            "seconds": round(result.seconds, 3),
        }
        print(json.dumps(content))
    else:
        print(
            f"{result.run}: validation {result.monitor} {result.best:.4f} in epoch"
            f" {result.best_epoch} of {result.epochs}, {result.seconds:.0f} s."
            f" Next: tfrec evaluate {result.run}"
        )
    return 0
