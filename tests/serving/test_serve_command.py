"""`tfrec serve` as a process: start, drain, kill, restart; and the stock command it prints."""

from __future__ import annotations

import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from serving.client import CallOptions, Client
from serving.launch import IMAGE, docker_command
from serving.options import ServerOptions
from tests.serving.toy_models import write_toy
from tfrec.cli import main
from tfrec.errors import ServingError

PATIENT = CallOptions(timeout=20)


@contextmanager
def process(*words: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A running `tfrec serve` and its gRPC port, once it says so."""
    command = [sys.executable, "-m", "tfrec", "serve", *words, "--port", "0"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as server:
        try:
            assert server.stdout is not None
            line = server.stdout.readline()
            assert line.startswith("gRPC on 127.0.0.1:"), line
            yield server, int(line.rpartition(":")[2])
        finally:
            server.kill()


@pytest.mark.slow
def test_a_terminated_server_finishes_and_exits_with_0(models: Path) -> None:
    with process(str(models / "toy")) as (server, port):
        with Client(f"127.0.0.1:{port}", model="toy", call=PATIENT) as client:
            assert client.predict({"x": [2.0], "k": [3]})["y"].tolist() == [6.0]
        server.send_signal(signal.SIGTERM)
        assert server.wait(30) == 0
        assert server.stdout is not None
        assert server.stdout.read() == "finishing the requests under way\n"


@pytest.mark.slow
def test_a_killed_server_restarts_on_the_latest_good_version(models: Path, tmp_path: Path) -> None:
    base = tmp_path / "toy"
    shutil.copytree(models / "toy", base)
    write_toy(base, 2)
    with (
        process(str(base)) as (server, port),
        Client(f"127.0.0.1:{port}", model="toy", call=PATIENT) as client,
    ):
        assert client.predict({"x": [2.0], "k": [3]})["id"].tolist() == [b"v2"]
        server.send_signal(signal.SIGKILL)
        server.wait(30)
        with pytest.raises(ServingError):
            client.predict({"x": [2.0], "k": [3]})
    write_toy(base, 3)
    (base / "3" / "saved_model.pb").write_bytes(b"half a mod")
    with (
        process(str(base)) as (server, port),
        Client(f"127.0.0.1:{port}", model="toy", call=PATIENT) as client,
    ):
        assert client.predict({"x": [2.0], "k": [3]})["id"].tolist() == [b"v2"]
        assert [(v.version, v.state) for v in client.versions()] == [(3, "END"), (2, "AVAILABLE")]


def test_the_printed_command_serves_the_same_folder_and_port(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "my songs").mkdir()
    words = ["serve", str(tmp_path / "my songs"), "--port", "9000", "--rest-port", "9001"]
    assert main([*words, "--enable_batching", "--print-command"]) == 0
    printed = shlex.split(capsys.readouterr().out)
    assert printed[:3] == ["docker", "run", "--rm"]
    assert "127.0.0.1:9000:8500" in printed and "127.0.0.1:9001:8501" in printed
    assert f"{tmp_path}/my songs:/models/my songs:ro" in printed
    image = printed.index(IMAGE)
    assert "--model_name=my songs" in printed[image:]
    assert "--model_base_path=/models/my songs" in printed[image:]
    assert "--enable_batching" in printed[image:]


def test_threads_are_told_to_the_stock_server_when_given(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Our default (the thread that answers) stays ours; what was typed moves over."""
    words = ["serve", str(tmp_path), "--print-command"]
    assert main(words) == 0
    assert "op_parallelism" not in capsys.readouterr().out
    assert main([*words, "--tensorflow_inter_op_parallelism=-1"]) == 0
    printed = shlex.split(capsys.readouterr().out)
    assert printed[-1] == "--tensorflow_inter_op_parallelism=-1"


def test_a_models_config_is_mounted_with_its_models(tmp_path: Path) -> None:
    config = tmp_path / "models.config"
    config.write_text(
        'model_config_list { config { name: "a" base_path: "/data/a" '
        'model_platform: "tensorflow" } }'
    )
    words = docker_command(ServerOptions(model_config_file=config))
    assert "/data/a:/data/a:ro" in words
    assert f"{config}:/config/models.config:ro" in words
    assert "--model_config_file=/config/models.config" in words


@pytest.mark.parametrize(
    ("words", "status", "part"),
    [
        (["/nowhere/songs"], 2, "a model's folder must exist"),
        ([], 2, "either a model's folder or a models.config"),
        (["{toy}", "--port", "99999"], 2, "less than or equal to 65535"),
        (["{toy}", "--batching-parameters-file", "b"], 2, "needs batching enabled"),
        (["{toy}", "--tensorflow-inter-op-parallelism", "-2"], 2, "greater than or equal to -1"),
    ],
)
def test_a_wrong_start_is_one_line(
    models: Path,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    status: int,
    part: str,
) -> None:
    assert main(["serve", *(word.format(toy=models / "toy") for word in words)]) == status
    printed = capsys.readouterr().err
    assert part in printed
    assert printed.count("\n") == 1
