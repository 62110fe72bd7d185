"""The prepared data that rules look at, read once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tfrec.config.dataset import MEDIA
from tfrec.input import ItemTable, Timelines
from tfrec.schema import COMMENTS, SPLITS, DataLayout, Manifest, Split

__all__ = ["Audited"]


@dataclass(frozen=True)
class Audited:
    """Prepared data.

    Attributes:
        layout: Where it lies.
        manifest: What it says of itself.
        items: The catalogue; raw media are left out.
        parts: Events by split.
    """

    layout: DataLayout
    manifest: Manifest
    items: ItemTable
    parts: dict[Split, Timelines]

    @classmethod
    def load(cls, data: str | Path) -> Audited:
        """Reads a prepared data directory.

        Raises:
            DataError: It holds no finished data.
            CorruptDataError: A file is damaged, or disagrees with the manifest.
        """
        layout = DataLayout(data)
        manifest = layout.read_manifest()
        names = [
            spec.name
            for spec in manifest.item_features
            if spec.modality not in MEDIA or spec.encoded_dim is not None
        ]
        items = ItemTable.load(data, features=names, raw=False)
        if COMMENTS in names and COMMENTS not in items.features:
            raw = ItemTable.load(data, features=[COMMENTS]).features
            items = ItemTable(**{**vars(items), "features": {**items.features, **raw}})
        parts = {split: Timelines.load(data, split) for split in SPLITS}
        return cls(layout, manifest, items, parts)

    @property
    def train(self) -> Timelines:
        """The train part."""
        return self.parts["train"]

    @property
    def trained_items(self) -> NDArray[np.bool_]:
        """Items with any event in the train part, bool [N]: what may be learnt from."""
        return np.bincount(self.train.item_index, minlength=len(self.items)) > 0
