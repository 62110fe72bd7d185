"""Each user's figures of a run, kept with it: what paired comparisons of runs need."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from tfrec.errors import RunError
from tfrec.evaluation.held_out import HeldOut
from tfrec.evaluation.metrics import RankedLists
from tfrec.evaluation.rankings import Rankings
from tfrec.evaluation.slices import parts_of

__all__ = ["SliceValues", "UserValues", "measure_users"]

FILE = "user_values.npz"
_VERSION = 1
_METRICS = ("ndcg", "recall", "hit_rate", "mrr", "precision")


@dataclass(frozen=True)
class SliceValues:
    """One slice.

    Attributes:
        name, title: As in `metrics.json`.
        users: int32 [n], positions in `UserValues.users`.
        metrics: By name, float32 [n].
    """

    name: str
    title: str
    users: NDArray[np.int32]
    metrics: Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True)
class UserValues:
    """A run's figures, user by user.

    Attributes:
        users: Ids of the evaluated users, [U] of str.
        split: Evaluated part.
        fingerprint: Of the data.
        primary: The metric that verdicts look at.
        slices: The first is the whole catalogue.
    """

    users: NDArray[np.str_]
    split: str
    fingerprint: str
    primary: str
    slices: tuple[SliceValues, ...]

    def write(self, run: str | Path) -> Path:
        """Writes RUN/user_values.npz."""
        arrays: dict[str, Any] = {
            "version": np.array(_VERSION),
            "users": self.users,
            "about": np.array([self.split, self.fingerprint, self.primary]),
            "names": np.array([part.name for part in self.slices]),
            "titles": np.array([part.title for part in self.slices]),
        }
        for place, part in enumerate(self.slices):
            arrays[f"{place}/users"] = part.users
            arrays[f"{place}/metrics"] = np.array(list(part.metrics))
            arrays[f"{place}/values"] = np.stack(list(part.metrics.values()))
        path = Path(run) / FILE
        scratch = path.with_name(f".{path.name}.{os.getpid()}")
        with scratch.open("wb") as file:
            np.savez_compressed(file, **arrays)
        scratch.replace(path)
        return path

    @classmethod
    def read(cls, run: str | Path) -> UserValues:
        """Reads RUN/user_values.npz.

        Raises:
            RunError: The run was not evaluated, or the file is damaged.
        """
        path = Path(run) / FILE
        try:
            with np.load(path, allow_pickle=False) as content:
                if int(content["version"]) != _VERSION:
                    raise ValueError(f"version {content['version']}")
                split, fingerprint, primary = content["about"].tolist()
                slices = tuple(
                    SliceValues(
                        name,
                        title,
                        content[f"{place}/users"],
                        dict(
                            zip(
                                content[f"{place}/metrics"].tolist(),
                                content[f"{place}/values"],
                                strict=True,
                            )
                        ),
                    )
                    for place, (name, title) in enumerate(
                        zip(content["names"].tolist(), content["titles"].tolist(), strict=True)
                    )
                )
                return cls(content["users"], split, fingerprint, primary, slices)
        except (OSError, BadZipFile, ValueError, KeyError, EOFError) as error:
            raise RunError(
                str(run),
                f"a run to compare has a whole {FILE}",
                received="none" if isinstance(error, FileNotFoundError) else type(error).__name__,
                remedy=f"Evaluate it first: tfrec evaluate {run}",
            ) from error


def measure_users(
    held_out: HeldOut,
    ranked: Rankings,
    *,
    primary: str,
    fingerprint: str,
    modalities: Mapping[str, NDArray[np.bool_]] | None = None,
) -> UserValues:
    """Measures one system's lists for each user, in every slice.

    Args:
        held_out: The question.
        ranked: The system's lists.
        primary: For example `ndcg@20`; its depth is that of all metrics.
        fingerprint: Of the data.
        modalities: Presence by item feature, for slices.
    """
    k = int(primary.rpartition("@")[2])
    slices = []
    for part in parts_of(held_out, modalities):
        if part.ranked not in ranked.lists:
            continue
        users = np.flatnonzero(part.relevant.counts)
        lists = RankedLists(
            ranked.lists[part.ranked][users],
            part.relevant.take(users),
            items=len(held_out.items),
        )
        chosen: Sequence[str] = _METRICS if part.full else _METRICS[:2]
        metrics = {f"{name}@{k}": getattr(lists, name)(k).astype(np.float32) for name in chosen}
        slices.append(SliceValues(part.name, part.title, users.astype(np.int32), metrics))
    return UserValues(
        users=np.array([str(user) for user in held_out.targets.user_ids], np.str_),
        split=held_out.split,
        fingerprint=fingerprint,
        primary=primary,
        slices=tuple(slices),
    )
