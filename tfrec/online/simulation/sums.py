"""Simulated pages as the user sums that an analysis starts from."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tfrec.online.experiments.metrics import COLUMNS, SUMS, column
from tfrec.online.simulation.service import OnlineService, Pages

__all__ = ["simulate_users", "user_sums"]

Floats = npt.NDArray[np.float64]


def user_sums(pages: Pages, users: int) -> Floats:
    """What `tfrec online` adds up from the same pages' log: float64 [users, len(SUMS)].

    Args:
        pages: Simulated.
        users: Whom pages were asked for; one without pages has zeros.
    """
    slots = pages.click.shape[1]
    by_page = {
        "requests": np.ones(len(pages.unit)),
        "items": np.full(len(pages.unit), float(slots)),
        "clicks": pages.click.sum(axis=1),
        "converted": pages.converted.any(axis=1),
        "dwell": pages.dwell.sum(axis=1),
        "satisfaction": pages.sentiment.sum(axis=1),
        "ratings": pages.rated.sum(axis=1),
    }
    sums = np.zeros((users, len(SUMS)))
    sums[:, column("users")] = 1
    for name, values in by_page.items():
        sums[:, column(name)] = np.bincount(pages.unit, weights=values, minlength=users)
    return sums


def simulate_users(
    service: OnlineService, before: Floats, after: Floats, users: int, rng: np.random.Generator
) -> Floats:
    """User sums of people who read under one policy, then under another.

    Args:
        service: Theirs.
        before: The policy of the time before; its sums are the past for CUPED.
        after: The policy of the experiment's arm.
        users: How many, drawn from the service's readers.
        rng: Of all draws.

    Returns:
        float64 [users, len(COLUMNS)].
    """
    readers = rng.integers(0, service.readers, users)
    past = user_sums(service.draw(before, readers, rng), users)
    now = user_sums(service.draw(after, readers, rng), users)
    found = np.concatenate([now, past[:, 1:]], axis=1)
    assert found.shape[1] == len(COLUMNS)
    return found
