"""Trains and evaluates every system under every seed; what is finished is not done again."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from tfrec.baselines import STANDARD
from tfrec.config.loading import load_config
from tfrec.config.model import ModelConfig
from tfrec.errors import DescriptionError, RunError
from tfrec.evaluation import HeldOut, primary_metric, rank_baselines, rank_vectors, tuning_users
from tfrec.evaluation.user_values import measure_users
from tfrec.experiments.processes import run_in_processes
from tfrec.experiments.systems import System
from tfrec.schema import DataLayout, Split
from tfrec.training import Run, check_fit, load_run, train
from tfrec.training.checkpoints import write_atomically

__all__ = ["Result", "measure_baselines", "train_systems", "which_fit"]

_FILE = "compared.json"
_K = 20


class Result(BaseModel):
    """`RUN/compared.json`, written last: this run is trained and evaluated.

    Attributes:
        label, seed: Of the system.
        asked: The configuration that was asked for, before it was resolved.
        split, fingerprint: What it was evaluated on.
        users: Evaluated users that were asked for; 0 is all.
        parameters: Numbers that are trained or fitted.
        milliseconds: Of a training step, the median epoch's mean.
        seconds: Of the whole training.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    label: str
    seed: int
    asked: str
    split: str
    fingerprint: str
    users: int
    parameters: int
    milliseconds: float
    seconds: float


def which_fit(
    data: str | Path,
    systems: Sequence[System],
    say: Callable[[str], None] = lambda line: None,
) -> list[System]:
    """Leaves out systems whose configuration asks for what the data hasn't.

    Args:
        data: Prepared data.
        systems: What is to be compared.
        say: Told what is left out, and why.

    Returns:
        The others, in their order.

    Raises:
        DescriptionError: None fits; the first one's error.
    """
    manifest = DataLayout(data).read_manifest()
    fitting, errors = [], []
    for system in systems:
        try:
            check_fit(system.config, manifest)
        except DescriptionError as error:
            errors.append(error)
            say(f"left out: {system.label}: {error}")
        else:
            fitting.append(system)
    if errors and not fitting:
        raise errors[0]
    return fitting


def train_systems(
    data: str | Path,
    systems: Sequence[System],
    out: str | Path,
    *,
    seeds: int = 1,
    split: Split = "test",
    max_users: int | None = None,
    jobs: int = 0,
    prepare: Callable[[], None] | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> dict[Path, Result]:
    """Trains what is not there yet; an interrupted training goes on.

    Args:
        data: Prepared data.
        systems: What is compared.
        out: Runs lie in OUT/LABEL/seed-N.
        seeds: 0 … seeds - 1.
        split: Evaluated part.
        max_users: Evaluates a sample.
        jobs: Processes that train at a time; 0 trains in this one.
        prepare: Called first in each of those processes, as by one that registers components.
        say: Told each run's end.

    Returns:
        By run directory, systems in their order, each one's seeds side by side.

    Raises:
        RunError: OUT holds runs of other configurations, data or users.
    """
    fingerprint = DataLayout(data).read_manifest().fingerprint
    places = [(system, seed) for system in systems for seed in range(seeds)]
    found: dict[Path, Result | None] = {}
    tasks = []
    for number, (system, seed) in enumerate(places, 1):
        run = Path(out) / system.label / f"seed-{seed}"
        config = system.seeded(seed)
        about = {
            "asked": config.model_dump_json(),
            "split": split,
            "fingerprint": fingerprint,
            "users": max_users or 0,
        }
        found[run] = _read(run, about)
        task = _Task(Path(data), run, config, system.label, f"{number}/{len(places)}", about)
        if found[run] is None:
            tasks.append(task)
        else:
            say(f"{task.told}: there already")
    worked = (
        run_in_processes(_train, tasks, jobs=jobs, prepare=prepare)
        if jobs
        else ((task, _train(task)) for task in tasks)
    )
    for task, (done, line) in worked:
        found[task.run] = done
        say(f"{task.told}: {line}")
    return {run: done for run, done in found.items() if done is not None}


@dataclass(frozen=True)
class _Task:
    """A run to be made; `about` goes into its result as it is."""

    data: Path
    run: Path
    config: ModelConfig
    label: str
    place: str
    about: dict[str, Any]

    @property
    def told(self) -> str:
        return f"{self.place} {self.label}, seed {self.config.training.seed}"


def _train(task: _Task) -> tuple[Result, str]:
    """Trains, evaluates, and writes the result last."""
    result = train(task.data, task.run, task.config, resume=True, progress=False)
    trained = load_run(task.run, data=task.data)
    users = task.about["users"] or None
    _evaluate(trained, HeldOut.load(task.data, task.about["split"], max_users=users), task.run)
    done = Result(
        label=task.label,
        seed=task.config.training.seed,
        parameters=_parameters(trained),
        milliseconds=_step_time(trained),
        seconds=round(result.seconds, 1),
        **task.about,
    )
    write_atomically(task.run / _FILE, (done.model_dump_json(indent=1) + "\n").encode())
    told = f"validation {result.monitor} {result.best:.4f}, {result.seconds:.0f} s"
    return done, told


def measure_baselines(
    data: str | Path,
    out: str | Path,
    *,
    split: Split = "test",
    max_users: int | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> list[Path]:
    """Ranks for the same users by what needs no training.

    Args:
        data: Prepared data.
        out: Their users' figures lie in OUT/baselines/NAME.
        split: Evaluated part.
        max_users: Evaluates a sample.
        say: Told each one's name.

    Returns:
        Their directories.
    """
    fingerprint = DataLayout(data).read_manifest().fingerprint
    held_out = HeldOut.load(data, split, max_users=max_users)
    folders = []
    for lists in rank_baselines(
        STANDARD,
        held_out,
        lambda: tuning_users(data),
        cache=data,
        say=lambda name: say(f"baseline: {name}"),
    ):
        folder = Path(out) / "baselines" / lists.name
        folder.mkdir(parents=True, exist_ok=True)
        measure_users(held_out, lists, primary=primary_metric([_K]), fingerprint=fingerprint).write(
            folder
        )
        folders.append(folder)
    return folders


def _read(run: Path, about: dict[str, object]) -> Result | None:
    """The finished result, if it is what is asked for."""
    try:
        known = Result.model_validate_json((run / _FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        raise RunError(
            str(run / _FILE),
            "the file must be whole",
            received=type(error).__name__,
            remedy=f"Remove {run} and compare again",
        ) from error
    for name, value in about.items():
        if getattr(known, name) != value:
            raise RunError(
                str(run),
                f"a comparison goes on with the {name.replace('asked', 'configuration')} that it"
                " began with",
                received="another",
                remedy="Choose another --out, or remove this run",
            )
    return known


def _evaluate(trained: Run, held_out: HeldOut, run: Path) -> None:
    queries = trained.query_vectors(held_out.targets, held_out.past, at=held_out.at)
    lists = rank_vectors("model", queries, trained.item_vectors(), held_out)
    measure_users(
        held_out, lists, primary=primary_metric([_K]), fingerprint=trained.manifest.fingerprint
    ).write(run)


def _parameters(trained: Run) -> int:
    return int(trained.model.count_params())


def _step_time(trained: Run) -> float:
    config = load_config(trained.layout.config, ModelConfig)
    history = json.loads(trained.layout.history.read_text(encoding="utf-8"))
    rates = [row["examples_per_second"] for row in history]
    return round(1e3 * int(config.training.batch_size or 1) / statistics.median(rates), 2)
