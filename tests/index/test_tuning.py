"""Tuning reaches its target on queries it didn't see, or says that it can't."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.index.vectors import brute_force, clustered
from tfrec.cli import main
from tfrec.errors import DescriptionError
from tfrec.index.plotting import plot_tuning
from tfrec.index.tuning import recall_of, tune


@pytest.mark.slow
def test_the_setting_chosen_reaches_the_target_on_other_queries(tmp_path: Path) -> None:
    """What the index then finds is what brute force finds, to the recall that was wanted."""
    vectors, queries = clustered(2000), clustered(120, seed=3)
    excluded = np.array([row[:2] for row in brute_force(vectors, queries, 2)], np.int32)
    index, tuning = tune(vectors, queries, excluded, target=0.9, k=5, cells=[30, 60])
    assert tuning.chosen.probes == index.probes < index.cells
    assert tuning.chosen.recall >= 0.85
    reached = [point for point in tuning.curve if point.recall >= 0.9]
    assert {point.cells for point in tuning.curve} >= {30} and len(reached) >= 2
    banned = [set(row) for row in excluded.tolist()]
    found = index.search(queries, np.int32(5), excluded).items.numpy()
    truth = np.array(brute_force(vectors, queries, 5, banned))
    assert recall_of(found, truth) >= 0.85
    plot_tuning(tuning, tmp_path / "curve.svg")
    assert "<svg" in (tmp_path / "curve.svg").read_text()
    with pytest.raises(DescriptionError, match=r"\.png or \.svg"):
        plot_tuning(tuning, tmp_path / "curve.gif")


def test_a_target_out_of_reach_is_one_line() -> None:
    """Rounded vectors can't rank near ties alike, whatever is probed."""
    vectors = (1.0 + 1e-5 * clustered(400)).astype(np.float32)
    vectors[0] = 100.0
    with pytest.raises(DescriptionError, match=r"cells gives 0\.\d+.*lower target") as error:
        tune(vectors, clustered(20, seed=1), kind="ivf-int8", target=1.0, cells=[2])
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"target": 0.0}, "above 0 and at most 1"),
        ({"target": 1.5}, "above 0 and at most 1"),
        ({"k": 0}, "from 1 to the number of items"),
        ({"k": 101}, "from 1 to the number of items"),
    ],
)
def test_wrong_parameters_are_one_line(options: dict[str, float], says: str) -> None:
    """Before anything is built."""
    with pytest.raises(DescriptionError, match=says):
        tune(clustered(100), clustered(4), **options)  # type: ignore[arg-type]
    with pytest.raises(DescriptionError, match="at least two"):
        tune(clustered(100), clustered(1))


def test_the_command_prints_writes_and_plots(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`tfrec index tune` on files of vectors."""
    np.save(tmp_path / "v.npy", clustered(600))
    np.save(tmp_path / "q.npy", clustered(40, seed=2))
    files = [str(tmp_path / "v.npy"), "--queries", str(tmp_path / "q.npy")]
    written = ["--output", str(tmp_path / "i.json"), "--plot", str(tmp_path / "c.png")]
    assert main(["index", "tune", *files, *written, "--cells", "20", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads((tmp_path / "i.json").read_text())
    assert printed["chosen"]["cells"] >= 20 and printed["curve"]
    assert (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("matrix", "says"),
    [(np.zeros((3, 5), np.float32), "as wide as"), (np.zeros(3, np.float32), "a matrix of floats")],
)
def test_files_that_do_not_fit_are_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], matrix: np.ndarray, says: str
) -> None:
    """Of another width, or no matrix; and no queries at all."""
    np.save(tmp_path / "v.npy", clustered(50))
    np.save(tmp_path / "q.npy", matrix)
    asked = ["index", "tune", str(tmp_path / "v.npy")]
    assert main([*asked, "--queries", str(tmp_path / "q.npy")]) in (1, 2)
    assert says in capsys.readouterr().err
    assert main(asked) == 2
    assert "Give --queries" in capsys.readouterr().err
