"""Publish a finished directory in one step, so that OUT is always whole: the old one or the new.

A run works in a hidden sibling of OUT. When everything is there, the manifest last, the two change
places by one system call (`renameat2` with `RENAME_EXCHANGE`), and the old one is deleted.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tfrec.errors import DataError, DescriptionError
from tfrec.schema import DataLayout

__all__ = ["Workspace", "open_workspace"]

_AT_FDCWD, _RENAME_EXCHANGE = -100, 2


@dataclass(frozen=True)
class Workspace:
    """Where a run works.

    Attributes:
        out: The directory to publish.
        folder: The hidden sibling; `data` in it becomes `out`, `work` holds what lies between.
    """

    out: Path
    folder: Path

    @property
    def data(self) -> Path:
        """What is to be published."""
        return self.folder / "data"

    @property
    def work(self) -> Path:
        """Spilled tables and results of tasks."""
        return self.folder / "work"

    @property
    def refused(self) -> Path:
        """Where refused rows go when nothing is published."""
        return self.out.with_name(self.out.name + ".rejected")

    def publish(self) -> None:
        """Makes `data` to `out`."""
        if self.out.exists():
            _exchange(self.data, self.out)
        else:
            self.data.rename(self.out)
        shutil.rmtree(self.refused, ignore_errors=True)
        self.clear()

    def keep_refused(self) -> Path | None:
        """Moves refused rows beside `out`, for a run that publishes nothing."""
        rejected = DataLayout(self.data).rejected
        if not rejected.is_dir():
            return None
        shutil.rmtree(self.refused, ignore_errors=True)
        rejected.rename(self.refused)
        return self.refused

    def clear(self) -> None:
        """Deletes the workspace."""
        shutil.rmtree(self.folder, ignore_errors=True)


@contextmanager
def open_workspace(out: Path, fingerprint: str, resume: bool) -> Iterator[Workspace]:
    """Opens the workspace of `out` for this process alone.

    Args:
        out: The directory to publish: new, empty, or prepared data, which will be replaced.
        fingerprint: What the run will do.
        resume: Whether to go on with what an equal run left, if it was broken off.

    Raises:
        DescriptionError: `out` holds something else.
        DataError: Another run is writing it, or its parent can't be written.
    """
    out = Path(os.path.abspath(out))
    if out.is_file() or (out.is_dir() and any(out.iterdir()) and not _is_ours(out)):
        raise DescriptionError(
            str(out),
            "the output is a new folder, an empty one, or earlier prepared data",
            received="a file" if out.is_file() else "a folder with other things in it",
            remedy="Name another folder",
        )
    workspace = Workspace(out, out.with_name(f".{out.name}.partial"))
    try:
        workspace.folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(workspace.folder, os.O_RDONLY)
    except OSError as error:
        raise DataError(
            str(out.parent),
            "the folder of the output must be writable",
            received=error.strerror or str(error),
            remedy="Check its permissions",
        ) from error
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise DataError(
                str(out),
                "one run writes an output at a time",
                received="another one that is running",
                remedy="Wait for it, or name another folder",
            ) from error
        _begin(workspace, fingerprint, resume)
        yield workspace
    finally:
        os.close(lock)


def _begin(workspace: Workspace, fingerprint: str, resume: bool) -> None:
    mark = workspace.folder / "plan"
    same = mark.is_file() and mark.read_text(encoding="utf-8") == fingerprint
    if not (resume and same):
        for path in (mark, workspace.data, workspace.work):
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(True)
    # Refused rows are gathered anew from the tasks' results.
    shutil.rmtree(DataLayout(workspace.data).rejected, ignore_errors=True)
    workspace.data.mkdir(exist_ok=True)
    workspace.work.mkdir(exist_ok=True)
    mark.write_text(fingerprint, encoding="utf-8")


def _is_ours(out: Path) -> bool:
    return DataLayout(out).manifest_path.is_file()


def _exchange(new: Path, old: Path) -> None:
    """Lets two directories change places, in one step where the system can."""
    library = ctypes.CDLL(None, use_errno=True)
    rename = getattr(library, "renameat2", None)
    if rename is not None:
        paths = os.fsencode(new), os.fsencode(old)
        done = rename(_AT_FDCWD, paths[0], _AT_FDCWD, paths[1], _RENAME_EXCHANGE)
        if done == 0:
            return
        number = ctypes.get_errno()
        if number not in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP):
            raise OSError(number, os.strerror(number), str(old))
    aside = new.with_name("replaced")
    shutil.rmtree(aside, ignore_errors=True)
    old.rename(aside)
    new.rename(old)
