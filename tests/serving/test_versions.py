"""Versions come, go and fail; what serves goes on serving."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from tensorflow_serving.apis import model_pb2
from tensorflow_serving.config import model_server_config_pb2

from serving.repository import ModelRepository, State
from serving.status import StatusError


class FakeRunner:
    """Stands for a loaded version; knows whether it was freed."""

    signatures: dict[str, Any] = {}  # noqa: RUF012

    def __init__(self, path: Path) -> None:
        self.path = path
        self.closed = False

    def run(self, feeds: Any, fetches: Any, arrays: Any) -> list[Any]:
        return [np.zeros(1)]

    def close(self) -> None:
        self.closed = True


class Disk:
    """A base path, and a loader that refuses versions marked `bad` and notes its order."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.events: list[str] = []
        self.runners: dict[int, FakeRunner] = {}

    def add(self, version: int | str, content: str = "good") -> None:
        folder = self.base / str(version)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "saved_model.pb").write_text(content)

    def remove(self, version: int) -> None:
        (self.base / str(version) / "saved_model.pb").unlink()
        (self.base / str(version)).rmdir()

    def load(self, name: str, version: int, path: Path, base_path: Path) -> FakeRunner:
        content = (path / "saved_model.pb").read_text()
        self.events.append(f"{content} {version}")
        if content != "good":
            raise StatusError(grpc.StatusCode.DATA_LOSS, f"version {version} is {content}")
        runner = self.runners[version] = FakeRunner(path)
        original = runner.close

        def close() -> None:
            self.events.append(f"close {version}")
            original()

        runner.close = close  # type: ignore[method-assign]
        return runner


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    made = Disk(tmp_path / "toy")
    made.base.mkdir()
    return made


@pytest.fixture
def repository(disk: Disk) -> Iterator[ModelRepository]:
    made = ModelRepository(disk.load)
    yield made
    made.close()


def config(disk: Disk, **fields: Any) -> Any:
    models = model_server_config_pb2.ModelConfigList()
    models.config.add(name="toy", base_path=str(disk.base), model_platform="tensorflow", **fields)
    return models


def spec(**fields: Any) -> Any:
    return model_pb2.ModelSpec(name="toy", **fields)


def served(repository: ModelRepository, **fields: Any) -> int:
    with repository.acquire(spec(**fields)) as servable:
        return servable.version


def states(repository: ModelRepository) -> list[tuple[int, int]]:
    return [(version, state) for version, state, _ in repository.statuses(spec())]


def test_the_greatest_number_is_served_not_the_last_name(
    disk: Disk, repository: ModelRepository
) -> None:
    for version in ("9", "10", "11.tmp", "tmp-12", "x", "99999999999999999999"):
        disk.add(version)
    repository.configure(config(disk))
    assert served(repository) == 10
    assert states(repository) == [(10, State.AVAILABLE)]


def test_a_new_version_is_loaded_before_the_old_one_is_unloaded(
    disk: Disk, repository: ModelRepository
) -> None:
    disk.add(1)
    repository.configure(config(disk))
    disk.add(2)
    repository.poll()
    assert disk.events == ["good 1", "good 2", "close 1"]
    assert states(repository) == [(2, State.AVAILABLE), (1, State.END)]


def test_a_request_under_way_keeps_its_version(disk: Disk, repository: ModelRepository) -> None:
    disk.add(1)
    repository.configure(config(disk))
    disk.add(2)
    with repository.acquire(spec()) as old:
        poll = threading.Thread(target=repository.poll)
        poll.start()
        with repository._lock:
            assert repository._lock.wait_for(
                lambda: repository._models["toy"].versions[1].state == State.UNLOADING, timeout=10
            )
        assert old.version == 1
        assert not disk.runners[1].closed
    poll.join(10)
    assert disk.runners[1].closed
    assert served(repository) == 2


def test_a_bad_version_never_replaces_a_good_one(disk: Disk, repository: ModelRepository) -> None:
    disk.add(1)
    repository.configure(config(disk))
    disk.add(2, "damaged")
    repository.poll()
    repository.poll()
    assert served(repository) == 1
    assert disk.events == ["good 1", "damaged 2"]  # not tried again while it stays the same
    (_, state, error), (_, old_state, _) = repository.statuses(spec())
    assert (state, old_state) == (State.END, State.AVAILABLE)
    assert error is not None and error.message == "version 2 is damaged"


def test_the_last_good_version_serves_on_when_its_folder_is_gone(
    disk: Disk, repository: ModelRepository
) -> None:
    """Only a bad version is left on the disk: better an old answer than none."""
    disk.add(1)
    repository.configure(config(disk))
    disk.add(2, "damaged")
    disk.remove(1)
    repository.poll()
    assert served(repository) == 1


def test_a_bad_version_is_tried_again_when_its_files_change(
    disk: Disk, repository: ModelRepository
) -> None:
    disk.add(1)
    repository.configure(config(disk))
    disk.add(2, "half")
    repository.poll()
    disk.add(2, "good")
    repository.poll()
    assert served(repository) == 2


def test_a_restart_serves_the_latest_good_version(disk: Disk, repository: ModelRepository) -> None:
    for version, content in ((1, "good"), (2, "good"), (3, "damaged")):
        disk.add(version, content)
    repository.configure(config(disk))
    assert served(repository) == 2


def test_removing_the_newest_version_rolls_back(disk: Disk, repository: ModelRepository) -> None:
    disk.add(1)
    disk.add(2)
    repository.configure(config(disk))
    disk.remove(2)
    repository.poll()
    assert served(repository) == 1
    assert disk.events == ["good 2", "good 1", "close 2"]


