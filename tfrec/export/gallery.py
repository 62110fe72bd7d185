"""What a person sees of a catalogue: names, labels and small pictures, beside the graph.

    assets.extra/gallery.zip    about.json     users to try, features to filter by, raw inputs
                                items.json     ids, titles, labels
                                pictures/7.jpg of the item at position 7

Only the page of `tfrec serve --ui` reads it; a server ignores it.
"""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfrec.export.source import ItemColumns, ServingSource
from tfrec.input import ItemTable
from tfrec.schema import FeatureSpec
from tfrec.training import Run

__all__ = ["GALLERY_FILE", "write_gallery"]

GALLERY_FILE = Path("assets.extra") / "gallery.zip"

_SIDE = 96
_USERS, _VALUES, _LABELS = 200, 60, 8


def write_gallery(run: Run, source: ServingSource, version: Path, pictures: int) -> int:
    """Writes the gallery of a version.

    Args:
        run: The trained run.
        source: What the version was built from.
        version: Its folder.
        pictures: At most so many, of the items with most behaviour first.

    Returns:
        How many pictures there are.
    """
    assert source.columns is not None
    path = version / GALLERY_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    drawn = 0
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("about.json", json.dumps(_about(source, source.columns)))
        archive.writestr("items.json", json.dumps(_items(source, source.columns)))
        for position, picture in _pictures(run, pictures):
            # JPEG doesn't shrink any further.
            archive.writestr(f"pictures/{position}.jpg", picture, zipfile.ZIP_STORED)
            drawn += 1
    return drawn


def _about(source: ServingSource, columns: ItemColumns) -> dict[str, Any]:
    features: dict[str, Any] = {}
    for name, labels in columns.labels.items():
        counts = np.bincount(labels[labels >= 0], minlength=len(columns.values[name]))
        usual = np.argsort(-counts, kind="stable")[:_VALUES]
        features[name] = {"values": [columns.values[name][i] for i in usual if counts[i]]}
    for name, numbers in columns.numbers.items():
        if not np.isnan(numbers).all():
            bounds = [float(np.nanmin(numbers)), float(np.nanmax(numbers))]
            features[name] = {"least": bounds[0], "most": bounds[1]}
    count = len(source.users.ids)
    chosen = np.linspace(0, max(count - 1, 0), min(_USERS, count)).astype(int)
    return {
        "users": [str(source.users.ids[row]) for row in chosen],
        "features": features,
        "inputs": [_input(spec) for spec in source.item_features],
    }


def _input(spec: FeatureSpec) -> dict[str, Any]:
    widths = {"video": spec.config.frames, "embedding": spec.config.dimension}
    return {"name": spec.name, "modality": spec.modality, "width": widths.get(spec.modality)}


def _items(source: ServingSource, columns: ItemColumns) -> dict[str, Any]:
    rows = len(columns.titles)
    labels: list[list[str]] = [[] for _ in range(rows)]
    for name, column in columns.labels.items():
        values = columns.values[name]
        for row, places in enumerate(column.reshape(rows, -1).tolist()):
            labels[row] += [values[place] for place in places if place >= 0]
    return {
        "ids": [str(item) for item in source.item_ids],
        "titles": [str(title) for title in columns.titles],
        "labels": [row[:_LABELS] for row in labels],
    }


def _pictures(run: Run, most: int) -> list[tuple[int, bytes]]:
    specs = [s for s in run.manifest.item_features if s.modality in ("image", "video")]
    if not specs or not most:
        return []
    first = min(specs, key=lambda spec: spec.modality != "image")
    table = ItemTable.load(run.data, features=[first.name])
    there = np.flatnonzero(table.present[first.name])
    usual = there[np.argsort(-table.train_count[there], kind="stable")][:most]
    frames = table.features[first.name]
    return [(int(row), _small(_still(frames[row]))) for row in sorted(usual)]


def _still(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    return pixels[len(pixels) // 2] if pixels.ndim == 4 else pixels


def _small(pixels: npt.NDArray[np.uint8]) -> bytes:
    small = tf.image.resize(pixels, (_SIDE, _SIDE), antialias=True, preserve_aspect_ratio=True)
    whole = tf.cast(tf.clip_by_value(tf.round(small), 0, 255), tf.uint8)
    return tf.io.encode_jpeg(whole, quality=85).numpy()
