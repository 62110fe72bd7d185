"""Where id tables begin: at what a truncated SVD of the train part says."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tfrec.input import Timelines
from tfrec.model import IdEmbedding, NeuralView
from tfrec.training.item_factors import behaviour_factors

__all__ = ["start_from_factors"]

# Of counts, in the weights of positives. Validation NDCG@20 on MovieLens small, ids without any
# training: 0.091 with 0, 0.095 with ¼, 0.084 with ½.
_POWER = 0.25


def start_from_factors(view: NeuralView, timelines: Timelines, seed: int) -> None:
    """Sets the tables of items, histories and users to factors of behaviour.

    An item is its row of V S, whether it is liked next or was liked before; a user, where no
    history tells of him, is his row of U S. Rows are 1 long on average, as random ones are; rows of
    what has no positive, and columns beyond the matrix's rank, stay random.

    Args:
        view: Its weights made.
        timelines: The train part.
        seed: Of the SVD's start vector.
    """
    of_items, of_users = behaviour_factors(timelines, view.items, view.width, seed, power=_POWER)
    every = np.arange(view.items)
    _set(view.item_table, every, of_items)
    if view.history is not None:
        _set(view.history_table, every, of_items)
    elif view.users:
        _set(view.user_table, timelines.positives().user_index, of_users)


def _set(
    embedding: IdEmbedding, rows: npt.NDArray[np.integer], factors: npt.NDArray[np.float64]
) -> None:
    length = np.linalg.norm(factors, axis=1)
    known = (length > 1e-9) & (rows >= 0)
    if not known.any():
        return
    values = np.array(embedding.table.numpy())
    values[rows[known], : factors.shape[1]] = factors[known] / length[known].mean()
    embedding.table.assign(values)
