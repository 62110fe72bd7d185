"""Runs of one configuration under several seeds are one system."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tfrec.config import ModelConfig, load_config
from tfrec.errors import DescriptionError, RunError
from tfrec.evaluation.user_values import UserValues

__all__ = ["RunGroup", "SliceTable", "group_runs"]


@dataclass(frozen=True)
class SliceTable:
    """A slice of a group on the users that all compared runs have.

    Attributes:
        name, title: As in `metrics.json`.
        users: Ids, [n] of str, ascending.
        values: By metric, float64 [seeds, n].
    """

    name: str
    title: str
    users: NDArray[np.str_]
    values: dict[str, NDArray[np.float64]]


@dataclass(frozen=True)
class RunGroup:
    """One system.

    Attributes:
        label: The runs' common name: of the folder, or of the configuration for several.
        runs: Their directories.
        seeds: Of each.
        values: Of each.
    """

    label: str
    runs: tuple[Path, ...]
    seeds: tuple[int, ...]
    values: tuple[UserValues, ...]

    def table(self, name: str, users: NDArray[np.str_]) -> SliceTable | None:
        """A slice on some users; `None` when a run lacks it.

        Args:
            name: Of the slice.
            users: Ids to keep.
        """
        parts = []
        for found in self.values:
            part = next((one for one in found.slices if one.name == name), None)
            if part is None:
                return None
            ids = found.users[part.users]
            kept = np.flatnonzero(np.isin(ids, users))
            parts.append((part, ids[kept], kept[np.argsort(ids[kept])]))
        shared = parts[0][1]
        for _, ids, _ in parts[1:]:
            shared = np.intersect1d(shared, ids)
        shared = np.sort(shared)
        if not len(shared):
            return None
        metrics = [m for m in parts[0][0].metrics if all(m in p.metrics for p, _, _ in parts)]
        values = {
            metric: np.stack(
                [
                    part.metrics[metric][order][np.isin(np.sort(ids), shared)]
                    for part, ids, order in parts
                ]
            ).astype(np.float64)
            for metric in metrics
        }
        return SliceTable(name, parts[0][0].title, shared, values)


def group_runs(runs: Sequence[str | Path]) -> list[RunGroup]:
    """Reads runs, and puts those together whose configurations differ in nothing but the seed.

    Args:
        runs: Run directories, evaluated.

    Returns:
        Groups in the order of their first run.

    Raises:
        DescriptionError: A run is given twice.
        RunError: One was not evaluated, or on other data or another part than the first.
    """
    paths = [Path(run) for run in runs]
    found: dict[str, list[tuple[Path, int, UserValues]]] = {}
    first: UserValues | None = None
    for place, path in enumerate(paths):
        if path.resolve() in [other.resolve() for other in paths[:place]]:
            raise DescriptionError("RUN", "a run is compared once", received=str(path))
        values = UserValues.read(path)
        first = first or values
        for what, ours, theirs in (
            ("data", values.fingerprint, first.fingerprint),
            ("part", values.split, first.split),
            ("primary metric", values.primary, first.primary),
        ):
            if ours != theirs:
                raise RunError(
                    str(path),
                    f"runs to compare are evaluated on the same {what}: {theirs} in {paths[0]}",
                    received=ours,
                    remedy="Evaluate both alike with `tfrec evaluate`",
                )
        config = load_config(path / "config.yaml", ModelConfig)
        unseeded = config.model_copy(
            update={"training": config.training.model_copy(update={"seed": 0})}
        )
        key = unseeded.model_dump_json()
        found.setdefault(key, []).append((path, config.training.seed, values))
    groups = []
    for members in found.values():
        label = members[0][0].name
        if len(members) > 1:
            label += f" ({len(members)} seeds)"
        groups.append(
            RunGroup(
                label,
                tuple(path for path, _, _ in members),
                tuple(seed for _, seed, _ in members),
                tuple(values for _, _, values in members),
            )
        )
    return groups
