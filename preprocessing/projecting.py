"""Bring encoded vectors to fewer dimensions: PCA, whitening, LDA, by moments of the train part.

run of items ─▶ FitMoments: count, mean, scatter matrix; by class for LDA ─▶ merged in order
  ─▶ eigenvectors ─▶ OUT/transforms/NAME.npz ─▶ vectors-NAME.npy, and the served graph

Moments merge (Chan, Golub and LeVeque, 1979, with outer products for squares), so every vector is
read once and any number of workers gives the same map.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from scipy import linalg

from preprocessing.spilling import read_table, save_array
from preprocessing.stages import Stages, replace_file
from tfrec.config.reduction import ReductionConfig
from tfrec.errors import DataError

__all__ = ["FitMoments", "Moments", "fit_projection", "project_feature"]

Matrix = npt.NDArray[np.float64]
_ROWS = 8192


@dataclass
class Moments:
    """Count, mean and scatter of some vectors.

    Attributes:
        count: How many.
        mean: float64 [d].
        scatter: float64 [d, d], sum of outer products of the distances from the mean.
        classes: Count and sum of the vectors of each class.
    """

    count: int
    mean: Matrix
    scatter: Matrix
    classes: dict[str, tuple[int, Matrix]] = field(default_factory=dict)

    @classmethod
    def of(cls, vectors: npt.NDArray[Any], labels: Sequence[str | None] = ()) -> Moments:
        """The moments of vectors [n, d], and of the classes that they belong to."""
        exact = np.asarray(vectors, np.float64)
        mean = exact.mean(0) if len(exact) else np.zeros(exact.shape[1])
        centred = exact - mean
        moments = cls(len(exact), mean, centred.T @ centred)
        names = np.array([label or "" for label in labels], object)
        for name in sorted(set(names.tolist())):
            own = exact[names == name]
            moments.classes[name] = (len(own), own.sum(0))
        return moments

    def merge(self, other: Moments) -> None:
        """Takes over the vectors of another task."""
        total = self.count + other.count
        if other.count:
            distance = other.mean - self.mean
            share = self.count * other.count / total
            self.scatter += other.scatter + share * np.outer(distance, distance)
            self.mean = self.mean + distance * (other.count / total)
            self.count = total
        for name, (count, sums) in other.classes.items():
            before = self.classes.get(name, (0, np.zeros_like(sums)))
            self.classes[name] = (before[0] + count, before[1] + sums)


@dataclass(frozen=True)
class FitMoments:
    """Sums up the vectors of a run of items: a task.

    Attributes:
        key: Unique among the runs.
        start, stop: Items.
        index, vectors: `.npy` files of the encoding: row of each item, and the rows.
        trained: `.npy` bool [catalogue], items with an event in the train part.
        prepared: The Arrow file of the run, for labels.
        label: The feature with the classes, for LDA.
    """

    key: str
    start: int
    stop: int
    index: Path
    vectors: Path
    trained: Path
    prepared: Path
    label: str | None

    def run(self) -> Moments:
        """Their moments."""
        index = np.load(self.index, mmap_mode="r")[self.start : self.stop]
        trained = np.load(self.trained, mmap_mode="r")[self.start : self.stop]
        vectors = np.load(self.vectors, mmap_mode="r")
        chosen = np.flatnonzero((index >= 0) & trained)
        labels: list[str | None] = []
        if self.label is not None:
            labels = _first_values(read_table(self.prepared).column(self.label).combine_chunks())
            chosen = np.array([row for row in chosen if labels[row] is not None], np.int64)
        moments = Moments.of(np.zeros((0, vectors.shape[1])))
        for first in range(0, len(chosen), _ROWS):
            rows = chosen[first : first + _ROWS]
            own = [labels[row] for row in rows] if labels else []
            moments.merge(Moments.of(vectors[index[rows]], own))
        return moments


def fit_projection(moments: Moments, config: ReductionConfig, where: str) -> tuple[Matrix, Matrix]:
    """The linear map.

    Args:
        moments: Of the train part.
        config: Which map.
        where: The feature, for messages.

    Returns:
        mean float64 [d], components float64 [d, k]: a vector v becomes (v - mean) @ components. Of
        each direction the sign is chosen so that its largest entry is positive.

    Raises:
        DataError: There are too few vectors, directions or classes for the wanted dimension.
    """
    width = len(moments.mean)
    classes = len([name for name, (count, _) in moments.classes.items() if count])
    most = min(width, moments.count - 1 if config.method != "lda" else classes - 1)
    if config.dimension > most:
        raise DataError(
            where,
            f"{config.method} to {config.dimension} dimensions needs as many directions",
            received=f"{moments.count:,} train vectors of {width} numbers"
            + (f", {classes} classes" if config.method == "lda" else "")
            + f": {max(most, 0)} directions",
            remedy="Ask for a smaller `dimension`",
        )
    if config.method == "lda":
        components = _discriminants(moments)[:, : config.dimension]
    else:
        variances, directions = linalg.eigh(moments.scatter / (moments.count - 1))
        components = directions[:, ::-1][:, : config.dimension]
        if config.method == "whiten":
            kept = variances[::-1][: config.dimension]
            floor = max(float(variances[-1]), 1e-12) * 1e-10
            components = components / np.sqrt(np.maximum(kept, floor))
    largest = np.argmax(np.abs(components), axis=0)
    signs = np.sign(components[largest, np.arange(components.shape[1])])
    return moments.mean, components * np.where(signs == 0, 1.0, signs)


def project_feature(
    stages: Stages,
    name: str,
    config: ReductionConfig,
    tasks: Sequence[FitMoments],
    vectors: Path,
    output: Path,
) -> None:
    """Fits a feature's map, saves it, and applies it to the vectors.

    Args:
        stages: Runs the tasks.
        name: The feature.
        config: Which map.
        tasks: One for each run of items.
        vectors: `vectors-NAME.npy`, replaced by the shorter vectors.
        output: The archive with `mean` and `components`, float32.

    Raises:
        DataError: The train part has too few vectors, directions or classes.
    """
    parts = stages.run(f"reduce-{name}", f"fit {config.method} of {name}", tasks)
    moments = next(parts)
    for part in parts:
        moments.merge(part)
    mean, components = fit_projection(moments, config, f"items.features.{name}.reduce")
    saved = {"mean": mean.astype(np.float32), "components": components.astype(np.float32)}
    stream = io.BytesIO()
    # NumPy's stub takes the names for its own option `allow_pickle`.
    np.savez(stream, **saved)  # type: ignore[arg-type]
    replace_file(output, stream.getvalue())
    long = np.load(vectors, mmap_mode="r")
    short = np.zeros((len(long), config.dimension), np.float32)
    for first in range(0, len(long), _ROWS):
        rows = slice(first, first + _ROWS)
        short[rows] = (long[rows] - saved["mean"]) @ saved["components"]
    save_array(vectors, short)


def _discriminants(moments: Moments) -> Matrix:
    """Generalised eigenvectors of the scatter between and within classes, best first."""
    between = np.zeros_like(moments.scatter)
    for count, sums in moments.classes.values():
        if count:
            distance = sums / count - moments.mean
            between += count * np.outer(distance, distance)
    within = (moments.scatter - between) / moments.count
    # Fewer vectors than numbers in each leave directions without any spread.
    floor = 1e-9 * max(float(np.trace(within)), 1e-12) / len(within)
    if float(linalg.eigvalsh(within, subset_by_index=(0, 0))[0]) < floor:
        within = within + floor * np.eye(len(within))
    _, directions = linalg.eigh(between / moments.count, within)
    return np.asarray(directions[:, ::-1])


def _first_values(column: Any) -> list[str | None]:
    if pa.types.is_list(column.type):
        return [values[0] if values else None for values in column.to_pylist()]
    return list(pc.cast(column, pa.string()).to_pylist())
