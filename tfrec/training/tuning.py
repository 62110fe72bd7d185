"""Search a model's settings by validation, with Optuna.

Optuna, and not KerasTuner: a trial here is a whole `train`, from a configuration to a run
directory, and no `keras.Model.fit`; Optuna lets the trial's code ask for values and report each
epoch, stops it early by ASHA or Hyperband, and keeps the study in a file that several processes
write to, so that a search goes on where it stopped and grows by starting more processes.

    OUT/data/            the prepared data without its test part
    OUT/study.journal    every trial; `--resume` reads it
    OUT/trials/N/        run directories
    OUT/best.yaml        the best trial's resolved configuration
    OUT/tuning.png       the search, and which setting mattered
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import yaml

from tfrec.config.loading import load_config
from tfrec.config.model import ModelConfig
from tfrec.config.presets import find_model_config
from tfrec.config.tuning import Range, SearchConfig
from tfrec.errors import DescriptionError, RunError
from tfrec.schema import DataLayout
from tfrec.training.checkpoints import write_atomically
from tfrec.training.loop import train
from tfrec.training.tuning_plot import plot_search

__all__ = ["tune"]

_STUDY = "tfrec"


def tune(
    search: SearchConfig,
    data: Path,
    out: Path,
    *,
    jobs: int = 1,
    resume: bool = False,
    say: Callable[[str], None] = lambda line: None,
) -> tuple[float, dict[str, Any]]:
    """Runs a search to its number of trials.

    Args:
        search: What to vary, and how.
        data: Prepared data; its test part is left out of what trials are given.
        out: A new or empty directory; with `resume` one of an interrupted search.
        jobs: Processes that make trials at a time.
        resume: Whether trials that are there count.
        say: Called with a line a trial.

    Returns:
        The best validation figure, and its settings.

    Raises:
        DescriptionError: A setting doesn't exist, or Optuna isn't installed.
        RunError: The directory holds something else, or no trial ended.
    """
    optuna = _optuna()
    _check(search)
    _open(out, data, resume)
    study = _study(out, search)
    before = len(_ended(study))
    if before < search.trials:
        if jobs == 1:
            _work(search, out, 0, say)
        else:
            context = multiprocessing.get_context("spawn")
            workers = [context.Process(target=_work, args=(search, out, k)) for k in range(jobs)]
            for worker in workers:
                worker.start()
            for worker in workers:
                worker.join()
    study = _study(out, search)
    complete = [t for t in study.trials if t.state == optuna.trial.TrialState.COMPLETE]
    if not complete:
        raise RunError(
            str(out),
            "a search must have a trial that ended",
            received=f"{len(study.trials)} that failed or were stopped",
            remedy="Look into OUT/trials, and narrow `space`",
        )
    best = study.best_trial
    resolved = out / "trials" / str(best.number) / "config.yaml"
    write_atomically(out / "best.yaml", resolved.read_bytes())
    write_atomically(out / "tuning.png", plot_search(study))
    return float(best.value), dict(best.params)


def _optuna() -> Any:
    try:
        import optuna
    except ImportError as error:
        raise DescriptionError(
            "tfrec tune",
            "the search is Optuna's",
            received="no module optuna",
            remedy="pip install 'tfrec[tune]'",
        ) from error
    optuna.logging.set_verbosity(logging.WARNING)
    return optuna


def _config(search: SearchConfig, values: dict[str, Any]) -> ModelConfig:
    chosen = [f"{name}={yaml.safe_dump(v).splitlines()[0]}" for name, v in values.items()]
    path = find_model_config(search.config)
    return load_config(path, ModelConfig, [*search.set, *chosen])


def _check(search: SearchConfig) -> None:
    """A wrong name or bound is told before the first trial, not by each."""
    for pick in (0, -1):
        values = {}
        for name, span in search.space.items():
            ends = span.choices if span.choices is not None else (span.low, span.high)
            values[name] = ends[pick]
        _config(search, values)


def _open(out: Path, data: Path, resume: bool) -> None:
    if not resume and out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise RunError(
            str(out),
            "a search is written to a new or empty directory",
            received="something in it",
            remedy="Choose another OUT, or go on with --resume",
        )
    layout = DataLayout(data)
    manifest = layout.read_manifest()
    blind = DataLayout(out / "data")
    if blind.manifest_path.is_file():
        if blind.read_manifest().fingerprint != manifest.fingerprint:
            raise RunError(
                str(out),
                "a search goes on with the data that it began with",
                received=f"fingerprint {manifest.fingerprint}",
                remedy="Choose another OUT",
            )
        return
    blind.root.mkdir(parents=True, exist_ok=True)
    for name in ("items", "vocabulary"):
        (blind.root / name).symlink_to((layout.root / name).resolve())
    (blind.root / "timelines").mkdir()
    for split in ("train", "validation"):
        for shard in layout.timeline_shards(split):
            (blind.root / "timelines" / shard.name).symlink_to(shard.resolve())
    shutil.copy(layout.manifest_path, blind.manifest_path)


def _study(out: Path, search: SearchConfig, worker: int = 0) -> Any:
    optuna = _optuna()
    backend = optuna.storages.journal.JournalFileBackend(str(out / "study.journal"))
    seed = search.seed + worker
    sampler = (
        optuna.samplers.RandomSampler(seed=seed)
        if search.method == "random"
        else optuna.samplers.TPESampler(seed=seed, constant_liar=True)
    )
    pruners = {
        "asha": lambda: optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=3),
        "hyperband": lambda: optuna.pruners.HyperbandPruner(min_resource=1, reduction_factor=3),
    }
    return optuna.create_study(
        storage=optuna.storages.JournalStorage(backend),
        study_name=_STUDY,
        direction="maximize",
        load_if_exists=True,
        sampler=sampler,
        pruner=pruners.get(search.method, optuna.pruners.NopPruner)(),
    )


def _ended(study: Any) -> Sequence[Any]:
    return [trial for trial in study.trials if trial.state.is_finished()]


def _work(search: SearchConfig, out: Path, worker: int, say: Callable[[str], None] = print) -> None:
    """Makes trials until there are enough; one process of several."""
    optuna = _optuna()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    # Draws of a resumed search differ from those that it made.
    study = _study(out, search, worker + 1000 * len(_study(out, search).trials))

    def objective(trial: Any) -> float:
        values = {name: _draw(trial, name, span) for name, span in search.space.items()}
        shown = ", ".join(
            f"{name}={value:.4g}" if isinstance(value, float) else f"{name}={value}"
            for name, value in values.items()
        )

        def watch(row: dict[str, Any]) -> None:
            monitor = config.training.monitor
            if not row["epoch"]:
                return  # before the first: nothing is tuned yet
            trial.report(row[monitor], row["epoch"])
            if trial.should_prune():
                say(f"trial {trial.number}: stopped in epoch {row['epoch']}  {shown}")
                raise optuna.TrialPruned

        config = _config(search, values)
        run = out / "trials" / str(trial.number)
        try:
            result = train(out / "data", run, config, watch=watch, progress=False)
        except RunError as error:
            say(f"trial {trial.number}: {error}  {shown}")
            raise
        say(f"trial {trial.number}: {result.monitor} {result.best:.4f}  {shown}")
        return result.best

    def enough(study: Any, trial: Any) -> None:
        if len(_ended(study)) >= search.trials:
            study.stop()

    # A loss that is no number ends its trial, not the search.
    study.optimize(objective, catch=(RunError,), callbacks=[enough])


def _draw(trial: Any, name: str, span: Range) -> Any:
    if span.choices is not None:
        return trial.suggest_categorical(name, span.choices)
    if isinstance(span.low, int) and isinstance(span.high, int):
        return trial.suggest_int(name, span.low, span.high, log=span.log)
    return trial.suggest_float(name, span.low, span.high, log=span.log)
