"""Trains and evaluates every system under every seed; what is finished is not done again."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from tfrec.baselines import STANDARD
from tfrec.config.loading import load_config
from tfrec.config.model import ModelConfig
from tfrec.errors import RunError
from tfrec.evaluation import HeldOut, primary_metric, rank_baselines, rank_vectors, tuning_users
from tfrec.evaluation.user_values import measure_users
from tfrec.experiments.systems import System
from tfrec.schema import DataLayout, Split
from tfrec.training import Run, load_run, train
from tfrec.training.checkpoints import write_atomically

__all__ = ["Result", "measure_baselines", "train_systems"]

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


def train_systems(
    data: str | Path,
    systems: Sequence[System],
    out: str | Path,
    *,
    seeds: int = 1,
    split: Split = "test",
    max_users: int | None = None,
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
        say: Told each run's beginning and end.

    Returns:
        By run directory, systems in their order, each one's seeds side by side.

    Raises:
        RunError: OUT holds runs of other configurations, data or users.
    """
    manifest = DataLayout(data).read_manifest()
    held_out = HeldOut.load(data, split, max_users=max_users)
    found = {}
    places = [(system, seed) for system in systems for seed in range(seeds)]
    for number, (system, seed) in enumerate(places, 1):
        run = Path(out) / system.label / f"seed-{seed}"
        config = system.seeded(seed)
        about = {
            "asked": config.model_dump_json(),
            "split": split,
            "fingerprint": manifest.fingerprint,
            "users": max_users or 0,
        }
        known = _read(run, about)
        if known is not None:
            say(f"{number}/{len(places)} {system.label}, seed {seed}: there already")
            found[run] = known
            continue
        result = train(data, run, config, resume=True, progress=False)
        trained = load_run(run, data=data)
        _evaluate(trained, held_out, run)
        done = Result(
            label=system.label,
            seed=seed,
            parameters=_parameters(trained),
            milliseconds=_step_time(trained),
            seconds=round(result.seconds, 1),
            **about,
        )
        write_atomically(run / _FILE, (done.model_dump_json(indent=1) + "\n").encode())
        found[run] = done
        say(
            f"{number}/{len(places)} {system.label}, seed {seed}:"
            f" validation {result.monitor} {result.best:.4f}, {result.seconds:.0f} s"
        )
    return found


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
