"""Puts a finished version where a server looks, all at once or not at all.

    MODELS/NAME/.publishing-7-4242/    written here: no server reads a name that is no number
    MODELS/NAME/7/                     renamed to, when everything in it was proved

`saved_model.pb` is moved into place last inside the folder too, so that a copy by a tool that
doesn't rename (an object store) is never taken for a whole version. A publisher that dies leaves
only the hidden folder, and the next one clears it away.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tfrec.errors import DescriptionError, ExportError

__all__ = ["list_versions", "publishing"]

_PREFIX = ".publishing-"
_GRAPH, _HELD_BACK = "saved_model.pb", ".saved_model.pb"


def list_versions(model: Path) -> list[int]:
    """Numbers of the versions in a model's folder, ascending; none where there is no folder."""
    if not model.is_dir():
        return []
    return sorted(
        int(child.name)
        for child in model.iterdir()
        if child.is_dir() and child.name.isdecimal() and child.name.isascii()
    )


@contextmanager
def publishing(model: Path, version: int | None = None) -> Iterator[tuple[int, Path]]:
    """Gives a folder to write a version to, and publishes it when the block ends well.

    Args:
        model: `MODELS/NAME`, made when it isn't there.
        version: Its number; the latest one and 1 unless given.

    Yields:
        The number and the folder.

    Raises:
        DescriptionError: The number isn't positive, or is taken.
        ExportError: The folder can't be written.
    """
    taken = list_versions(model)
    number = (taken[-1] + 1 if taken else 1) if version is None else version
    if number < 1 or number in taken:
        raise DescriptionError(
            "--version",
            "a version is a positive number that isn't taken",
            received=number,
            remedy=f"Taken: {', '.join(map(str, taken)) or 'none'}; leave it out for the next one",
        )
    try:
        model.mkdir(parents=True, exist_ok=True)
        _clear_abandoned(model)
        folder = model / f"{_PREFIX}{number}-{os.getpid()}"
        folder.mkdir()
    except OSError as error:
        raise _unwritable(model, error) from error
    try:
        yield number, folder
        _put_in_place(folder, model / str(number))
    except OSError as error:
        raise _unwritable(model, error) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _put_in_place(folder: Path, target: Path) -> None:
    if not (folder / _GRAPH).is_file():
        raise ExportError(
            str(target), f"a version holds {_GRAPH}", received="none", remedy="Export again"
        )
    for path in folder.rglob("*"):
        if path.is_file():
            _flush(path)
    (folder / _GRAPH).rename(folder / _HELD_BACK)
    # A rename onto a folder that holds files fails, so that of two publishers only one wins.
    folder.rename(target)
    (target / _HELD_BACK).rename(target / _GRAPH)
    _flush(target)
    _flush(target.parent)


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _clear_abandoned(model: Path) -> None:
    for child in model.glob(f"{_PREFIX}*"):
        process = child.name.rpartition("-")[2]
        # Another publisher may be at work; its folder is its own.
        if not process.isdecimal() or not _is_alive(int(process)):
            shutil.rmtree(child, ignore_errors=True)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return process != os.getpid()


def _unwritable(model: Path, error: OSError) -> ExportError:
    return ExportError(
        str(model),
        "a version can be written here",
        received=f"{error.strerror or error}",
        remedy="Free space or change the permissions; versions published before are untouched",
    )
