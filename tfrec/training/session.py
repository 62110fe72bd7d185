"""Everything that one training holds: data, model, objective, optimizers, saved state."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfrec.config.model import ModelConfig
from tfrec.errors import DataError, RunError
from tfrec.evaluation.compressed_rows import CompressedRows
from tfrec.evaluation.top_k import top_k
from tfrec.input import Batches, ItemTable, Spans, Timelines, Windows, query_inputs
from tfrec.model import GraphView, NeuralView, TwoTower, build_model
from tfrec.model.building import used_features
from tfrec.schema import Manifest
from tfrec.training.balancing import ModalityBalance
from tfrec.training.catalogue import Catalogue
from tfrec.training.checkpoints import load_variables, save_variables, write_atomically
from tfrec.training.joining import join_views
from tfrec.training.optimizing import build_optimizers
from tfrec.training.plotting import plot_history
from tfrec.training.precision import precision
from tfrec.training.preparing import prepare_catalogue, with_prepared_profile
from tfrec.training.progress import TrainingProgress
from tfrec.training.projector import write_projector
from tfrec.training.run_directory import RunLayout
from tfrec.training.scalar_log import ScalarLog
from tfrec.training.starting import start_from_factors
from tfrec.training.strategies import is_chief
from tfrec.training.trainer import Trainer
from tfrec.training.user_item_graph import UserItemGraph
from tfrec.training.validation import Validation
from tfrec.training.warm_start import keep_vocabularies, warm_start

__all__ = ["Session", "best_epoch"]

# A call of the graph for each batch costs 10% of a step's time; 32 at once, next to nothing.
_STEPS_A_CALL = 32
# Users whose lists are mined at once; their inputs are in memory together.
_MINED_AT_ONCE = 16_384
# Rows of a table that a histogram is made of.
_SAMPLED_ROWS = 4_096
# Catalogues of more are projected without thumbnails: pictures are read whole.
_PICTURED_ITEMS = 20_000


class Session:
    """Data, model and trainer of one training.

    Args:
        data: The prepared data directory.
        manifest: Of it.
        config: Resolved.
        layout: Where to save.
        strategy: What variables are made under.
        say: Called with a line for each milestone.

    Raises:
        DescriptionError: The configuration doesn't fit the data.
        DataError: Nothing is left to learn from or to validate on.
    """

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
        self._strategy, self._manifest = strategy, manifest
        training, query = config.training, config.query
        keras.utils.set_random_seed(training.seed)
        timelines = Timelines.load(data, "train")
        held_out = Timelines.load(data, "validation")
        names = tuple(spec.name for spec in used_features(config, manifest))
        items = ItemTable.load(data, features=names, raw=False)
        with strategy.scope(), precision(training.mixed_precision):
            self.model = build_model(config, manifest)
        neural = self.model.views["neural"]
        assert isinstance(neural, NeuralView)
        timelines = with_prepared_profile(timelines, neural.profile_towers)
        held_out = with_prepared_profile(held_out, neural.profile_towers)
        self._timelines = timelines
        self.windows = _batches(config, timelines, strategy.num_replicas_in_sync)
        self._validation = Validation(
            timelines,
            held_out,
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
            self._catalogue = prepare_catalogue(config, items, timelines, neural, say)
            # TensorFlow's graph of Keras' loop loses its inputs where replicas meet inside it.
            kinds = (tf.distribute.MirroredStrategy, tf.distribute.MultiWorkerMirroredStrategy)
            steps_a_call = 1 if isinstance(strategy, kinds) else _STEPS_A_CALL
            sparse, dense = build_optimizers(
                config,
                self.windows.steps_per_epoch,
                static_shapes=isinstance(strategy, tf.distribute.TPUStrategy),
            )
            if neural.users:
                liked = timelines.positives()
                counts = np.bincount(liked.user_index[liked.rows], minlength=neural.users)
                # Nothing trains them: they stay as unknown users are.
                neural.user_table.clear(counts == 0)
            graph = UserItemGraph(neural, timelines) if isinstance(neural, GraphView) else None
            self._trainer = Trainer(
                self.model,
                self._catalogue,
                config.loss,
                self.windows.target_counts(len(items)),
                sparse,
                users=manifest.users,
                batch_size=self.windows.batch_size,
                micro_batches=training.micro_batches,
                seed=training.seed,
                balance=_balance(config, neural, self._catalogue),
                graph=graph,
            )
            dense.build(self._trainer.dense_variables)
            self._trainer.compile(
                optimizer=dense,
                jit_compile=training.jit_compile,
                steps_per_execution=min(steps_a_call, self.windows.steps_per_epoch),
            )
        # One trace for parts of any size: a second one costs what half an epoch of ids does.
        self._embed_items = tf.function(
            lambda rows: self.model.item_tower(self._catalogue.gather(rows), training=False),
            input_signature=[tf.TensorSpec([None], tf.int32)],
            autograph=False,
        )
        self._embed_queries = tf.function(
            lambda inputs: self.model.query_tower(inputs, training=False),
            reduce_retracing=True,
            autograph=False,
        )

    def begin(self) -> bool:
        """Sets id tables where the configuration lets them begin; whether they know anything."""
        neural = self.model.views["neural"]
        assert isinstance(neural, NeuralView)
        if self._config.training.start != "factors":
            return False
        with self._strategy.scope():
            start_from_factors(neural, self._timelines, self._config.training.seed)
        return True

    def begin_from(self, source: Path) -> str:
        """Takes over the weights of an older run; gives a line on how much."""
        return warm_start(self.model, source, self._data, self._manifest)

    def keep_vocabularies(self) -> None:
        """Writes what tables' rows stand for, so that a later run can begin from this one."""
        keep_vocabularies(self._layout.best.parent, self._data, self._manifest)

    def measure_start(self) -> float:
        """Measures the weights that training begins with, and saves them as the best so far."""
        self._trainer.settle()
        value = self._measure(self._config.training.monitor)
        if is_chief(self._strategy):
            save_variables(self._layout.best, self.model.variables, {"epoch": 0})
        return value

    def restore(self) -> tuple[list[dict[str, Any]], float | None]:
        """Goes back to the last saved epoch; gives the history up to it, and the start's figure."""
        meta = load_variables(self._layout.last, self._trainer.state())
        return list(meta["history"]), meta["start"]

    def epoch(self, number: int, bar: TrainingProgress) -> dict[str, Any]:
        """Trains one epoch, counted from 0, and measures."""
        if self._config.loss.hard_negatives and number % self._config.loss.mine_every == 0:
            self._mine()
        loss = self.fit(number, bar)
        self._check_finite(loss, number)
        monitor = self._config.training.monitor
        with self._trainer.averaged():
            value = self._measure(monitor)
        return {
            "epoch": number + 1,
            "loss": loss,
            monitor: value,
            "seconds": round(bar.seconds, 3),
            "examples_per_second": round(self.windows.count / max(bar.seconds, 1e-9), 1),
        }

    def fit(self, number: int, bar: TrainingProgress) -> float:
        """Trains one epoch, counted from 0; gives its mean loss."""
        steps = self.windows.steps_per_epoch
        first, strategy = number * steps, self._strategy
        batches: Any = self.windows.dataset(first, steps)
        replicas = strategy.num_replicas_in_sync
        if replicas > 1:
            # Each replica cuts its own part, of static shape; Keras would send whole batches.
            batches = strategy.distribute_datasets_from_function(
                lambda context: self.windows.dataset(
                    first,
                    steps,
                    parts=replicas,
                    own=(context.input_pipeline_id, context.num_input_pipelines),
                )
            )
        self._trainer.fit(
            batches,
            epochs=1,
            steps_per_epoch=steps,
            verbose=0,
            shuffle=False,
            callbacks=[bar],
        )
        return float(self._trainer.loss_mean.result())

    def save(self, history: list[dict[str, Any]], start: float | None) -> None:
        """Saves the state, the best weights and the history."""
        if not is_chief(self._strategy):
            return
        if best_epoch(history, start, self._config.training.monitor) == len(history):
            with self._trainer.averaged():
                save_variables(self._layout.best, self.model.variables, {"epoch": len(history)})
        meta = {"history": history, "start": start}
        save_variables(self._layout.last, self._trainer.state(), meta)
        text = json.dumps(history, indent=1) + "\n"
        write_atomically(self._layout.history, text.encode())

    def plot(self, history: list[dict[str, Any]], start: float | None) -> None:
        """Draws the history; it takes longer than to save the state."""
        if is_chief(self._strategy):
            config = self._config
            plot = plot_history(history, config.training.monitor, config.name, start=start)
            write_atomically(self._layout.plot, plot)

    def log_weights(self, log: ScalarLog, step: int) -> None:
        """Writes how the trained weights are distributed, tables by a sample of their rows."""
        for variable in self.model.trainable_variables:
            values = variable.value
            if len(variable.shape) == 2 and variable.shape[0] > _SAMPLED_ROWS:
                values = tf.gather(
                    values, tf.range(0, variable.shape[0], variable.shape[0] // _SAMPLED_ROWS)
                )
            log.histogram(step, f"weights/{variable.path}", values)

    def project(self, folder: Path) -> None:
        """Writes the best weights' item vectors for TensorBoard's projector."""
        load_variables(self._layout.best, self.model.variables)
        modalities = ("text", "image") if self._manifest.items <= _PICTURED_ITEMS else ("text",)
        shown = [spec.name for spec in self._manifest.item_features if spec.modality in modalities]
        write_projector(folder, ItemTable.load(self._data, features=shown), self._item_vectors())

    def join(
        self, manifest: Manifest, say: Callable[[str], None], *, ids: TwoTower | None = None
    ) -> float:
        """Joins other views to the best weights; gives the metric of all together."""
        load_variables(self._layout.best, self.model.variables)
        return join_views(
            self._layout.best.parent,
            self.model,
            self._config,
            manifest,
            self._data,
            self._item_vectors,
            self._as_unseen,
            say,
            ids=ids,
        )

    def _as_unseen(self, rows: Any) -> Any:
        """Item vectors as if nobody had met the items."""
        vectors = [
            self.model.item_tower(self._catalogue.unseen(rows[start : start + 256]), training=False)
            for start in range(0, len(rows), 256)
        ]
        return tf.concat(vectors, 0).numpy()

    def _item_vectors(self) -> Any:
        size = 1024
        return np.concatenate(
            [
                self._embed_items(tf.range(start, min(start + size, self._catalogue.size))).numpy()
                for start in range(0, self._catalogue.size, size)
            ]
        )

    def _measure(self, monitor: str) -> float:
        queries = self._query_vectors(self._validation.inputs)
        return self._validation.measure(queries, self._item_vectors(), monitor)

    def _query_vectors(self, inputs: Mapping[str, Any]) -> Any:
        size, count = 1024, len(next(iter(inputs.values())))
        return np.concatenate(
            [
                self._embed_queries(
                    {name: tf.constant(v[start : start + size]) for name, v in inputs.items()}
                ).numpy()
                for start in range(0, count, size)
            ]
        )

    def _mine(self) -> None:
        """Asks the model for each user's highest unseen items."""
        pool, query = self._trainer.objective.hard, self._config.query
        assert pool is not None
        self._trainer.settle()
        past = self._timelines if query.negatives else self._timelines.positives()
        seen = CompressedRows.from_pairs(
            self._timelines.rows, self._timelines.item_index, rows=len(past)
        )
        items = self._item_vectors()
        inputs = query_inputs(past, query.history_length)
        for start in range(0, len(past), _MINED_AT_ONCE):
            rows = slice(start, start + _MINED_AT_ONCE)
            queries = self._query_vectors({name: value[rows] for name, value in inputs.items()})
            chosen = np.arange(len(past))[rows]
            lists = top_k(queries, items, pool.size, seen=seen.take(chosen))
            pool.fill(past.user_index[rows], lists.items)

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


def best_epoch(history: list[dict[str, Any]], start: float | None, monitor: str) -> int:
    """The first epoch of the highest figure, from 1; 0 where none is above that of the start."""
    values = [-np.inf if start is None else start, *(row[monitor] for row in history)]
    return int(np.argmax(values))


def _balance(config: ModelConfig, view: NeuralView, catalogue: Catalogue) -> ModalityBalance | None:
    """What keeps modalities from learning at each other's cost, if that is asked for."""
    optimizer = config.optimizer
    if not optimizer.balance and not optimizer.modality_rates:
        return None
    return ModalityBalance(
        view,
        catalogue,
        strength=optimizer.balance,
        noise=optimizer.balance_noise,
        rates=optimizer.modality_rates,
        seed=config.training.seed,
        name="balance",
    )


def _batches(config: ModelConfig, timelines: Timelines, replicas: int) -> Batches:
    """What training reads, example by example or in spans."""
    query, loss, training = config.query, config.loss, config.training
    more: dict[str, Any] = {
        "batch_size": int(training.batch_size or 1),
        "seed": training.seed,
        "negatives": query.negatives,
        "repeats": loss.repeats,
        "propensity_power": loss.propensity_power,
        "dwell_weight": loss.dwell_weight,
    }
    if training.positions == "all":
        blocks = replicas * training.micro_batches
        return Spans(timelines, length=query.history_length, blocks=blocks, **more)
    length = query.history_length if query.history else 0
    return Windows(timelines, length=length, popularity_power=training.popularity_power, **more)
