"""Versions swapped under load: no request fails, and no answer mixes two versions."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import pytest

from serving.client import CallOptions, Client
from serving.options import ServerOptions
from serving.server import Server
from tests.serving.toy_models import write_toy

CLIENTS = 32


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Versions 1 to 6; the factor of each is its number."""
    folder = tmp_path_factory.mktemp("written")
    for version in range(1, 7):
        write_toy(folder, version, factor=float(version))
    return folder


def swap(base: Path, version: int, written: Path) -> None:
    """Publishes as an export does: written elsewhere, renamed into place."""
    staging = base.with_name("staging")
    shutil.copytree(written / str(version), staging)
    base.mkdir(exist_ok=True)
    staging.rename(base / str(version))


@pytest.mark.slow
@pytest.mark.parametrize(("batching", "last"), [(False, 6), (True, 3)], ids=["single", "batched"])
def test_swaps_and_a_rollback_lose_and_mix_nothing(
    written: Path, tmp_path: Path, batching: bool, last: int
) -> None:
    """32 clients ask without pause; `y` holds the version's factor, `id` its number.

    `benchmarks/swap.py` does so with 100,000 requests.
    """
    base = tmp_path / "toy"
    swap(base, 1, written)
    options = ServerOptions(
        model_name="toy",
        model_base_path=base,
        port=0,
        file_system_poll_wait_seconds=0,
        enable_batching=batching,
    )
    stop = threading.Event()
    failures: list[str] = []
    answered: list[set[int]] = [set() for _ in range(CLIENTS)]
    counts = [0] * CLIENTS

    def ask(number: int, port: int) -> None:
        with Client(
            f"127.0.0.1:{port}", model="toy", call=CallOptions(timeout=30, attempts=1)
        ) as client:
            while not stop.is_set():
                try:
                    answer = client.predict({"x": [1.0, 2.0], "k": [1, 1]})
                except Exception as error:
                    failures.append(str(error))
                    return
                first = round(float(answer["y"][0]))
                if (
                    answer["y"].tolist() != [first, 2.0 * first]
                    or answer["id"].tolist() != [f"v{first}".encode()] * 2
                ):
                    failures.append(f"mixed: {answer}")
                    return
                answered[number].add(first)
                counts[number] += 1

    with Server(options) as server:
        threads = [
            threading.Thread(target=ask, args=(number, server.port)) for number in range(CLIENTS)
        ]
        for thread in threads:
            thread.start()
        for version in range(2, last + 1):
            swap(base, version, written)
            server.repository.poll()
            _until_all(answered, version, failures)
        shutil.move(base / str(last), tmp_path / "withdrawn")
        server.repository.poll()
        for seen in answered:
            seen.clear()
        _until_all(answered, last - 1, failures)
        stop.set()
        for thread in threads:
            thread.join(60)
    assert failures == []
    assert all(seen <= {last - 1, last} for seen in answered)
    assert sum(counts) > last * CLIENTS


def _until_all(answered: list[set[int]], version: int, failures: list[str]) -> None:
    """Waits until every client was answered by a version."""
    pause = threading.Event()
    for _ in range(6000):
        if failures or all(version in seen for seen in answered):
            return
        pause.wait(0.01)
    raise AssertionError(f"version {version} answered only {answered}")
