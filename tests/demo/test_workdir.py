"""The demo's directory: goes on where it stopped, and never touches what isn't the demo's."""

from __future__ import annotations

from pathlib import Path

import pytest

from tfrec.demo import Workdir
from tfrec.errors import DescriptionError

SETTINGS = {"items": 20, "seed": 0}


def make(workdir: Workdir, stage: str) -> Path:
    path = workdir.fresh(stage)
    path.mkdir()
    workdir.finish(stage, path, 1.5)
    return path


def test_a_finished_stage_is_kept(tmp_path: Path) -> None:
    made = make(Workdir(tmp_path / "demo", SETTINGS), "train")
    again = Workdir(tmp_path / "demo", SETTINGS)
    assert again.finished("train") == made and again.seconds("train") == 1.5
    assert again.finished("evaluate") is None
    made.rmdir()
    assert again.finished("train") is None


def test_what_an_unfinished_stage_left_is_left_alone(tmp_path: Path) -> None:
    workdir = Workdir(tmp_path / "demo", SETTINGS)
    (workdir.fresh("run") / "half").mkdir(parents=True)
    assert workdir.fresh("run") == tmp_path / "demo" / "run-2"
    assert (tmp_path / "demo" / "run" / "half").is_dir()


def test_a_new_result_forgets_what_was_made_from_the_old_one(tmp_path: Path) -> None:
    workdir = Workdir(tmp_path / "demo", SETTINGS)
    for stage in ("simulate", "preprocess", "train"):
        make(workdir, stage)
    make(workdir, "preprocess")
    again = Workdir(tmp_path / "demo", SETTINGS)
    assert again.finished("simulate") is not None
    assert again.finished("preprocess") == tmp_path / "demo" / "preprocess-2"
    assert again.finished("train") is None


def test_a_directory_of_somebody_elses_is_refused_untouched(tmp_path: Path) -> None:
    (tmp_path / "photos.zip").write_text("mine")
    with pytest.raises(DescriptionError, match=r"other files, no readable demo\.json"):
        Workdir(tmp_path, SETTINGS)
    assert [file.name for file in tmp_path.iterdir()] == ["photos.zip"]
    with pytest.raises(DescriptionError, match="Received: a file"):
        Workdir(tmp_path / "photos.zip", SETTINGS)


def test_other_settings_are_refused_by_name(tmp_path: Path) -> None:
    Workdir(tmp_path, SETTINGS)
    with pytest.raises(DescriptionError, match="another items, users"):
        Workdir(tmp_path, {"items": 30, "seed": 0, "users": 9})


@pytest.mark.parametrize("content", ["", "[]", '{"settings": {}}', "{"])
def test_a_damaged_state_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "demo.json").write_text(content)
    with pytest.raises(DescriptionError, match="no readable"):
        Workdir(tmp_path, SETTINGS)
