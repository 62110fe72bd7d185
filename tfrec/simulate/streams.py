"""Independent random streams by name, so that one part of the simulation never shifts another."""

from __future__ import annotations

import numpy as np

from tfrec.fingerprint import fingerprint64

__all__ = ["stream"]


def stream(seed: int, *names: str | int) -> np.random.Generator:
    """A generator that depends on the seed and the names alone.

    Args:
        seed: The simulation's seed.
        *names: What the numbers are for, for example `"cover", 17`.

    Example:
        >>> stream(0, "cover", 1).random() == stream(0, "cover", 1).random()
        True
    """
    return np.random.default_rng(fingerprint64(*names, seed=seed))
