"""The notebooks run from the first cell to the last, and are kept without outputs."""

from __future__ import annotations

import os
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
# What each shows at least.
PICTURES = {"colab_tpu.ipynb": 1, "quickstart.ipynb": 4}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_outputs_are_stripped(path: Path) -> None:
    """A stored output would be stale, and may carry a path of somebody's machine."""
    cells = nbformat.read(path, as_version=4).cells
    assert cells
    for cell in cells:
        assert not cell.get("outputs") and cell.get("execution_count") is None


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every cell, at a small size; pictures come out."""
    sizes = {"ITEMS": "120", "USERS": "150", "EPOCHS": "1", "WORK": str(tmp_path / "work")}
    for name, value in sizes.items():
        monkeypatch.setenv(f"TFREC_NOTEBOOK_{name}", value)
    old = os.environ.get("PYTHONPATH", "")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(part for part in (str(ROOT), old) if part))
    notebook = nbformat.read(path, as_version=4)
    resources = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(notebook, timeout=600, kernel_name="python3", resources=resources).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    assert sum("image/png" in output.get("data", {}) for output in outputs) >= PICTURES[path.name]
