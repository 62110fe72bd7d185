"""OUT is the old one or the new one; a broken run can be taken up again."""

from __future__ import annotations

import multiprocessing
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from preprocessing import publishing, writing
from preprocessing.publishing import open_workspace
from tests.preprocessing.service import ONE_WORKER, Service, prepare
from tfrec.config import DatasetConfig
from tfrec.errors import DataError
from tfrec.schema import DataLayout


class BrokenOffError(Exception):
    """What stands for a killed process."""


def test_a_run_that_breaks_off_leaves_the_old_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And a resumed one does only what was missing, with equal shards."""
    service = Service.of_three_users(tmp_path / "raw")
    first = service.prepare(tmp_path / "out")
    before = sorted(path.name for path in (tmp_path / "out").iterdir())
    service.interactions.append(("u3", "a", 110, 5))
    expected = service.prepare(tmp_path / "expected")

    def breaks(self: Any) -> None:
        raise BrokenOffError

    with monkeypatch.context() as patch:
        patch.setattr(writing.WriteTimelines, "run", breaks)
        with pytest.raises(Exception, match="BrokenOffError"):
            service.prepare(tmp_path / "out")
    assert DataLayout(tmp_path / "out").read_manifest() == first
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == before
    results = tmp_path / ".out.partial" / "work" / "results" / "read-events"
    kept = (results / "interactions-000000.pickle").stat().st_mtime_ns

    seen: list[int] = []
    publish = publishing.Workspace.publish

    def look(self: publishing.Workspace) -> None:
        seen.append((results / "interactions-000000.pickle").stat().st_mtime_ns)
        publish(self)

    # The files' times are part of the plan, so the service isn't written again.
    config_files = {path: path.stat().st_mtime_ns for path in (tmp_path / "raw").iterdir()}
    with monkeypatch.context() as patch:
        patch.setattr(publishing.Workspace, "publish", look)
        config = DatasetConfig.model_validate(service.content)
        manifest = prepare(config, tmp_path / "out", tmp_path / "raw", resume=True)
    assert config_files == {p: p.stat().st_mtime_ns for p in (tmp_path / "raw").iterdir()}
    assert seen == [kept]
    assert manifest.shards == expected.shards
    assert not (tmp_path / ".out.partial").exists()


def test_two_runs_never_write_one_output(tmp_path: Path) -> None:
    with (
        open_workspace(tmp_path / "out", "one", False),
        pytest.raises(DataError, match="one run writes an output at a time"),
        open_workspace(tmp_path / "out", "two", False),
    ):
        pass


@pytest.mark.slow
def test_directories_change_places_without_the_system_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where `renameat2` is missing, two renames do."""

    class Nothing:
        pass

    monkeypatch.setattr(publishing.ctypes, "CDLL", lambda *_, **__: Nothing())
    service = Service.of_three_users(tmp_path / "raw")
    service.prepare(tmp_path / "out")
    service.interactions.append(("u3", "a", 110, 5))
    manifest = service.prepare(tmp_path / "out")
    assert DataLayout(tmp_path / "out").read_manifest() == manifest
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "raw"]


def _prepare_in_child(folder: Path, started: Any) -> None:
    started.set()
    Service.of_three_users(folder / "raw").prepare(folder / "out", beam_options=ONE_WORKER)


@pytest.mark.slow
def test_a_killed_run_leaves_the_old_or_the_new_output(tmp_path: Path) -> None:
    """SIGKILL at different moments; then a rerun gives what an undisturbed run gives."""
    service = Service.of_three_users(tmp_path / "raw")
    expected = service.prepare(tmp_path / "expected")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.preprocessing.service"])
    for place in range(4):
        started = context.Event()
        child = context.Process(target=_prepare_in_child, args=(tmp_path, started))
        child.start()
        started.wait(60)
        child.join(0.1 + 0.5 * place)
        if child.is_alive() and child.pid is not None:
            os.kill(child.pid, signal.SIGKILL)
        child.join()
        if (tmp_path / "out").exists():
            assert DataLayout(tmp_path / "out").read_manifest().shards == expected.shards
    assert service.prepare(tmp_path / "out").shards == expected.shards
