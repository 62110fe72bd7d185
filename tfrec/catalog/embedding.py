"""Raw items to vectors by an export's own `embed_item`, in batches, and never twice.

Each batch's vectors are kept in `MODELS/NAME/.catalog-TOWERS/`, named by a hash of the towers and
of the cells they came from, until a version is published. A run that was interrupted finds them.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from preprocessing.raw_items import RawItems
from tfrec.catalog.texts import text_vectors
from tfrec.config.dataset import MEDIA
from tfrec.errors import ExportError
from tfrec.export.catalogue_file import CatalogueFile
from tfrec.export.session import ServedModel

__all__ = ["MEDIA_ROWS", "TEXT_ROWS", "Embedded", "embed", "journal_of"]

# A request stays well below gRPC's limits, and a killed run loses seconds.
MEDIA_ROWS, TEXT_ROWS = 64, 512


@dataclass(frozen=True)
class Embedded:
    """Vectors of items.

    Attributes:
        rows: int [n], rows of the file that could be embedded: they have at least one feature.
        vectors: float32 [n, D].
        parts: float32 [n, parts, D], where the version can take vectors apart.
        texts: float32 [n, texts, E], where the version can search.
        encoded: How many were computed now; the others an interrupted run had left.
    """

    rows: np.ndarray
    vectors: np.ndarray
    parts: np.ndarray | None
    texts: np.ndarray | None
    encoded: int


def journal_of(model: Path, file: CatalogueFile) -> Path:
    """The folder with vectors of interrupted runs."""
    return model / f".catalog-{file.towers}"


def embed(
    version: Path,
    file: CatalogueFile,
    items: RawItems,
    rows: np.ndarray,
    journal: Path,
    say: Callable[[int, int], None] = lambda done, of: None,
) -> Embedded:
    """Embeds rows of a file.

    Args:
        version: The version whose `embed_item` is asked.
        file: Its catalogue file.
        items: The file.
        rows: int [m], which rows.
        journal: Where finished batches are kept.
        say: Takes how many are done, and of how many.

    Raises:
        ExportError: The version can't embed items.
    """
    journal.mkdir(exist_ok=True)
    media = any(items.features[n].modality in MEDIA for n in file.embedded if n in items.features)
    size = MEDIA_ROWS if media else TEXT_ROWS
    found: list[dict[str, np.ndarray]] = []
    places, encoded, done = [], 0, 0
    with ServedModel(version) as served:
        definition = served.signatures.get("embed_item")
        if definition is None:
            raise ExportError(
                str(version),
                "a version to add items to embeds them by their content",
                received="a model of ids alone, without `embed_item`",
                remedy="Train with item features",
            )
        for part, cells in items.batches(rows, size):
            path = journal / f"{_digest(file, cells, len(part))}.npz"
            answer = _kept(path)
            if answer is None:
                inputs = {
                    name: _input(file, name, cells.get(name), len(part), tuple(info_shape))
                    for name, info_shape in _shapes(definition).items()
                }
                answer = dict(served.run("embed_item", inputs))
                if "item_parts" in served.signatures:
                    answer["parts"] = served.run("item_parts", inputs)["parts"]
                if file.texts:
                    answer["texts"] = text_vectors(served, file.texts, cells, len(part))
                _keep(path, answer)
                encoded += len(part)
            found.append(answer)
            places.append(part)
            done += len(part)
            say(done, len(rows))
    width = definition.outputs["embedding"].tensor_shape.dim[-1].size
    if not found:
        nothing = np.zeros((0, max(width, 0)), np.float32)
        return Embedded(np.zeros(0, np.int64), nothing, None, None, 0)
    present = np.concatenate([answer["present"] for answer in found]).any(1)
    vectors = np.concatenate([answer["embedding"] for answer in found])
    more = {
        name: np.concatenate([answer[name] for answer in found])[present]
        if name in found[0]
        else None
        for name in ("parts", "texts")
    }
    return Embedded(np.concatenate(places)[present], vectors[present], **more, encoded=encoded)


def _shapes(definition: Any) -> dict[str, list[int]]:
    return {
        name: [dim.size for dim in info.tensor_shape.dim]
        for name, info in definition.inputs.items()
    }


def _input(
    file: CatalogueFile, name: str, cells: list[Any] | None, rows: int, shape: tuple[int, ...]
) -> np.ndarray:
    """Cells of a feature as the signature takes them; `None` is a column that the file lacks."""
    modality = file.features[name].modality
    cells = [None] * rows if cells is None else cells
    if modality == "numeric":
        return np.array([np.nan if cell is None else cell for cell in cells], np.float32)
    if modality == "embedding":
        nothing = [np.nan] * shape[1]
        return np.array([nothing if cell is None else cell for cell in cells], np.float32)
    if modality == "tags":
        lists = [[_bytes(tag) for tag in cell or ()] for cell in cells]
        width = max(1, *map(len, lists))
        tags = np.full((rows, width), b"", object)
        for row, values in enumerate(lists):
            tags[row, : len(values)] = values
        return tags
    if modality == "video":
        frames = np.full((rows, shape[1]), b"", object)
        for row, cell in enumerate(cells):
            if cell is not None:
                frames[row] = [tf.io.encode_png(frame).numpy() for frame in cell]
        return frames
    column = np.empty(rows, object)
    column[:] = [_bytes(cell) for cell in cells]
    return column


def _bytes(cell: Any) -> bytes:
    if cell is None:
        return b""
    return cell.encode() if isinstance(cell, str) else bytes(cell)


def _digest(file: CatalogueFile, cells: Mapping[str, list[Any]], rows: int) -> str:
    digest = hashlib.sha256(f"{file.towers} {rows}".encode())
    for name in (*file.embedded, *file.texts):
        digest.update(f"\0{name}\0".encode())
        for cell in cells.get(name, []):
            if isinstance(cell, np.ndarray):
                cell = cell.tobytes()
            data = cell if isinstance(cell, bytes) else repr(cell).encode()
            digest.update(f"{len(data)} ".encode() + data)
    return digest.hexdigest()[:32]


def _kept(path: Path) -> dict[str, np.ndarray] | None:
    try:
        # Opened here: of a file that is cut short NumPy leaves its own open.
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as content:
            return dict(content)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):
        # Cut short by what interrupted the run.
        path.unlink(missing_ok=True)
        return None


def _keep(path: Path, answer: Mapping[str, np.ndarray]) -> None:
    partial = path.with_suffix(".partial.npz")
    np.savez(partial, **answer)  # type: ignore[arg-type]
    partial.replace(path)
