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


def swap(base: Path, version: int, staging: Path) -> None:
    """Publishes as an export does: written elsewhere, renamed into place."""
    write_toy(staging, version, factor=float(version))
    (staging / str(version)).rename(base / str(version))


@pytest.mark.slow
@pytest.mark.parametrize("batching", [False, True], ids=["single", "batched"])
def test_five_swaps_and_a_rollback_lose_and_mix_nothing(tmp_path: Path, batching: bool) -> None:
    """32 clients ask without pause; `y` holds the version's factor, `id` its number."""
    base = tmp_path / "toy"
    write_toy(base, 1, factor=1.0)
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
        for version in range(2, 7):
            swap(base, version, tmp_path / "staging")
            server.repository.poll()
            _until_all(answered, version, failures)
        shutil.move(base / "6", tmp_path / "withdrawn")
        server.repository.poll()
        for seen in answered:
            seen.clear()
        _until_all(answered, 5, failures)
        stop.set()
        for thread in threads:
            thread.join(60)
    assert failures == []
    assert all(seen <= {5, 6} for seen in answered)
    assert sum(counts) > 6 * CLIENTS


def _until_all(answered: list[set[int]], version: int, failures: list[str]) -> None:
    """Waits until every client was answered by a version."""
    pause = threading.Event()
    for _ in range(6000):
        if failures or all(version in seen for seen in answered):
            return
        pause.wait(0.01)
    raise AssertionError(f"version {version} answered only {answered}")
