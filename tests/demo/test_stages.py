"""Stages: each a real process, told in one line, its failure in one line with its log."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from tfrec.demo import Stage, StageRunner, Workdir
from tfrec.errors import TfrecError

# Stands in for `tfrec`: makes a directory, or fails as told, or says where it "serves".
FAKE = """
import pathlib, signal, sys
command, *rest = sys.argv[1:]
if command == "serve" and rest[0].endswith("broken"):
    print("tfrec serve: no model. Export one.", file=sys.stderr)
    sys.exit(1)
if command == "serve":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    print("gRPC on 127.0.0.1:12345", flush=True)
    signal.pause()
if "fail" in rest:
    print("loading")
    print(f"tfrec {command}: data: a rule is broken. Received: 7. Mend it.", file=sys.stderr)
    print("cleaning up")
    sys.exit(2)
pathlib.Path(rest[-1]).mkdir()
print("made", rest[-1])
"""


class Clock:
    """Ten seconds pass between any two looks."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 10
        return self.now


@pytest.fixture
def fake(tmp_path: Path) -> list[str]:
    script = tmp_path / "fake.py"
    script.write_text(FAKE)
    return [sys.executable, str(script)]


def stage(name: str, *arguments: str) -> Stage:
    return Stage(name, lambda out: [*arguments, out], name, lambda out: f"made {out.name}")


def runner(tmp_path: Path, fake: list[str]) -> tuple[StageRunner, io.StringIO]:
    out = io.StringIO()
    workdir = Workdir(tmp_path / "demo", {"seed": 0})
    return StageRunner(workdir, out, command=fake, clock=Clock()), out


def test_a_stage_runs_its_command_and_is_told_in_one_line(tmp_path: Path, fake: list[str]) -> None:
    stages, out = runner(tmp_path, fake)
    assert stages.run(stage("train", "--epochs", "1")) == tmp_path / "demo" / "train"
    assert (tmp_path / "demo" / "train").is_dir()
    assert out.getvalue().split() == ["train", "made", "train", "10.0", "s"]
    assert out.getvalue().count("\n") == 1
    assert (tmp_path / "demo" / "logs" / "train.log").read_text().startswith("made ")


def test_a_stage_may_add_to_what_another_made(tmp_path: Path, fake: list[str]) -> None:
    """`evaluate` writes into the run: its product is no new directory."""
    stages, _ = runner(tmp_path, fake)
    run = stages.run(stage("train"))
    report = Stage("evaluate", lambda out: [out], run / "report", lambda out: "ok")
    assert stages.run(report) == run / "report"
    again, out = runner(tmp_path, fake)
    assert again.run(report) == run / "report"
    assert "kept" in out.getvalue()


def test_a_second_demo_keeps_what_is_done_and_makes_anew_what_follows_a_change(
    tmp_path: Path, fake: list[str]
) -> None:
    first, _ = runner(tmp_path, fake)
    for name in ("simulate", "preprocess", "train"):
        first.run(stage(name))
    (tmp_path / "demo" / "preprocess").rmdir()
    second, out = runner(tmp_path, fake)
    for name in ("simulate", "preprocess", "train"):
        second.run(stage(name))
    lines = out.getvalue().splitlines()
    assert [("kept" in line) for line in lines] == [True, False, False]
    assert second.run(stage("train")).name == "train-3"


def test_a_failing_stage_is_one_line_with_its_reason_and_its_log(
    tmp_path: Path, fake: list[str]
) -> None:
    stages, _ = runner(tmp_path, fake)
    with pytest.raises(TfrecError) as caught:
        stages.run(stage("train", "fail"))
    message = str(caught.value)
    assert message.startswith("tfrec train: the stage ends without an error.")
    assert "data: a rule is broken. Received: 7. Mend it." in message
    assert str(tmp_path / "demo" / "logs" / "train.log") in message
    assert Workdir(tmp_path / "demo", {"seed": 0}).finished("train") is None


def test_the_server_runs_while_it_is_needed_and_no_longer(tmp_path: Path, fake: list[str]) -> None:
    stages, out = runner(tmp_path, fake)
    with stages.serve(tmp_path / "songs") as address:
        assert address == "127.0.0.1:12345"
    # `serve` waits for its process, so nothing is left to end here.
    assert "songs over gRPC on 127.0.0.1:12345" in out.getvalue()


def test_the_server_is_stopped_when_a_question_fails(tmp_path: Path, fake: list[str]) -> None:
    stages, _ = runner(tmp_path, fake)
    with pytest.raises(ZeroDivisionError), stages.serve(tmp_path / "songs"):
        raise ZeroDivisionError


def test_a_server_that_cannot_start_is_one_line(tmp_path: Path, fake: list[str]) -> None:
    stages, _ = runner(tmp_path, fake)
    with (
        pytest.raises(TfrecError, match=r"tfrec serve: .*no model\. Export one"),
        stages.serve(tmp_path / "broken"),
    ):
        raise AssertionError("never gets here")
