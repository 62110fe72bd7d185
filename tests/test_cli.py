"""The command line: exit statuses, one-line errors, help without TensorFlow."""

from __future__ import annotations

import argparse
import subprocess
import sys
from types import ModuleType

import pytest

from tfrec import __version__, cli
from tfrec.errors import DataError, DescriptionError, TfrecError


def command(raises: BaseException | None = None) -> ModuleType:
    """A command module that raises, or prints what it was given."""
    module = ModuleType("tfrec.commands.fake")
    module.SUMMARY = "fake"  # type: ignore[attr-defined]
    module.EXAMPLES = ["tfrec simulate OUT"]  # type: ignore[attr-defined]

    def add_arguments(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("out")
        parser.add_argument("--seed", type=int, default=0)

    def run(arguments: argparse.Namespace) -> int:
        if raises is not None:
            raise raises
        print(arguments.out, arguments.seed)
        return 0

    module.add_arguments = add_arguments  # type: ignore[attr-defined]
    module.run = run  # type: ignore[attr-defined]
    return module


def test_a_command_receives_its_arguments(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli, "_load", lambda name: command())
    assert cli.main(["simulate", "--seed", "3", "out"]) == 0
    assert capsys.readouterr().out == "out 3\n"


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (DataError("items.csv:2", "a rule", received=1, remedy="Mend it"), 1),
        (DescriptionError("d.yaml", "a rule"), 2),
    ],
)
def test_a_foreseen_error_is_one_line_and_a_status(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: TfrecError,
    status: int,
) -> None:
    monkeypatch.setattr(cli, "_load", lambda name: command(error))
    assert cli.main(["simulate", "out"]) == status
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == f"tfrec simulate: {error}\n"


def test_a_fault_of_our_own_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "_load", lambda name: command(ZeroDivisionError()))
    with pytest.raises(ZeroDivisionError):
        cli.main(["simulate", "out"])


@pytest.mark.parametrize("arguments", [["simulate"], ["simulate", "o", "--sead", "1"], ["fly"], []])
def test_a_usage_error_is_one_line_and_exits_with_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    monkeypatch.setattr(cli, "_load", lambda name: command())
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)
    assert caught.value.code == 2
    message = capsys.readouterr().err
    assert message.startswith("tfrec") and message.endswith("--help`.\n")
    assert message.count("\n") == 1


def test_help_and_version_are_quick_and_complete() -> None:
    """`tfrec --help` lists every command and never loads TensorFlow."""
    code = (
        "import sys; from tfrec.cli import main\n"
        "try: main(['--help'])\n"
        "finally: assert 'tensorflow' not in sys.modules"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    for name, summary in cli.COMMANDS.items():
        assert name in shown.stdout and summary in shown.stdout
    version = subprocess.run(
        [sys.executable, "-m", "tfrec", "--version"], capture_output=True, text=True, check=True
    )
    assert version.stdout == f"tfrec {__version__}\n"


def test_an_error_message_stays_on_one_line() -> None:
    error = DataError("a.csv:1", "a\nrule", received="x\n\ny", remedy="Mend it")
    assert str(error) == "a.csv:1: a rule. Received: x y. Mend it."
