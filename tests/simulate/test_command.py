"""`tfrec simulate`: options reach the simulation, wrong ones are one line and exit status 2."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tfrec import cli
from tfrec.simulate import Truth

SMALL = ["--items", "20", "--users", "50"]


def test_the_command_says_what_it_wrote(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "music"
    assert cli.main(["simulate", str(out), *SMALL]) == 0
    printed = capsys.readouterr()
    assert "20 songs (2 of them released in the test part)" in printed.out
    assert f"tfrec preprocess {out}/dataset.yaml" in printed.out
    assert "songs" in printed.err


def test_the_answer_is_json_when_a_program_asks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "music"
    arguments = ["--cold-fraction", "0.2", "--missing", "0", "--video", "1", "--events", "200"]
    assert cli.main(["simulate", str(out), *SMALL, *arguments, "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["cold_items"] == 4 and content["events"] == 200
    assert content["covers"] == content["clips"] == content["videos"] == 20
    assert content["dataset"] == str(out / "dataset.yaml")


def test_signals_reach_the_simulation(tmp_path: Path) -> None:
    """The same items shown with another signal have other covers and the same lyrics."""
    for name, signal in (("a", ["--signal", "0.5"]), ("b", ["--signal", "0.5,image=0"])):
        assert cli.main(["simulate", str(tmp_path / name), *SMALL, *signal]) == 0
    first, second = ((tmp_path / name / "items.csv").read_text() for name in "ab")
    assert first == second
    cover = next((tmp_path / "a" / "covers").iterdir()).name
    one, other = ((tmp_path / name / "covers" / cover).read_bytes() for name in "ab")
    assert one != other


def test_interaction_and_seed_reach_the_simulation(tmp_path: Path) -> None:
    out = tmp_path / "a"
    assert cli.main(["simulate", str(out), *SMALL, "--interaction", "1", "--seed", "9"]) == 0
    truth = Truth.load(out / "truth.npz")
    assert set(truth.blocks[truth.scale > 0]) == {"product"}
    assert "hidden" in truth.blocks


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--items", "3"], "`items`: input should be greater than or equal to 20"),
        (["--users", "0"], "`users`"),
        (["--seed", "-1"], "`seed`"),
        (["--events", "100000"], "at most a fifth of `users` x `items`, 200"),
        (["--events", "200", "--users", "200"], "at least ten for an item and two for a user, 400"),
        (["--items", "100000", "--users", "100000"], "affinities fill memory"),
        (["--signal", "1.5"], "`signal`"),
        (["--signal", "image=2"], "`signals.image`"),
        (["--signal", "loud"], "--signal: a signal is SHARE or MODALITY=SHARE"),
        (["--signal", "smell=0.5"], "Known: text, image"),
        (["--cold-fraction", "0.9"], "`cold_fraction`"),
        (["--missing", "1"], "`missing`"),
        (["--video", "7"], "`video`"),
        (["--days", "1"], "`days`"),
        (["--interaction", "nan"], "`interaction`"),
    ],
)
def test_a_wrong_option_is_one_line_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    assert cli.main(["simulate", str(tmp_path / "out"), *SMALL, *arguments]) == 2
    error = capsys.readouterr().err.strip()
    assert says in error
    assert len([line for line in error.splitlines() if line.startswith("tfrec simulate:")]) == 1
    assert list(tmp_path.iterdir()) == []


def test_videos_without_pyav_are_refused_with_the_remedy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    assert cli.main(["simulate", str(tmp_path / "out"), *SMALL, "--video"]) == 2
    assert "pip install 'tfrec[video]'" in capsys.readouterr().err
