"""Train a model on prepared data, from a configuration to a run directory.

1. Read the data; settle what the configuration leaves open.
2. Make the model; train media towers item by item (`distillation`).
3. Epoch by epoch: Keras `fit` on the epoch's batches; rank the whole catalogue for validation
   users; save everything (`last.npz`), and the weights when they are the best (`best.npz`).
4. Stop after `patience` epochs without a better figure; restore the best weights, which may be
   those that training began with.
5. With `ids.enabled` train a view of ids alone in the same way, in `RUN/ids`.
6. Join other views to the best weights, each with the weight that validates best (`joining`).

Everything random comes from the seed, and a batch is a function of its number alone; so a training
that was killed goes on from `last.npz` to the very weights that it would have had.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tensorflow as tf
import yaml

from tfrec.config.model import ModelConfig
from tfrec.errors import DataError, RunError
from tfrec.schema import DataLayout, Manifest
from tfrec.training.checkpoints import write_atomically
from tfrec.training.defaults import resolve
from tfrec.training.ids_view import ids_alone
from tfrec.training.joining import is_joined
from tfrec.training.options import check_options
from tfrec.training.progress import TrainingProgress
from tfrec.training.run_directory import RunLayout, check_fingerprint, load_run
from tfrec.training.scalar_log import ScalarLog
from tfrec.training.session import Session, best_epoch
from tfrec.training.strategies import is_chief, wait_for_all

__all__ = ["TrainingResult", "train"]


@dataclass(frozen=True)
class TrainingResult:
    """What a training came to.

    Attributes:
        run: The run directory.
        monitor: Name of the metric.
        best: Its best value on the validation part.
        best_epoch: The epoch of the restored weights, from 1; 0 where no epoch was better than
            factors or an older run's weights, with which training began.
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
    source: str | Path | None = None,
    strategy: tf.distribute.Strategy | None = None,
    say: Callable[[str], None] = lambda line: None,
    watch: Callable[[dict[str, Any]], None] = lambda row: None,
    progress: bool = True,
    clock: Callable[[], float] = time.monotonic,
) -> TrainingResult:
    """Trains a model.

    Args:
        data: A prepared data directory.
        run: A new or empty directory; with `resume` one of an interrupted training.
        config: The model's configuration.
        resume: Whether to go on where an earlier call stopped.
        source: An older run of the same configuration, on older data, whose weights are where this
            training begins; rows of tables go over by id.
        strategy: A `tf.distribute` strategy; one device unless given.
        say: Called with a line for each choice and milestone.
        watch: Called with each epoch's row of the history, saved already, and before them with a
            row of epoch 0, the figure alone, where training begins with factors or an older run's
            weights; what it raises ends the training.
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
    given = config
    config, chosen = resolve(config, manifest)
    layout = RunLayout(run)
    strategy = strategy or tf.distribute.get_strategy()
    check_options(config, strategy.num_replicas_in_sync)
    alone = ids_alone(given, manifest) if config.ids.enabled else None
    if alone is not None:
        check_options(resolve(alone, manifest)[0], strategy.num_replicas_in_sync)
    if is_chief(strategy):
        _open(layout, data, manifest, config, resume)
    else:
        # One of several workers writes the run and tells about it.
        say, progress = _silence, False
    for line in chosen:
        say(line)
    session = Session(Path(data), manifest, config, layout, strategy, say)
    epochs = int(config.training.epochs or 1)
    history: list[dict[str, Any]] = []
    start: float | None = None
    monitor, knowing = config.training.monitor, False
    if resume and layout.last.is_file():
        history, start = session.restore()
    elif source is not None:
        # New rows stay random: factors of the grown data have other axes than the old run's rows.
        say(session.begin_from(Path(source)))
        knowing = True
    else:
        knowing = session.begin()
    if is_chief(strategy):
        session.keep_vocabularies()
    windows = session.windows
    bar = TrainingProgress(epochs, windows.steps_per_epoch, windows.count, shown=progress)
    writer = ScalarLog(layout.tensorboard) if is_chief(strategy) else nullcontext()
    with bar, writer as log, _workers_told():
        if knowing:
            # Training may make it worse.
            start = session.measure_start()
            say(f"epoch   0  {monitor} {start:.4f} before the first step")
            if log is not None:
                log.write(0, {monitor: start})
            watch({"epoch": 0, monitor: start})
        while len(history) < epochs and not _patience_is_over(history, start, config):
            bar.begin(len(history))
            row = session.epoch(len(history), bar)
            history.append(row)
            session.save(history, start)
            bar.end(f"{monitor} {row[monitor]:.4f}")
            say(
                f"epoch {row['epoch']:>3}  loss {row['loss']:.4f}  {monitor} {row[monitor]:.4f}"
                f"  {row['examples_per_second']:,.0f} examples/s  {row['seconds']:.1f} s"
            )
            if log is not None:
                log.write(row["epoch"], {k: v for k, v in row.items() if k != "epoch"})
            watch(row)
            if log is not None:
                session.log_weights(log, row["epoch"])
            session.plot(history, start)
    best = best_epoch(history, start, monitor)
    value = history[best - 1][monitor] if best else float(start or 0.0)
    if is_chief(strategy):
        session.project(layout.tensorboard)
    if alone is not None:
        say("ids alone, to stand beside the learned view:")
        older = RunLayout(source).ids if source is not None else None
        train(
            data,
            layout.ids,
            alone,
            # It has begun where this run was interrupted after its own epochs.
            resume=True,
            source=older if older is not None and older.is_dir() else None,
            strategy=strategy,
            say=lambda line: say(f"  {line}"),
            progress=progress,
        )
    with _workers_told():
        if is_joined(config) and is_chief(strategy):
            ids = load_run(layout.ids, data=data).model if alone is not None else None
            value = session.join(manifest, say, ids=ids)
        wait_for_all(strategy)
    return TrainingResult(
        layout.root,
        monitor,
        value,
        best,
        len(history),
        clock() - started,
        config,
    )


def _silence(line: str) -> None:
    pass


@contextmanager
def _workers_told() -> Iterator[None]:
    """Turns the loss of another worker into one line."""
    try:
        yield
    except (tf.errors.UnavailableError, tf.errors.AbortedError) as error:
        raise RunError(
            "--strategy multiworker",
            "every worker must stay until the end",
            received=str(error.message).splitlines()[0][:200],
            remedy="Start all workers again with --resume; they go on from the last epoch",
        ) from error


def _patience_is_over(
    history: list[dict[str, Any]], start: float | None, config: ModelConfig
) -> bool:
    training = config.training
    since = len(history) - best_epoch(history, start, training.monitor)
    return bool(history) and since >= training.patience


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