def test_a_base_path_that_is_away_unloads_nothing(disk: Disk, repository: ModelRepository) -> None:
    disk.add(1)
    repository.configure(config(disk))
    disk.base.rename(disk.base.with_name("away"))
    repository.poll()
    assert served(repository) == 1


def test_an_empty_base_path_unloads_all(disk: Disk, repository: ModelRepository) -> None:
    disk.add(1)
    repository.configure(config(disk))
    disk.remove(1)
    repository.poll()
    with pytest.raises(StatusError, match=r"Latest\(toy\)"):
        served(repository)


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ({"latest": {"num_versions": 2}}, [3, 2]),
        ({"all": {}}, [3, 2, 1]),
        ({"specific": {"versions": [1, 2, 7]}}, [2, 1]),
    ],
)
def test_a_policy_chooses(
    disk: Disk, repository: ModelRepository, policy: dict[str, Any], expected: list[int]
) -> None:
    for version in (1, 2, 3):
        disk.add(version)
    repository.configure(config(disk, model_version_policy=policy))
    assert states(repository) == [(version, State.AVAILABLE) for version in expected]


def test_labels_name_versions(disk: Disk, repository: ModelRepository) -> None:
    disk.add(1)
    disk.add(2)
    keep = {"specific": {"versions": [1, 2]}}
    repository.configure(config(disk, model_version_policy=keep))
    labels = {"stable": 1, "canary": 2}
    repository.configure(config(disk, model_version_policy=keep, version_labels=labels))
    assert served(repository, version_label="stable") == 1
    assert served(repository, version_label="canary") == 2
    with pytest.raises(StatusError, match="Unrecognized servable version label: zz"):
        served(repository, version_label="zz")


def test_a_label_needs_an_available_version_unless_allowed(disk: Disk) -> None:
    disk.add(1)
    strict = ModelRepository(disk.load)
    with pytest.raises(
        StatusError,
        match="Request to assign label to version 1 of model toy, "
        "which is not currently available for inference",
    ) as caught:
        strict.configure(config(disk, version_labels={"stable": 1}))
    assert caught.value.code is grpc.StatusCode.FAILED_PRECONDITION
    lenient = ModelRepository(disk.load, allow_labels_for_unavailable=True)
    lenient.configure(config(disk, version_labels={"stable": 1}))
    assert served(lenient, version_label="stable") == 1
    # A label in use may not move to a version that can't answer.
    with pytest.raises(StatusError, match="assign label to version 5"):
        lenient.configure(config(disk, version_labels={"stable": 5}))
    lenient.close()


def test_a_first_start_without_a_good_version_fails(
    disk: Disk, repository: ModelRepository
) -> None:
    disk.add(1, "damaged")
    with pytest.raises(StatusError, match=r"1 model\(s\) did not become available: .*is damaged"):
        repository.configure(config(disk))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"base_path": "models/toy"}, "to have an absolute path"),
        ({"model_platform": "onnx"}, "requests unsupported platform onnx"),
        ({"model_platform": ""}, "Illegal setting neither"),
    ],
)
def test_a_wrong_model_entry_is_refused(
    disk: Disk, repository: ModelRepository, change: dict[str, str], text: str
) -> None:
    models = config(disk)
    for name, value in change.items():
        setattr(models.config[0], name, value)
    with pytest.raises(StatusError, match=text) as caught:
        repository.configure(models)
    assert caught.value.code is grpc.StatusCode.INVALID_ARGUMENT


def test_a_model_may_be_listed_once(disk: Disk, repository: ModelRepository) -> None:
    models = config(disk)
    models.config.add().CopyFrom(models.config[0])
    with pytest.raises(StatusError, match="Illegal to list model toy multiple times"):
        repository.configure(models)


def test_a_reload_over_the_network_stays_in_the_model_root(
    disk: Disk, repository: ModelRepository, tmp_path_factory: pytest.TempPathFactory
) -> None:
    disk.add(1)
    repository.configure(config(disk))
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (disk.base.parent / "link").symlink_to(elsewhere)
    for path in (elsewhere, disk.base / ".." / ".." / "x", disk.base.parent / "link"):
        models = config(disk)
        models.config[0].base_path = str(path)
        with pytest.raises(StatusError, match="is outside of") as caught:
            repository.configure(models, trusted=False)
        assert caught.value.code is grpc.StatusCode.PERMISSION_DENIED
    assert served(repository) == 1


def test_a_reload_removes_and_adds_models(disk: Disk, repository: ModelRepository) -> None:
    disk.add(1)
    repository.configure(config(disk))
    other = Disk(disk.base.with_name("other"))
    other.add(4)
    models = config(other)
    models.config[0].name = "other"
    repository.configure(models, trusted=False)
    assert repository.models() == ["other"]
    assert disk.runners[1].closed
    with pytest.raises(StatusError, match=r"Latest\(toy\)"):
        served(repository)


def test_a_refused_version_leaves_nothing_of_itself_in_memory(disk: Disk) -> None:
    """What the loader held when it failed is freed, though the version is told as refused."""
    halves: list[weakref.ref[FakeRunner]] = []

    def load(name: str, version: int, path: Path, base_path: Path) -> FakeRunner:
        half = FakeRunner(path)
        halves.append(weakref.ref(half))
        try:
            raise ValueError(half)
        except ValueError as error:
            raise StatusError(grpc.StatusCode.DATA_LOSS, "half of it") from error

    disk.add(1)
    repository = ModelRepository(load)
    with pytest.raises(StatusError, match="half of it"):
        repository.configure(config(disk))
    gc.collect()
    assert [half() for half in halves] == [None]
    repository.close()
