"""One process and Beam give the same figures to the last bit, and find the simulator's truth."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tfrec.config import load_config
from tfrec.errors import CorruptDataError, DescriptionError
from tfrec.online.evaluating import evaluate_logs
from tfrec.online.experiments import ExperimentConfig
from tfrec.online.settings import Settings
from tfrec.online.simulation import write_logs


@pytest.fixture(scope="module")
def logs(tmp_path_factory):
    """A simulated log with a few events in it that can't be used."""
    folder = tmp_path_factory.mktemp("online") / "logs"
    write_logs(folder, 400, seed=3)
    lines = (folder / "during.jsonl").read_text().splitlines()
    lost = {"type": "feedback", "request_id": "?", "timestamp": 5, "event": "conversion"}
    (folder / "again.jsonl").write_text("\n".join([*lines[:50], json.dumps(lost), "{"]) + "\n")
    return folder


def settings_of(folder):
    test = load_config(folder / "experiment.yaml", ExperimentConfig)
    return Settings(experiments=(test,), rounds=50, shards=3)


def test_beam_gives_the_same_figures(logs, tmp_path):
    """Every number, count and line is equal, with duplicates across files in the log."""
    settings = settings_of(logs)
    one = evaluate_logs([logs], settings)
    other = evaluate_logs([logs], settings, runner="DirectRunner", scratch=tmp_path)
    assert other == one
    assert {line.reason for line in one.ignored} >= {
        "duplicate_impression",
        "duplicate_feedback",
        "unknown_request",
        "malformed",
    }
    assert list(tmp_path.iterdir()) == []


def test_shards_change_no_figure(logs):
    """Into how many parts a log is cut is a matter of memory alone."""
    few = evaluate_logs([logs], settings_of(logs))
    many = evaluate_logs([logs], Settings(**{**vars(settings_of(logs)), "shards": 7}))
    ours, theirs = few.model_dump(), many.model_dump()
    flat_ours, flat_theirs = list(leaves(ours)), list(leaves(theirs))
    assert len(flat_ours) == len(flat_theirs)
    for mine, other in zip(flat_ours, flat_theirs, strict=True):
        near = pytest.approx(other, rel=1e-9, abs=1e-12) if isinstance(other, float) else other
        assert mine == near


def test_the_order_of_lines_changes_no_figure(tmp_path):
    """A log is a set of events: shuffled, and cut into other files, it says the same."""
    write_logs(tmp_path / "logs", 100, seed=4)
    settings = settings_of(tmp_path / "logs")
    lines = [
        line
        for file in sorted((tmp_path / "logs").glob("*.jsonl"))
        for line in file.read_text().splitlines()
    ]
    np.random.default_rng(0).shuffle(lines)
    (tmp_path / "mixed").mkdir()
    for number in range(2):
        part = "\n".join(lines[number::2])
        (tmp_path / "mixed" / f"{number}.jsonl").write_text(part)
    one = evaluate_logs([tmp_path / "logs"], settings)
    other = evaluate_logs([tmp_path / "mixed"], settings)
    # The files are two instead of three.
    assert other.model_copy(update={"logs": 3}) == one
    shown = sum('"impression"' in line for line in lines)
    assert one.requests == shown and one.ignored == []


def leaves(value):
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from leaves(one)
    else:
        yield value


def test_beam_tells_of_errors_in_one_line(logs, tmp_path):
    """A worker's foreseen error and an unknown runner are ours, not a traceback of Beam's."""
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    with pytest.raises(CorruptDataError, match=r"a\.parquet"):
        evaluate_logs([tmp_path], Settings(), runner="DirectRunner")
    with pytest.raises(DescriptionError, match="--runner"):
        evaluate_logs([logs], Settings(), runner="NoSuchRunner")


@pytest.mark.slow
def test_the_simulated_truth_is_found_in_the_log(tmp_path):
    """From files, not arrays: the effect and the policy's value lie in wide (99.9 %) intervals."""
    truth = write_logs(tmp_path / "logs", 4_000, seed=1)
    test = load_config(tmp_path / "logs" / "experiment.yaml", ExperimentConfig)
    settings = Settings(experiments=(test.model_copy(update={"level": 0.999}),), level=0.999)
    found = evaluate_logs([tmp_path / "logs"], settings)
    for effect in found.experiments[0].effects:
        if effect.metric in truth["control"]:
            true = truth["treatment"][effect.metric] - truth["control"][effect.metric]
            assert effect.fixed.low <= true <= effect.fixed.high
    for estimate in found.policies[0].estimates:
        inside = estimate.normal.low <= truth["bold"] <= estimate.normal.high
        # The prediction knows nothing of fatigue, so what rests on it alone is wrong.
        assert inside == (estimate.estimator not in ("logged", "direct method"))
