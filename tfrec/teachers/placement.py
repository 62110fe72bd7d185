"""Carry another model's item vectors over to items without behaviour, by the content kernel.

A network that learned items by their ids has learned them well, and its content towers beside them
less well: it never had to place an item by content alone. Kernel ridge regression of its vectors
on content, in the kernel that pseudo-cold items chose, is a second opinion on a new item.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tfrec.teachers.closed_form import exponential_kernel, kernel_ridge, squared_distance
from tfrec.teachers.cold import ColdView

__all__ = ["Placement", "place"]

Array = npt.NDArray[np.float32]

RIDGES = (0.3, 1.0, 3.0, 10.0)


@dataclass(frozen=True)
class Placement:
    """A content map of vectors, less their mean.

    Attributes:
        coefficients: float32 [L, d]: kernel values with the landmarks times it are the differences
            to the mean vector.
        ridge: What the held-out half chose.
        held_out: int64 [L // 2], positions among the landmarks.
        predicted: float32 [L // 2, d], their differences by a map that was fitted on the others:
            how far such a map dares to go where it doesn't know the answer.
    """

    coefficients: Array
    ridge: float
    held_out: npt.NDArray[np.int64]
    predicted: Array


def place(
    view: ColdView, vectors: Array, *, seed: int, ridges: Sequence[float] = RIDGES
) -> Placement:
    """Fits the map on all landmarks, its strength chosen on a half by the other half.

    Args:
        view: The cold view, whose kernel it is.
        vectors: float32 [L, d], of its landmarks.
        seed: Of the halves.
        ridges: Strengths to choose from; that of the least squared error is taken.
    """
    content = view.landmark_content
    kernel = exponential_kernel(squared_distance(content, content))
    order = np.random.default_rng(seed).permutation(len(content))
    fitted, held_out = np.sort(order[len(order) // 2 :]), np.sort(order[: len(order) // 2])
    mean = vectors[fitted].mean(0)
    best: tuple[float, float, Array] | None = None
    for ridge in ridges:
        solved = kernel_ridge(kernel[np.ix_(fitted, fitted)], vectors[fitted] - mean, ridge)
        predicted = np.asarray(kernel[np.ix_(held_out, fitted)] @ solved, np.float32)
        error = float(np.square(vectors[held_out] - mean - predicted).sum())
        if best is None or error < best[0]:
            best = error, ridge, predicted
    assert best is not None
    _, ridge, predicted = best
    coefficients = kernel_ridge(kernel, vectors - vectors.mean(0), ridge)
    return Placement(np.asarray(coefficients, np.float32), ridge, held_out, predicted)
