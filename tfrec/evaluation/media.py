"""What the report shows of an item: its name, its picture, and which media it has."""

from __future__ import annotations

import base64
import io
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tfrec.config.dataset import MEDIA
from tfrec.input import ItemTable
from tfrec.schema import DataLayout, FeatureSpec

__all__ = ["ItemMedia", "read_media"]

# Raw media beyond this are not read for a report.
_MAX_BYTES = 1_500_000_000
_THUMBNAIL = 72
_LETTERS = 60
_NAMES = ("title", "name", "headline")


@dataclass(frozen=True)
class ItemMedia:
    """Names and pictures of items.

    Attributes:
        names: object [N] of str, up to 60 letters; the id where an item has no name.
        pictures: uint8 [N, h, w, 3], or `None` when the data has none.
        present: By feature, bool [N], of the media features that were read.
    """

    names: NDArray[Any]
    pictures: NDArray[np.uint8] | None = None
    present: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)
    picture_feature: str | None = None

    def thumbnail(self, item: int) -> str | None:
        """The item's picture as a `data:` address of a small JPEG; `None` without one."""
        if self.pictures is None or self.picture_feature is None:
            return None
        if not self.present[self.picture_feature][item]:
            return None
        from PIL import Image

        picture = Image.fromarray(self.pictures[item])
        picture.thumbnail((_THUMBNAIL, _THUMBNAIL))
        out = io.BytesIO()
        picture.save(out, "JPEG", quality=80)
        return "data:image/jpeg;base64," + base64.b64encode(out.getvalue()).decode()


def read_media(data: str | Path) -> ItemMedia:
    """Reads names, the first image feature, and which items have which media.

    Media that would need more than 1.5 GB are passed over: the report then has no pictures of them
    and no slice.

    Args:
        data: The prepared data directory.

    Raises:
        DataError: The directory holds no finished data.
    """
    manifest = DataLayout(data).read_manifest()
    texts = [spec.name for spec in manifest.item_features if spec.modality == "text"]
    title = next((name for name in _NAMES if name in texts), texts[0] if texts else None)
    media = [
        spec
        for spec in manifest.item_features
        if spec.modality in MEDIA and _bytes(spec) * manifest.items <= _MAX_BYTES
    ]
    pictures = next((spec.name for spec in media if spec.modality == "image"), None)
    names = None
    present: dict[str, NDArray[np.bool_]] = {}
    picture = None
    # One feature at a time, so that only the pictures stay in memory.
    for spec in media:
        loaded = ItemTable.load(data, features=[spec.name])
        present[spec.name] = loaded.present[spec.name]
        if spec.name == pictures:
            picture = loaded.features[spec.name]
        names = loaded.ids
    if title is not None:
        loaded = ItemTable.load(data, features=[title])
        words = loaded.features[title]
        names = np.array(
            [_short(word) or item for word, item in zip(words, loaded.ids, strict=True)], object
        )
    if names is None:
        names = ItemTable.load(data, features=[]).ids
    return ItemMedia(names, picture, present, pictures)


def _short(text: str) -> str:
    """What a long text starts with: its first sentence, cut at a word.

    Columns are joined by ". ", so a text of title and plot gives the title.
    """
    return textwrap.shorten(text.partition(". ")[0], _LETTERS, placeholder="…")


def _bytes(spec: FeatureSpec) -> float:
    """Size of the raw form of one item."""
    config = spec.config
    height, width = config.size
    if spec.modality == "image":
        return height * width * 3
    if spec.modality == "video":
        return config.frames * height * width * 3
    return config.sample_rate * config.seconds * 2
