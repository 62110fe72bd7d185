"""TensorFlow's notices at its import are dropped, and nothing else is."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

from tfrec.quiet_start import QuietStart


def noisy(path: Path, last: str) -> None:
    lines = [
        "WARNING: All log messages before absl::InitializeLog() is called are written to STDERR",
        "I0000 00:00:1.2   7 port.cc:153] oneDNN custom operations are on.",
        "E0000 00:00:1.2   7 gpu.cc:1] what matters",
        "a warning of Python's",
    ]
    (path / "noisy_start.py").write_text(
        f"import os\nfor line in {lines!r}:\n    os.write(2, (line + chr(10)).encode())\n{last}\n"
    )


@pytest.fixture
def quiet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    monkeypatch.delitem(sys.modules, "noisy_start", raising=False)
    QuietStart("noisy_start").install()
    return tmp_path


KEPT = "E0000 00:00:1.2   7 gpu.cc:1] what matters\na warning of Python's\n"


def test_notices_are_dropped_and_the_rest_is_said(
    quiet: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Also from C code, which writes to the descriptor; the module is as without a listener."""
    noisy(quiet, "here = 1")
    module = importlib.import_module("noisy_start")
    assert module.here == 1
    assert type(module.__spec__.loader).__name__ == "SourceFileLoader"
    assert module.__loader__ is module.__spec__.loader
    assert capfd.readouterr().err == KEPT
    assert not any(isinstance(finder, QuietStart) for finder in sys.meta_path)


def test_an_import_that_fails_says_all_and_gives_standard_error_back(
    quiet: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    noisy(quiet, "raise ImportError('no such library')")
    with pytest.raises(ImportError, match="no such library"):
        importlib.import_module("noisy_start")
    print("after", file=sys.stderr)
    assert capfd.readouterr().err == KEPT + "after\n"
