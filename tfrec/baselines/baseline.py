"""What every baseline promises, and the matrix that most of them start from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from tfrec.input import ItemTable, Timelines

__all__ = ["Baseline", "interaction_matrix"]

Scores = NDArray[np.float32]


class Baseline(ABC):
    """A recommender with nothing to train by gradient: what any model has to beat.

    Fitted on the train part alone; the histories that it then scores may hold later events.

    Attributes:
        name: As it stands in tables and in `metrics.json`.
        grid: Options worth trying on validation: keyword arguments of the class.
        reaches_cold: Whether it tells items apart that have no behaviour.
    """

    name: ClassVar[str]
    grid: ClassVar[tuple[dict[str, Any], ...]] = ({},)
    reaches_cold: ClassVar[bool] = False

    @abstractmethod
    def fit(self, train: Timelines, items: ItemTable) -> None:
        """Learns from the train part.

        Args:
            train: Events of the train part, positive or not.
            items: The catalogue, N items.
        """

    @abstractmethod
    def score(self, histories: Timelines) -> Scores:
        """Scores the whole catalogue for some users.

        Args:
            histories: What each of the U users did before, positive or not.

        Returns:
            float32 [U, N]; greater is better, seen items included.
        """

    @classmethod
    def applies(cls, train: Timelines, items: ItemTable) -> bool:
        """Whether the data has what the baseline needs, and is small enough for it."""
        return True


def interaction_matrix(timelines: Timelines, items: int) -> Any:
    """Users × items with 1 where a user has a positive event, SciPy CSR float32 [U, N]."""
    positive = timelines.positive
    rows, columns = timelines.rows[positive], timelines.item_index[positive]
    ones = np.ones(len(rows), np.float32)
    matrix = sp.csr_matrix((ones, (rows, columns)), shape=(len(timelines), items))
    matrix.sum_duplicates()
    matrix.data[:] = 1
    return matrix
