"""The ground truth of a simulated service: for tests of what a model found, never for training."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

__all__ = ["Truth"]

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Truth:
    """What the simulation knows and no model may see: `OUT/truth.npz`.

    No dataset description names the file, so no command reads it.

    Attributes:
        item_ids, user_ids: Text [items] and [users], in the order of every other array.
        item_latents: float32 [items, D].
        user_tastes: float32 [users, D], on the last day.
        scale: float32 [D], factor of each dimension in the affinity.
        blocks: Text [D], the name of the block that each dimension belongs to.
        affinity: float16 [users, items], on the last day; of unit variance.
        release: int64 [items], Unix seconds.
        cold: bool [items], whether an item's release lies in the test part.
    """

    item_ids: npt.NDArray[np.str_]
    user_ids: npt.NDArray[np.str_]
    item_latents: Floats
    user_tastes: Floats
    scale: Floats
    blocks: npt.NDArray[np.str_]
    affinity: npt.NDArray[np.float16]
    release: npt.NDArray[np.int64]
    cold: npt.NDArray[np.bool_]

    def block(self, name: str) -> Floats:
        """An item's latents of one block: float32 [items, width]."""
        return self.item_latents[:, self.blocks == name]

    def save(self, path: Path) -> None:
        """Writes the arrays to an .npz file."""
        np.savez(path, **vars(self))

    @classmethod
    def load(cls, path: str | Path) -> Truth:
        """Reads `truth.npz`."""
        with np.load(path) as arrays:
            return cls(**{name: arrays[name] for name in cls.__dataclass_fields__})
