"""The catalogue of a written version: which items it knows, and which of them can be found.

position   0  1  2 … trained-1 | those added since
trained    keep their places for ever: histories and towers know them by these
added      move together when one is removed
parked     known, not available now: the vector waits in `assets.extra/parked.npz`
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tfrec.catalog.columns import ItemChange, changed_columns
from tfrec.errors import ExportError
from tfrec.export.catalogue_file import CatalogueFile
from tfrec.export.string_index import index_arrays
from tfrec.export.variables import Variables
from tfrec.index.rewriting import Change, rewritten, vectors_at

__all__ = ["PARKED_FILE", "Catalogue", "Edit"]

PARKED_FILE = Path("assets.extra") / "parked.npz"
ITEMS = "items"


@dataclass(frozen=True)
class Edit:
    """What is to change.

    Attributes:
        vectors: float32 [D] by id, of items that are new or embedded anew.
        removed: Ids that go.
        parked, unparked: Ids that become unavailable, and available again.
        columns: What is said of items beside their vectors, by id.
    """

    vectors: Mapping[str, np.ndarray] = field(default_factory=dict)
    removed: frozenset[str] = frozenset()
    parked: frozenset[str] = frozenset()
    unparked: frozenset[str] = frozenset()
    columns: Mapping[str, ItemChange] = field(default_factory=dict)


class Catalogue:
    """The catalogue of a version.

    Args:
        version: Its folder.

    Attributes:
        file: `assets.extra/catalogue.json`.
        ids: By position.
        live: bool, by position: items that can be found.
        parked: float32 [D] by id.

    Raises:
        ExportError: The version can't be read.
    """

    def __init__(self, version: Path) -> None:
        self.version = version
        self.file = CatalogueFile.read(version)
        self.variables = Variables(version)
        values = self.variables.read(f"{ITEMS}/values")[:-1]
        self.ids = [value.decode() for value in values.tolist()]
        self._index = {
            name: self.variables.read(name)
            for name in self.variables.names
            if name.startswith("index/")
        }
        self.live = np.zeros(len(self.ids), bool)
        items = self._index["index/items"]
        self.live[items[items >= 0]] = True
        self.parked = _read_parked(version / PARKED_FILE)
        self.position = {item: place for place, item in enumerate(self.ids)}

    def holds(self, item: str) -> bool:
        """Whether an item is in the catalogue, available or not."""
        place = self.position.get(item)
        return place is not None and (bool(self.live[place]) or item in self.parked)

    def vectors(self, items: Sequence[str]) -> np.ndarray:
        """Vectors of items that can be found, as the index keeps them; float32 [n, D]."""
        places = np.array([self.position[item] for item in items], np.int64)
        return vectors_at(self.file.index, self._index, places)

    def write(self, version: Path, edit: Edit, base: int) -> CatalogueFile:
        """Writes the variables, the parked vectors and the catalogue file of another version.

        Args:
            version: Its folder, with this version's graph in it.
            edit: What differs.
            base: This version's number.

        Raises:
            ExportError: Nothing would be left, or a vector doesn't fit.
        """
        trained = self.file.trained
        kept = [
            place
            for place, item in enumerate(self.ids)
            if place < trained or (item not in edit.removed and self.holds(item))
        ]
        known = {self.ids[place] for place in kept}
        fresh = [item for item in edit.vectors if item not in known]
        ids = [*(self.ids[place] for place in kept), *fresh]
        parked = {
            item: vector
            for item, vector in self.parked.items()
            if item not in edit.removed | edit.unparked and item not in edit.vectors
        }
        going = sorted(edit.parked - edit.vectors.keys())
        if going:
            parked |= dict(zip(going, self.vectors(going), strict=True))
        parked |= {item: vector for item, vector in edit.vectors.items() if item in edit.parked}
        sources = np.full(len(ids), -1, np.int64)
        sources[: len(kept)] = kept
        live = np.ones(len(ids), bool)
        live[: len(kept)] = self.live[kept]
        new: list[np.ndarray] = []
        for place, item in enumerate(ids):
            if item in edit.removed or item in edit.parked:
                live[place] = False
            elif item in edit.vectors or item in edit.unparked:
                vector = edit.vectors.get(item)
                new.append(self.parked[item] if vector is None else vector)
                sources[place], live[place] = -1, True
        width = self._index.get("index/directions", self._index.get("index/vectors"))
        assert width is not None
        vectors = np.array(new, np.float32).reshape(len(new), -1 if new else width.shape[1])
        change = Change(sources, live, vectors)
        arrays, error = rewritten(self.file.index, self._index, change)
        arrays |= index_arrays(ids, ITEMS)
        # An item that is embedded anew keeps its place, and with it what is said of it.
        places = np.concatenate([np.array(kept, np.int64), np.full(len(fresh), -1, np.int64)])
        arrays |= changed_columns(self.variables, self.file, ids, places, edit.columns)
        self.variables.write(version, arrays)
        _write_parked(version / PARKED_FILE, parked)
        file = self.file.model_copy(
            update={
                "error": max(self.file.error, error),
                "base": base,
                "added": len(ids) - trained,
            }
        )
        file.write(version)
        return file


def _read_parked(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as content:
            return dict(zip(content["ids"].tolist(), content["vectors"], strict=True))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError) as error:
        raise ExportError(
            str(path),
            "vectors of items that aren't available can be read",
            received=str(error),
            remedy="Export the run again, or roll back to a version that is whole",
        ) from error


def _write_parked(path: Path, parked: Mapping[str, np.ndarray]) -> None:
    path.unlink(missing_ok=True)
    if parked:
        ids = sorted(parked)
        np.savez(path, ids=np.array(ids), vectors=np.stack([parked[item] for item in ids]))
