"""Other runners give what the local one gives: same records, same counts."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from preprocessing.pipeline import preprocess
from preprocessing.stages import Stages
from tests.preprocessing.service import Service, records
from tfrec.errors import DescriptionError
from tfrec.schema import SPLITS, DataLayout

ROOT = Path(__file__).resolve().parents[2]
OPTIONS = sorted((ROOT / "configs" / "runners").glob("*.options"))


def service(folder: Path) -> Service:
    """Events of forty users in two files, with profiles and comments."""
    made = Service.of_three_users(folder)
    made.interactions += [
        (f"v{n % 40}", "abcd"[n % 4], 200 + 7 * n % 1000, n % 5 + 1) for n in range(800)
    ]
    made.users = [("u1", "DE"), ("u2", "FR"), ("v7", "DE")]
    made.comments = [("u1", "a", "so nice", 100), ("v1", "b", "bad", 700)]
    return made


def assert_same(made: Service, folder: Path, options: list[str]) -> None:
    """Prepares by the local runner and by another one, and compares all there is."""
    config = made.write()
    local = preprocess(config, folder / "local", made.folder, max_rejected=1.0)
    other = preprocess(
        config, folder / "other", made.folder, max_rejected=1.0, beam_options=options
    )
    assert local == other
    one, two = DataLayout(folder / "local"), DataLayout(folder / "other")
    assert records(one.item_shards()) == records(two.item_shards())
    for split in SPLITS:
        assert records(one.timeline_shards(split)) == records(two.timeline_shards(split))
    assert one.statistics_path.read_bytes() == two.statistics_path.read_bytes()


@pytest.fixture
def job_service() -> Iterator[str]:
    """Beam's own job service in a process of its own; its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    module = "apache_beam.runners.portability.local_job_service_main"
    process = subprocess.Popen(
        [sys.executable, "-m", module, f"--port={port}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        for _ in range(300):
            with socket.socket() as client:
                if client.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert process.poll() is None, "the job service ended before it listened"
            time.sleep(0.1)
        yield f"127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


@pytest.mark.slow
def test_a_job_service_gives_what_the_local_runner_gives(tmp_path: Path, job_service: str) -> None:
    """Tasks cross Beam's job API, as they do for Flink and Spark, and are run by LOOPBACK."""
    options = ["--runner=PortableRunner", f"--job_endpoint={job_service}"]
    assert_same(service(tmp_path / "files"), tmp_path, [*options, "--environment_type=LOOPBACK"])


@pytest.mark.slow
def test_flink_gives_what_the_local_runner_gives(tmp_path: Path) -> None:
    """A mini-cluster in Beam's job server; `make flink` fetches its jar."""
    jars = sorted((ROOT / "build" / "flink").glob("beam-runners-flink-*-job-server-*.jar"))
    if shutil.which("java") is None:
        pytest.skip("Flink needs Java, and there is none")
    if not jars:
        pytest.skip("no job server's jar in build/flink: `make flink` fetches it, where served")
    version = jars[-1].name.removeprefix("beam-runners-flink-").split("-")[0]
    given = (ROOT / "configs" / "runners" / "flink-local.options").read_text().split()
    options = [one for one in given if not one.startswith("--flink_version")]
    options += [f"--flink_version={version}", f"--flink_job_server_jar={jars[-1]}"]
    assert_same(service(tmp_path / "files"), tmp_path, options)


@pytest.mark.parametrize("file", OPTIONS, ids=lambda file: file.stem)
def test_beam_knows_each_option_that_is_shipped(tmp_path: Path, file: Path) -> None:
    """A misspelt one would be refused, as by the command."""
    options = file.read_text(encoding="utf-8").split()
    assert options[0].startswith("--runner=")
    Stages(tmp_path, options)
    with pytest.raises(DescriptionError):
        Stages(tmp_path, [*options, "--no_such_option_of_beam=1"])


def test_option_files_are_read_from_the_projects_folder() -> None:
    """There are four, for three engines."""
    assert [file.stem for file in OPTIONS] == ["dataflow", "flink-cluster", "flink-local", "spark"]
    assert os.access(ROOT / "configs" / "runners" / "Dockerfile", os.R_OK)
