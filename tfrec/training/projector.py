"""Item vectors with titles and thumbnails for TensorBoard's embedding projector.

In `RUN/tensorboard`: `projector_config.pbtxt` names `items.tsv` (a vector a line), `titles.tsv`
(id, title, positives in training, a line each under a header), and `thumbnails.png` (a square sheet
of pictures, row by row), where the catalogue has pictures.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from tfrec.input import ItemTable
from tfrec.training.checkpoints import write_atomically

__all__ = ["write_projector"]

# What a browser draws at ease, and the projector's own limit for a sheet of pictures.
_ITEMS = 5_000
_THUMBNAIL, _SHEET = 64, 8_192


def write_projector(folder: Path, items: ItemTable, vectors: npt.NDArray[np.float32]) -> int:
    """Writes the most frequent items' vectors.

    Args:
        folder: Where TensorBoard's `--logdir` points.
        items: The catalogue; its first text feature is the title, its first image the picture,
            where their raw forms were loaded.
        vectors: float32 [N, D].

    Returns:
        How many items were written.
    """
    rows = np.sort(np.argsort(-items.train_count, kind="stable")[:_ITEMS])
    lines = ["\t".join(f"{number:.6g}" for number in vectors[row]) for row in rows]
    _write(folder / "items.tsv", lines)
    title = next(
        (n for n, s in items.specs.items() if s.modality == "text" and n in items.features), None
    )
    header = "id\ttitle\tpositives"
    told = [
        f"{_clean(items.ids[row])}\t{_title(items, title, row)}\t{items.train_count[row]}"
        for row in rows
    ]
    _write(folder / "titles.tsv", [header, *told])
    config = ["embeddings {", '  tensor_name: "items"', '  tensor_path: "items.tsv"']
    config += ['  metadata_path: "titles.tsv"']
    picture = next(
        (n for n, s in items.specs.items() if s.modality == "image" and n in items.features), None
    )
    if picture is not None:
        size = min(_THUMBNAIL, _SHEET // int(np.ceil(np.sqrt(len(rows)))))
        sheet = _sheet(items.features[picture][rows], items.present[picture][rows], size)
        write_atomically(folder / "thumbnails.png", sheet)
        config += ["  sprite {", '    image_path: "thumbnails.png"']
        config += [f"    single_image_dim: {size}", f"    single_image_dim: {size}", "  }"]
    _write(folder / "projector_config.pbtxt", [*config, "}"])
    return len(rows)


def _write(path: Path, lines: list[str]) -> None:
    write_atomically(path, ("\n".join(lines) + "\n").encode())


def _clean(text: object) -> str:
    return " ".join(str(text).split())


def _title(items: ItemTable, name: str | None, row: int) -> str:
    if name is None or not items.present[name][row]:
        return _clean(items.ids[row])
    return _clean(items.features[name][row])[:80] or _clean(items.ids[row])


def _sheet(pictures: npt.NDArray[Any], present: npt.NDArray[np.bool_], size: int) -> bytes:
    """A square of as many rows as columns; grey where there is no picture."""
    side = int(np.ceil(np.sqrt(max(len(pictures), 1))))
    sheet = Image.new("RGB", (side * size, side * size), (128, 128, 128))
    for place in np.flatnonzero(present).tolist():
        small = Image.fromarray(pictures[place]).resize((size, size))
        sheet.paste(small, (place % side * size, place // side * size))
    buffer = io.BytesIO()
    sheet.save(buffer, format="png")
    return buffer.getvalue()
