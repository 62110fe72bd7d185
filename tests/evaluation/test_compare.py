"""Runs are compared user by user; a word is said only when the interval allows it."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest

from tfrec.cli import main
from tfrec.config import ModelConfig
from tfrec.errors import DescriptionError, RunError
from tfrec.evaluation.comparison import compare, group_runs
from tfrec.evaluation.user_values import SliceValues, UserValues

USERS = 400


def write_run(
    folder: Path,
    values: np.ndarray,
    *,
    name: str = "ids",
    seed: int = 0,
    users: range = range(USERS),
    fingerprint: str = "f" * 16,
) -> Path:
    """An evaluated run: one slice of everyone, one of the even users; in a shuffled order."""
    folder.mkdir()
    config = ModelConfig.model_validate({"name": name, "training": {"seed": seed}})
    (folder / "config.yaml").write_text(config.model_dump_json())
    order = np.random.default_rng(seed).permutation(len(values))
    ids = np.array([f"u{user}" for user in users])[order]
    values = np.asarray(values, np.float32)[order]
    even = np.flatnonzero([int(user[1:]) % 2 == 0 for user in ids]).astype(np.int32)
    everyone = np.arange(len(ids), dtype=np.int32)
    slices = (
        SliceValues("all", "the whole catalogue", everyone, {"ndcg@20": values}),
        SliceValues("even", "even users", even, {"ndcg@20": values[even]}),
    )
    UserValues(ids, "test", fingerprint, "ndcg@20", slices).write(folder)
    return folder


@pytest.fixture
def base() -> np.ndarray:
    return np.random.default_rng(0).random(USERS)


def test_better_is_said_only_with_the_interval(tmp_path: Path, base: np.ndarray) -> None:
    """A real gain is found whichever run comes first; noise is called noise."""
    noise = np.random.default_rng(1).normal(0, 0.1, USERS)
    runs = {
        "old": write_run(tmp_path / "old", base),
        "new": write_run(tmp_path / "new", base + 0.1 + noise, name="new"),
        "same": write_run(tmp_path / "same", base + noise - noise.mean(), name="same"),
    }
    found = compare(group_runs([runs["new"], runs["old"]]))
    assert found.verdicts[0].startswith("new is better than old: ndcg@20 +0.09")
    assert compare(group_runs([runs["old"], runs["new"]])).verdicts[0].startswith("new is better")
    unsure = compare(group_runs([runs["same"], runs["old"]])).verdicts[0]
    assert "not surely different" in unsure and "400 users would show one of 0.0" in unsure


def test_users_are_paired_by_id_not_by_place(tmp_path: Path, base: np.ndarray) -> None:
    """Each run has its own order: equal values for equal users differ nowhere."""
    one = write_run(tmp_path / "a", base, seed=1)
    two = write_run(tmp_path / "b", base, name="b", seed=2)
    for part in compare(group_runs([one, two])).slices:
        assert (part.metrics[0].low, part.metrics[0].high) == (0, 0)
    assert [part.users for part in compare(group_runs([one, two])).slices] == [400, 200]


def test_only_users_of_every_run_count(tmp_path: Path, base: np.ndarray) -> None:
    """A sample beside a whole: the others are left out and counted."""
    one = write_run(tmp_path / "a", base)
    two = write_run(tmp_path / "b", base[100:300], name="b", users=range(100, 300))
    found = compare(group_runs([one, two]))
    assert (found.users, found.users_left_out) == (200, 200)
    assert found.slices[0].metrics[0].ours.value == pytest.approx(base[100:300].mean(), rel=1e-6)
    assert found.slices[0].metrics[0].difference == pytest.approx(0, abs=1e-12)


def test_seeds_of_a_configuration_are_one_system(tmp_path: Path, base: np.ndarray) -> None:
    """Its value is the mean over seeds, each of which is told."""
    runs = [write_run(tmp_path / f"s{seed}", base + seed / 10, seed=seed) for seed in range(3)]
    runs.append(write_run(tmp_path / "other", base, name="other"))
    groups = group_runs([runs[0], runs[3], runs[1], runs[2]])
    assert [group.seeds for group in groups] == [(0, 1, 2), (0,)]
    pair = compare(groups).slices[0].metrics[0]
    assert pair.difference == pytest.approx(0.1, abs=1e-6)
    assert np.diff(pair.ours.by_seed) == pytest.approx([0.1, 0.1], abs=1e-6)


def test_runs_that_cannot_be_compared_are_refused(tmp_path: Path, base: np.ndarray) -> None:
    """Other data, no evaluation, one system, the same run twice: a line each."""
    one = write_run(tmp_path / "a", base)
    with pytest.raises(RunError, match="evaluated on the same data"):
        group_runs([one, write_run(tmp_path / "b", base, fingerprint="0" * 16)])
    (tmp_path / "c").mkdir()
    with pytest.raises(RunError, match="Evaluate it first: tfrec evaluate"):
        group_runs([one, tmp_path / "c"])
    with pytest.raises(DescriptionError, match="at least two configurations"):
        compare(group_runs([one, write_run(tmp_path / "d", base, seed=5)]))
    with pytest.raises(DescriptionError, match="compared once"):
        group_runs([one, tmp_path / "a"])
    stranger = write_run(tmp_path / "e", base, name="e", users=range(USERS, 2 * USERS))
    with pytest.raises(RunError, match="users in common"):
        compare(group_runs([one, stranger]))


def test_the_command_writes_json_page_and_chart(
    tmp_path: Path, base: np.ndarray, capsys: pytest.CaptureFixture[str]
) -> None:
    """Three files, each whole; names in them are escaped."""
    one = write_run(tmp_path / "a<b", base)
    two = write_run(tmp_path / "old", base - 0.05, name="old")
    assert main(["compare", str(one), str(two), "--output", str(tmp_path / "out")]) == 0
    assert "a<b is better than old" in capsys.readouterr().out
    content = json.loads((tmp_path / "out" / "compare.json").read_text())
    assert content["slices"][0]["metrics"][0]["difference"] == pytest.approx(0.05, abs=1e-6)
    ElementTree.parse(tmp_path / "out" / "compare.svg")
    html = (tmp_path / "out" / "compare.html").read_text()
    # A column that says the same in each row would push others out of sight.
    heads = re.findall(r'<th scope="col">(.*?)</th>', html)
    assert "old" in heads and not {"against", "seeds"} & set(heads)
    row = re.search(r"<tbody><tr.*?</tr>", html)
    assert row is not None and row[0].count("<td") + 1 == len(heads)
    assert (
        "a&lt;b is better" in html
        and "a<b" not in html
        and "http://" not in html.replace("http://www.w3.org/2000/svg", "")
    )
