"""Variables in one file, written whole or not at all."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tfrec.errors import RunError

__all__ = ["load_arrays", "load_variables", "save_variables", "write_atomically"]

_META = "meta"


def write_atomically(path: Path, content: bytes) -> None:
    """Writes a file beside its place and moves it there, so that no one sees half of it.

    Raises:
        OSError: The disk is full or not writable; what was there before stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def save_variables(path: Path, variables: Sequence[Any], meta: Mapping[str, Any]) -> None:
    """Saves variables by position and name.

    Args:
        path: An `.npz` file, replaced whole.
        variables: Keras variables.
        meta: JSON values to go with them.

    Raises:
        RunError: It can't be written; the file that was there stays whole.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.stem}.{os.getpid()}.npz")
    arrays = {
        f"{place:05d} {variable.path.replace('/', ':')}": variable.numpy()
        for place, variable in enumerate(variables)
    }
    arrays[_META] = np.frombuffer(json.dumps(dict(meta)).encode(), np.uint8)
    try:
        with partial.open("wb") as file:
            np.savez(file, **arrays)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        raise RunError(
            str(path),
            "a checkpoint must be writable; the one before it is whole",
            received=str(error),
            remedy="Free some space and run the same command with --resume",
        ) from error
    finally:
        partial.unlink(missing_ok=True)


def load_variables(path: Path, variables: Sequence[Any]) -> dict[str, Any]:
    """Restores variables, all or none.

    Args:
        path: What `save_variables` wrote.
        variables: The same ones, in the same order.

    Returns:
        The meta that was saved.

    Raises:
        RunError: The file is missing or damaged, or holds another model's variables.
    """
    arrays, meta = _read(path, lambda names: _check_same(path, names, variables))
    for array, variable in zip(arrays, variables, strict=True):
        if tuple(array.shape) != tuple(variable.shape):
            raise _other_model(path, f"{variable.path} of shape {array.shape}")
    for array, variable in zip(arrays, variables, strict=True):
        variable.assign(array)
    return dict(meta)


def load_arrays(path: Path) -> list[npt.NDArray[Any]]:
    """Reads what `save_variables` wrote, in its order.

    Raises:
        RunError: The file is missing or damaged.
    """
    return _read(path, lambda names: None)[0]


def _read(
    path: Path, check: Callable[[Sequence[str]], None]
) -> tuple[list[npt.NDArray[Any]], dict[str, Any]]:
    try:
        # A file that we open is closed also when it turns out to be no archive.
        with path.open("rb") as file, np.load(file) as content:
            names = [name for name in content.files if name != _META]
            meta = json.loads(content[_META].tobytes())
            check(names)
            return [content[name] for name in names], meta
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise RunError(
            str(path),
            "a checkpoint must be there and whole",
            received=f"{type(error).__name__}: {error}",
            remedy="Train again",
        ) from error


def _check_same(path: Path, names: Sequence[str], variables: Sequence[Any]) -> None:
    if len(names) != len(variables):
        raise _other_model(path, f"{len(names)} variables where the model has {len(variables)}")


def _other_model(path: Path, received: str) -> RunError:
    return RunError(
        str(path),
        "the checkpoint must be of the model in config.yaml",
        received=received,
        remedy="Don't change config.yaml or the data after training; train again",
    )
