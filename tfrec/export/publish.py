"""Puts a finished version where a server looks, all at once or not at all; and takes it back.

    MODELS/NAME/.publishing-7-4242/    written here: no server reads a name that is no number
    MODELS/NAME/7/                     renamed to, when everything in it was proved
    MODELS/NAME/.withdrawn-7/          renamed to by a rollback: 6 is the newest again
    MODELS/NAME/labels.json            canary is the newest, stable what was promoted

`saved_model.pb` is moved into place last inside the folder too, so that a copy by a tool that
doesn't rename (an object store) is never taken for a whole version. A publisher that dies leaves
only the hidden folder, and the next one clears it away; or a version whose graph isn't in place
yet, and the next one puts it there. Numbers are never used again.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tfrec.errors import DescriptionError, ExportError
from tfrec.published import check_manifest, read_labels, write_labels, write_manifest

__all__ = [
    "CANARY",
    "STABLE",
    "Rollback",
    "list_versions",
    "prune",
    "publishing",
    "roll_back",
    "set_label",
    "withdrawn_versions",
]

CANARY, STABLE = "canary", "stable"
_PREFIX, _WITHDRAWN = ".publishing-", ".withdrawn-"
_GRAPH, _HELD_BACK = "saved_model.pb", ".saved_model.pb"


def list_versions(model: Path) -> list[int]:
    """Numbers of the versions in a model's folder, ascending; none where there is no folder."""
    return _numbers(model, "")


def withdrawn_versions(model: Path) -> list[int]:
    """Numbers of the versions that rollbacks took back, ascending."""
    return _numbers(model, _WITHDRAWN)


@contextmanager
def publishing(
    model: Path, version: int | None = None, *, key: bytes | None = None
) -> Iterator[tuple[int, Path]]:
    """Gives a folder to write a version to, and publishes it when the block ends well.

    The manifest of its files is written then. `canary` names it afterwards, and `stable` too when
    no version has that label yet.

    Args:
        model: `MODELS/NAME`, made when it isn't there.
        version: Its number; the latest one and 1 unless given.
        key: What its manifest is signed with.

    Yields:
        The number and the folder.

    Raises:
        DescriptionError: The number isn't positive, or is taken.
        ExportError: The folder can't be written.
    """
    try:
        _finish_interrupted(model)
    except OSError as error:
        raise _unwritable(model, error) from error
    taken = sorted({*list_versions(model), *withdrawn_versions(model)})
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
        if (folder / _GRAPH).is_file():
            write_manifest(folder, number, key)
        _put_in_place(folder, model / str(number))
        labels = read_labels(model)
        write_labels(model, {STABLE: number, **labels, CANARY: number})
    except OSError as error:
        raise _unwritable(model, error) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def set_label(model: Path, label: str, version: int) -> None:
    """Makes a label name a version.

    Args:
        model: `MODELS/NAME`.
        label: `stable`, `canary` or any other word; `latest` names itself.
        version: A published version.

    Raises:
        DescriptionError: The label is no word, or the version isn't there.
    """
    versions = list_versions(model)
    if not label.isidentifier() or label == "latest":
        raise DescriptionError(
            "--label",
            "a label is a word other than `latest`",
            received=label,
            remedy="Write --label stable=3",
        )
    if version not in versions:
        raise DescriptionError(
            "--label",
            "a label names a published version",
            received=version,
            remedy=f"Published: {', '.join(map(str, versions)) or 'none'}",
        )
    write_labels(model, {**read_labels(model), label: version})


@dataclass(frozen=True)
class Rollback:
    """What a rollback did.

    Attributes:
        version: The newest version now.
        withdrawn: Versions that were taken back.
        labels: Where labels are now.
    """

    version: int
    withdrawn: tuple[int, ...]
    labels: dict[str, int]


def roll_back(model: Path, to: int | None = None) -> Rollback:
    """Makes an earlier version the newest one again.

    Later ones are renamed, so that every server that takes the latest version goes back, the stock
    one too; labels that named them move along.

    Args:
        model: `MODELS/NAME`.
        to: The version to go back to; the one before the newest unless given. A withdrawn one comes
            back.

    Raises:
        DescriptionError: There is no such version.
        ExportError: Its files aren't as they were published, or the folder can't be written.
    """
    versions, gone = list_versions(model), withdrawn_versions(model)
    known = sorted({*versions, *gone})
    target = to if to is not None else (versions[-2] if len(versions) > 1 else None)
    if target is None or target not in known:
        raise DescriptionError(
            "--to",
            "a rollback goes to a version that was published before",
            received="no earlier one" if target is None else target,
            remedy=f"Published: {', '.join(map(str, versions)) or 'none'};"
            f" withdrawn: {', '.join(map(str, gone)) or 'none'}",
        )
    back = target in gone and target not in versions
    # A version that was damaged since must not become the one that serves.
    check_manifest(model / (f"{_WITHDRAWN}{target}" if back else str(target)), target)
    later = tuple(number for number in versions if number > target)
    labels = read_labels(model)
    try:
        if back:
            (model / f"{_WITHDRAWN}{target}").rename(model / str(target))
        # Labels first: a server never looks for one whose version is gone.
        labels = {name: target if number in later else number for name, number in labels.items()}
        write_labels(model, labels)
        for number in reversed(later):
            (model / str(number)).rename(model / f"{_WITHDRAWN}{number}")
        _flush(model)
    except OSError as error:
        raise _unwritable(model, error) from error
    return Rollback(target, later, labels)


def prune(model: Path, keep: int) -> tuple[int, ...]:
    """Removes old versions.

    Args:
        model: `MODELS/NAME`.
        keep: How many of the newest stay, at least 1. Labelled ones stay too; withdrawn ones beyond
            as many go.

    Returns:
        The numbers that went, ascending.

    Raises:
        DescriptionError: `keep` is less than 1.
        ExportError: A folder can't be removed.
    """
    if keep < 1:
        raise DescriptionError(
            "--keep", "at least one version stays", received=keep, remedy="Keep 1 or more"
        )
    labelled = set(read_labels(model).values())
    old = [number for number in list_versions(model)[:-keep] if number not in labelled]
    gone = withdrawn_versions(model)[:-keep]
    try:
        for number in old:
            # Renamed first, so that no server meets half a version.
            doomed = model / f"{_PREFIX}{number}-0"
            (model / str(number)).rename(doomed)
            shutil.rmtree(doomed)
        for number in gone:
            shutil.rmtree(model / f"{_WITHDRAWN}{number}")
    except OSError as error:
        raise _unwritable(model, error) from error
    return tuple(sorted({*old, *gone}))


def _numbers(model: Path, prefix: str) -> list[int]:
    if not model.is_dir():
        return []
    names = [
        child.name.removeprefix(prefix) for child in model.glob(f"{prefix}*") if child.is_dir()
    ]
    return sorted(int(name) for name in names if name.isdecimal() and name.isascii())


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


def _finish_interrupted(model: Path) -> None:
    """Puts the graph in place where a publisher was killed between its last two renames."""
    for number in list_versions(model):
        held_back, graph = model / str(number) / _HELD_BACK, model / str(number) / _GRAPH
        if held_back.is_file() and not graph.exists():
            held_back.rename(graph)


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
    # 0 is what pruning leaves, and stands for a group of processes in `kill`.
    if process == 0:
        return False
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
