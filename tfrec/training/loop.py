"""Train a model on prepared data, from a configuration to a run directory.

1. Read the data; settle what the configuration leaves open.
2. Make the model; train media towers item by item (`distillation`).
3. Epoch by epoch: Keras `fit` on the epoch's batches; rank the whole catalogue for validation
   users; save everything (`last.npz`), and the weights when they are the best (`best.npz`).
4. Stop after `patience` epochs without a better figure; restore the best weights.

Everything random comes from the seed, and a batch is a function of its number alone; so a training
that was killed goes on from `last.npz` to the very weights that it would have had.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
import yaml

from tfrec.config.model import ModelConfig
from tfrec.errors import DataError, RunError
from tfrec.input import ItemTable, Timelines, Windows
from tfrec.model import NeuralView, build_model, history_content
from tfrec.model.building import used_features
from tfrec.optimizers import build_row_optimizer
from tfrec.schema import DataLayout, Manifest
from tfrec.training.catalogue import Catalogue
from tfrec.training.checkpoints import load_variables, save_variables, write_atomically
from tfrec.training.defaults import resolve
from tfrec.training.distillation import Distilled, distill, media_towers
from tfrec.training.joining import join_closed_form
from tfrec.training.plotting import plot_history
from tfrec.training.precision import precision
from tfrec.training.progress import TrainingProgress
from tfrec.training.run_directory import RunLayout, check_fingerprint
from tfrec.training.scalar_log import ScalarLog
from tfrec.training.trainer import Trainer
from tfrec.training.validation import Validation

__all__ = ["TrainingResult", "train"]

# A call of the graph for each batch costs 10% of a step's time; 32 at once, next to nothing.
_STEPS_A_CALL = 32


@dataclass(frozen=True)
class TrainingResult:
    """What a training came to.

    Attributes:
        run: The run directory.
        monitor: Name of the metric.
        best: Its best value on the validation part.
        best_epoch: The epoch of the restored weights, from 1.
        epochs: Epochs trained.
        seconds: Wall time of this process's part.
        config: Resolved.
    """

    run: Path
    monitor: str
    best: float
    best_epoch: int
    epochs: int
    seconds: float
    config: ModelConfig


def train(
    data: str | Path,
    run: str | Path,
    config: ModelConfig,
    *,
    resume: bool = False,
    strategy: tf.distribute.Strategy | None = None,
    say: Callable[[str], None] = lambda line: None,
    progress: bool = True,
    clock: Callable[[], float] = time.monotonic,
) -> TrainingResult:
    """Trains a model.

    Args:
        data: A prepared data directory.
        run: A new or empty directory; with `resume` one of an interrupted training.
        config: The model's configuration.
        resume: Whether to go on where an earlier call stopped.
        strategy: A `tf.distribute` strategy; one device unless given.
        say: Called with a line for each choice and milestone.
        progress: Whether to draw a bar when standard error is a terminal.
        clock: Seconds.

    Returns:
        The best figure, and where the run is.

    Raises:
        DescriptionError: The configuration doesn't fit the data.
        DataError: A split that is needed is empty.
        RunError: The directory holds another run, a checkpoint can't be written, or the loss is
            no number any more.
    """
    started = clock()
    manifest = DataLayout(data).read_manifest()
    for split in ("train", "validation"):
        if not manifest.positives.get(split, 0):
            raise DataError(
                str(DataLayout(data).manifest_path),
                f"training needs positive events in the {split} part",
                received="none",
                remedy="Check `split` and `interactions.label` of the dataset description",
            )
    config, chosen = resolve(config, manifest)
    layout = RunLayout(run)
    _open(layout, data, manifest, config, resume)
    for line in chosen:
        say(line)
    strategy = strategy or tf.distribute.get_strategy()
    session = _Session(Path(data), manifest, config, layout, strategy, say)
    epochs = int(config.training.epochs or 1)
    history: list[dict[str, Any]] = session.restore() if resume and layout.last.is_file() else []
    windows = session.windows
    bar = TrainingProgress(epochs, windows.steps_per_epoch, windows.count, shown=progress)
    with bar, ScalarLog(layout.tensorboard) as log:
        while len(history) < epochs and not _patience_is_over(history, config):
            bar.begin(len(history))
            row = session.epoch(len(history), bar)
            history.append(row)
            session.save(history)
            monitor = config.training.monitor
            bar.end(f"{monitor} {row[monitor]:.4f}")
            say(
                f"epoch {row['epoch']:>3}  loss {row['loss']:.4f}  {monitor} {row[monitor]:.4f}"
                f"  {row['examples_per_second']:,.0f} examples/s  {row['seconds']:.1f} s"
            )
            log.write(row["epoch"], {k: v for k, v in row.items() if k != "epoch"})
    values = [row[config.training.monitor] for row in history]
    best = int(np.argmax(values))
    value = session.join(manifest, say) if config.closed_form.enabled else values[best]
    return TrainingResult(
        layout.root,
        config.training.monitor,
        value,
        best + 1,
        len(history),
        clock() - started,
        config,
    )


class _Session:
    """Data, model and trainer of one training."""

    def __init__(
        self,
        data: Path,
        manifest: Manifest,
        config: ModelConfig,
        layout: RunLayout,
        strategy: tf.distribute.Strategy,
        say: Callable[[str], None],
    ) -> None:
        self._config, self._layout, self._data = config, layout, data
        training, query = config.training, config.query
        keras.utils.set_random_seed(training.seed)
        timelines = Timelines.load(data, "train")
        names = tuple(spec.name for spec in used_features(config, manifest))
        items = ItemTable.load(data, features=names, raw=False)
        batch_size = int(training.batch_size or 1)
        self.windows = Windows(
            timelines,
            length=query.history_length if query.history else 0,
            batch_size=batch_size,
            seed=training.seed,
            negatives=query.negatives,
            repeats=config.loss.repeats,
        )
        self._validation = Validation(
            timelines,
            Timelines.load(data, "validation"),
            items=len(items),
            length=query.history_length,
            negatives=query.negatives,
            users=training.validation_users,
            seed=training.seed,
        )
        if not self._validation.users:
            raise DataError(
                str(data),
                "the validation part needs a positive on an item that is new to its user",
                received="none",
                remedy="Give it a larger share in `split` of the dataset description",
            )
        with strategy.scope(), precision(training.mixed_precision):
            self.model = build_model(config, manifest)
            neural = self.model.views["neural"]
            assert isinstance(neural, NeuralView)
            towers = neural.item_towers
            vectors: dict[str, Any] = {}
            if training.media == "distilled":
                done = distill(
                    items,
                    timelines,
                    media_towers(items, towers),
                    seed=training.seed,
                    told=lambda name, result: say(_told(name, result)),
                )
                vectors = {name: result.vectors for name, result in done.items()}
            if neural.content:
                neural.set_content(history_content(items, names, neural.content, vectors))
            self._catalogue = Catalogue(items, towers, vectors)
            optimizer = config.optimizer
            self._trainer = Trainer(
                self.model,
                self._catalogue,
                config.loss,
                self.windows.target_counts(len(items)),
                build_row_optimizer(
                    optimizer.embedding or "adam",
                    optimizer.embedding_learning_rate,
                    row_weight_decay=optimizer.weight_decay,
                    clipnorm=optimizer.clip_norm,
                    static_shapes=training.jit_compile,
                ),
                seed=training.seed,
            )
            dense: Any = keras.optimizers.AdamW(
                optimizer.learning_rate,
                weight_decay=optimizer.weight_decay,
                clipnorm=optimizer.clip_norm,
            )
            if training.mixed_precision == "mixed_float16":
                dense = keras.optimizers.LossScaleOptimizer(dense)
            dense.build(self._trainer.dense_variables)
            self._trainer.compile(
                optimizer=dense,
                jit_compile=training.jit_compile,
                steps_per_execution=min(_STEPS_A_CALL, self.windows.steps_per_epoch),
            )
        self._embed_items = tf.function(
            lambda rows: self.model.item_tower(self._catalogue.gather(rows), training=False),
            reduce_retracing=True,
        )
        self._embed_queries = tf.function(
            lambda inputs: self.model.query_tower(inputs, training=False), reduce_retracing=True
        )

    def restore(self) -> list[dict[str, Any]]:
        """Goes back to the last saved epoch; gives the history up to it."""
        meta = load_variables(self._layout.last, self._trainer.state())
        return list(meta["history"])

    def epoch(self, number: int, bar: TrainingProgress) -> dict[str, Any]:
        """Trains one epoch and measures."""
        steps = self.windows.steps_per_epoch
        batches = self.windows.dataset(number * steps, steps)
        fitted = self._trainer.fit(batches, epochs=1, verbose=0, shuffle=False, callbacks=[bar])
        loss = float(fitted.history["loss"][-1])
        self._check_finite(loss, number)
        monitor = self._config.training.monitor
        return {
            "epoch": number + 1,
            "loss": loss,
            monitor: self._measure(monitor),
            "seconds": round(bar.seconds, 3),
            "examples_per_second": round(self.windows.count / max(bar.seconds, 1e-9), 1),
        }

    def save(self, history: list[dict[str, Any]]) -> None:
        """Saves the state, the best weights, history and plot."""
        monitor = self._config.training.monitor
        values = [row[monitor] for row in history]
        if values[-1] >= max(values) and values.index(max(values)) == len(values) - 1:
            save_variables(self._layout.best, self.model.variables, {"epoch": len(history)})
        save_variables(self._layout.last, self._trainer.state(), {"history": history})
        text = json.dumps(history, indent=1) + "\n"
        write_atomically(self._layout.history, text.encode())
        write_atomically(self._layout.plot, plot_history(history, monitor, self._config.name))

    def join(self, manifest: Manifest, say: Callable[[str], None]) -> float:
        """Joins the closed-form view to the best weights; gives the metric of both together."""
        load_variables(self._layout.best, self.model.variables)
        folder, vectors = self._layout.best.parent, self._item_vectors()
        return join_closed_form(
            folder, self.model, self._config, manifest, self._data, vectors, say
        )

    def _item_vectors(self) -> Any:
        size = 1024
        return np.concatenate(
            [
                self._embed_items(tf.range(start, min(start + size, self._catalogue.size))).numpy()
                for start in range(0, self._catalogue.size, size)
            ]
        )

    def _measure(self, monitor: str) -> float:
        size = 1024
        items = self._item_vectors()
        inputs = self._validation.inputs
        queries = np.concatenate(
            [
                self._embed_queries(
                    {name: tf.constant(v[start : start + size]) for name, v in inputs.items()}
                ).numpy()
                for start in range(0, self._validation.users, size)
            ]
        )
        return self._validation.measure(queries, items, monitor)

    def _check_finite(self, loss: float, number: int) -> None:
        if np.isfinite(loss):
            return
        step = self._trainer.first_bad_step
        path = self._layout.root / "bad_batch.npz"
        batch = {name: value.numpy() for name, value in self.windows.batch(step).items()}
        with path.open("wb") as file:
            np.savez(file, **batch)
        raise RunError(
            str(self._layout.root),
            "the loss must stay a number",
            received=f"{loss} in epoch {number + 1}, first in step {step}; its batch is in {path}",
            remedy="Lower optimizer.learning_rate or set optimizer.clip_norm, and train again",
        )


def _told(name: str, result: Distilled) -> str:
    return (
        f"tower of {name}: cosine {result.cosine:.3f} to what behaviour says of unseen items,"
        f" a constant has {result.constant:.3f}; {result.passes} passes"
    )


def _patience_is_over(history: list[dict[str, Any]], config: ModelConfig) -> bool:
    values = [row[config.training.monitor] for row in history]
    return bool(values) and len(values) - 1 - int(np.argmax(values)) >= config.training.patience


def _open(
    layout: RunLayout, data: str | Path, manifest: Manifest, config: ModelConfig, resume: bool
) -> None:
    """Makes the run directory, or checks that it is the same training's."""
    text = yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
    if resume and layout.data.is_file():
        content = json.loads(layout.data.read_text(encoding="utf-8"))
        check_fingerprint(layout, manifest, content["fingerprint"])
        if layout.config.read_text(encoding="utf-8") != text:
            raise RunError(
                str(layout.config),
                "a training goes on with the configuration that it began with",
                received="another one",
                remedy="Leave --config and --set as they were, or choose another RUN",
            )
        return
    if layout.root.exists() and (not layout.root.is_dir() or any(layout.root.iterdir())):
        raise RunError(
            str(layout.root),
            "a run is written to a new or empty directory",
            received="a file" if layout.root.is_file() else "a directory with something in it",
            remedy="Choose another RUN, or go on with an interrupted one by --resume",
        )
    layout.root.mkdir(parents=True, exist_ok=True)
    content = {
        "data": str(Path(data).resolve()),
        "fingerprint": manifest.fingerprint,
        "dataset": manifest.dataset.name,
    }
    write_atomically(layout.config, text.encode())
    write_atomically(layout.data, (json.dumps(content, indent=1) + "\n").encode())
