"""Begin where another run ended, on data that has grown: `tfrec train DATA RUN --from OLD`.

A row of a table belongs to a value: an item's or user's id, a category. So rows go over by value
and not by position; what is new keeps the weights that every new model begins with, and is learned
from its first event on. Weights that are no rows of values go over as they are. The optimizers'
memory begins anew.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tfrec import schema
from tfrec.errors import RunError
from tfrec.model import NeuralView, TwoTower
from tfrec.schema import DataLayout, Manifest
from tfrec.towers import NeighboursTower
from tfrec.training.checkpoints import load_arrays, write_atomically

__all__ = ["keep_vocabularies", "warm_start"]

_FILE = "vocabularies.json"


def keep_vocabularies(folder: Path, data: Path, manifest: Manifest) -> None:
    """Writes the values behind tables' rows, by name, beside a run's checkpoints.

    Args:
        folder: `RUN/checkpoints`.
        data: The prepared data.
        manifest: Of it.
    """
    content = {name: _lines(path) for name, path in _vocabularies(data, manifest).items()}
    write_atomically(folder / _FILE, json.dumps(content, ensure_ascii=False).encode())


def warm_start(model: TwoTower, source: Path, data: Path, manifest: Manifest) -> str:
    """Gives a new model the weights of an old run, row by row of the same value.

    Args:
        model: Its weights made; of the configuration that the old run had.
        source: The old run.
        data: The new prepared data.
        manifest: Of it.

    Returns:
        A line for the person: how much went over.

    Raises:
        RunError: The old run isn't there, or its model is another one.
    """
    path = source / "checkpoints" / _FILE
    try:
        old: dict[str, list[str]] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunError(
            str(path),
            "a run to begin from has the vocabularies of its tables",
            received=type(error).__name__,
            remedy="Train it with this version of tfrec first",
        ) from error
    best = source / "checkpoints" / "best.npz"
    arrays = load_arrays(best)
    if len(arrays) != len(model.variables):
        raise _another(best, f"{len(model.variables)} weights", f"{len(arrays)} weights")
    named = _rows_of_values(model, manifest)
    new = {name: _lines(where) for name, where in _vocabularies(data, manifest).items()}
    neighbours = _neighbours(model)
    moved, kept = 0, 0
    for variable, array in zip(model.variables, arrays, strict=True):
        # What isn't trained, as the content of histories, is made of the new data; and with other
        # anchors, rows of neighbours stand for other items.
        if not variable.trainable or id(variable) in neighbours:
            continue
        name, shape = named.get(id(variable)), tuple(variable.shape)
        if array.shape[1:] != shape[1:] or (name is None and array.shape != shape):
            raise _another(best, f"{variable.path} of shape {shape}", f"shape {array.shape}")
        if name is None:
            variable.assign(array)
            continue
        values, found = _over(np.array(variable.numpy()), array, old.get(name, []), new[name])
        variable.assign(values)
        if name == schema.ITEM_ID:
            moved, kept = max(moved, found), len(new[name])
    return f"from {source}: {moved:,} of {kept:,} items go on with what they had learned"


def _another(path: Path, wanted: str, received: str) -> RunError:
    return RunError(
        str(path),
        f"the run to begin from must be of the same model: {wanted}",
        received=received,
        remedy="Give the configuration that it was trained with, RUN/config.yaml, by --config",
    )


def _over(
    values: npt.NDArray[Any], array: npt.NDArray[Any], old: Sequence[str], new: Sequence[str]
) -> tuple[npt.NDArray[Any], int]:
    """Rows of `array` to where their values are now; rows before the first value go over too."""
    first = len(values) - len(new)
    values[:first] = array[:first]
    place = {value: row for row, value in enumerate(old, start=first)}
    rows = np.array([place.get(value, -1) for value in new], np.int64)
    known = np.flatnonzero((rows >= 0) & (rows < len(array)))
    values[known + first] = array[rows[known]]
    return values, len(known)


def _rows_of_values(model: TwoTower, manifest: Manifest) -> dict[int, str]:
    """By variable's identity, the vocabulary that its rows stand for."""
    view = model.views["neural"]
    assert isinstance(view, NeuralView)
    found = {}
    for name in ("item_table", "bias_table", "history_table"):
        if hasattr(view, name):
            found[id(getattr(view, name).table)] = schema.ITEM_ID
    if hasattr(view, "user_table"):
        found[id(view.user_table.table)] = schema.USER_ID
    towers = {**view.item_towers, **view.profile_towers, **view.context_towers}
    groups = (manifest.item_features, manifest.user_features, manifest.context_features)
    for spec in (spec for group in groups for spec in group):
        if spec.vocabulary and spec.name in towers:
            for variable in towers[spec.name].trainable_variables:
                if variable.path.rpartition("/")[2] in ("table", "tag_weights"):
                    found[id(variable)] = spec.name
    return found


def _neighbours(model: TwoTower) -> set[int]:
    """Identities of tables whose rows are places in a graph."""
    view = model.views["neural"]
    assert isinstance(view, NeuralView)
    towers = view.item_towers.values()
    return {id(tower.learned) for tower in towers if isinstance(tower, NeighboursTower)}


def _vocabularies(data: Path, manifest: Manifest) -> dict[str, Path]:
    layout = DataLayout(data)
    found = {name: layout.vocabulary(name) for name in (schema.ITEM_ID, schema.USER_ID)}
    groups = (manifest.item_features, manifest.user_features, manifest.context_features)
    for spec in (spec for group in groups for spec in group):
        if spec.vocabulary and (layout.root / spec.vocabulary).is_file():
            found[spec.name] = layout.root / spec.vocabulary
    return found


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").split("\n")[:-1]
