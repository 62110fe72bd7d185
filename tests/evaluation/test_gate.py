"""The gate blesses what passes every rule, says why not, and never leaves two verdicts."""

from __future__ import annotations

import pytest

from tfrec.errors import DescriptionError, RunError
from tfrec.evaluation.figures import Compared, Evaluation, Figure, Slice, System
from tfrec.evaluation.gate import GateConfig, judge, load_gate, read_last, write_verdict


def part(name, **values):
    systems = {
        system: System(metrics={"ndcg@20": Figure(value=value)}) for system, value in values.items()
    }
    compared = Compared(
        baseline="knn", metric="ndcg@20", value=0.01, low=-0.01, high=0.03, p_value=0.3,
        detectable=0.02,
    )  # fmt: skip
    return Slice(
        name=name, title=name, group="g", users=9, relevant=9, candidates=9, full=True,
        systems=systems, compared=compared,
    )  # fmt: skip


SLICES = (part("all", model=0.3, popularity=0.2, knn=0.29), part("cold", model=0.1))
CATALOGUE = {"model": {"coverage@10": 0.4, "calibration_error@20": 0.004, "latency_p95_ms": 12.0}}


def verdict(**rules):
    return judge(GateConfig(**rules), SLICES, CATALOGUE, "ndcg@20")


def test_better_than_popularity_is_blessed_by_default():
    """The reason carries both figures."""
    assert verdict().blessed
    assert verdict().reason == "ndcg@20 above popularity: 0.3000 against 0.2000"


@pytest.mark.parametrize("popularity", [0.3, 0.4])
def test_as_good_as_popularity_or_worse_is_not_blessed(popularity):
    """A tie is no reason to run a model."""
    slices = (part("all", model=0.3, popularity=popularity),)
    found = judge(GateConfig(), slices, CATALOGUE, "ndcg@20")
    assert not found.blessed
    assert found.reason == f"ndcg@20 above popularity: 0.3000 against {popularity:.4f}"


@pytest.mark.parametrize(
    ("rules", "blessed"),
    [
        ({"better_than": ("best",)}, True),
        ({"minimum": {"ndcg@20": 0.3}}, True),
        ({"minimum": {"ndcg@20": 0.31}}, False),
        ({"minimum": {"cold/ndcg@20": 0.05}}, True),
        ({"minimum": {"cold/ndcg@20": 0.2}}, False),
        ({"minimum": {"coverage@10": 0.4}}, True),
        ({"minimum": {"coverage@10": 0.5}}, False),
        ({"minimum": {"clod/ndcg@20": 0.0}}, False),  # a slice that isn't there can't pass
        ({"maximum": {"coverage@10": 0.4}}, True),
        ({"maximum": {"coverage@10": 0.3}}, False),
        ({"maximum": {"calibration_error@20": 0.005}}, True),
        ({"maximum": {"calibration_error@20": 0.003}}, False),
        ({"maximum": {"latency_p95_ms": 20}}, True),
        ({"maximum": {"latency_p95_ms": 10}}, False),
        ({"maximum": {"latency_ms": 10}}, False),  # not measured
        ({"maximum": {"cold/gini@10": 1.0}}, False),  # what isn't measured can't pass
        ({"significantly": True}, False),
        ({"better_than": ("not evaluated",)}, True),
    ],
)
def test_each_rule_decides_alone(rules, blessed):
    """Every rule can fail a run that passes all others."""
    assert verdict(**rules).blessed is blessed


def evaluation(slices, primary="ndcg@20", split="test"):
    return Evaluation(
        split=split, model="m", data="d", fingerprint="f", users=9, users_total=9, ks=(20,),
        primary=primary, verdict=verdict(), slices=slices, catalogue=CATALOGUE, options={},
        exposure={},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("cold_before", "drop", "least_users", "blessed"),
    [
        (0.105, 0.01, 1, True),
        (0.12, 0.01, 1, False),
        (0.12, 0.03, 1, True),
        (0.12, 0.01, 10, True),  # nine users are too few to tell
    ],
)
def test_no_slice_may_fall_below_the_last_blessed_run(cold_before, drop, least_users, blessed):
    """The whole got better; new items got worse, which the mean would hide."""
    last = evaluation((part("all", model=0.28), part("cold", model=cold_before)))
    gate = GateConfig(largest_drop=drop, least_users=least_users)
    found = judge(gate, SLICES, CATALOGUE, "ndcg@20", last)
    assert found.blessed is blessed
    if not blessed:
        assert found.reason == (
            "cold/ndcg@20 no worse than the last blessed run's: 0.1000 against 0.1100"
        )


def test_the_last_run_must_be_there_and_comparable(tmp_path):
    """A rule that can't be applied doesn't pass by silence."""
    gate = GateConfig(largest_drop=0.01)
    with pytest.raises(DescriptionError, match="--last RUN"):
        judge(gate, SLICES, CATALOGUE, "ndcg@20")
    with pytest.raises(RunError, match=r"judged by ndcg@20\. Received: ndcg@10"):
        judge(gate, SLICES, CATALOGUE, "ndcg@20", evaluation(SLICES, primary="ndcg@10"))
    with pytest.raises(RunError, match="must be a blessed one"):
        read_last(tmp_path, "test")
    write_verdict(tmp_path, verdict())
    with pytest.raises(RunError, match="figures must be whole"):
        read_last(tmp_path, "test")
    (tmp_path / "metrics.json").write_text(evaluation(SLICES).model_dump_json())
    assert read_last(tmp_path, "test").slices == SLICES
    with pytest.raises(RunError, match="on the validation part"):
        read_last(tmp_path, "validation")


def test_a_new_verdict_removes_the_old_one(tmp_path):
    """Export looks for BLESSED: a stale one would let a bad run through."""
    write_verdict(tmp_path, verdict())
    assert (tmp_path / "BLESSED").read_text() == verdict().reason + "\n"
    write_verdict(tmp_path, verdict(minimum={"ndcg@20": 0.9}))
    assert not (tmp_path / "BLESSED").exists()
    assert "ndcg@20 at least: 0.3000 against 0.9000" in (tmp_path / "NOT_BLESSED").read_text()
    write_verdict(tmp_path, verdict())
    assert not (tmp_path / "NOT_BLESSED").exists()


def test_a_gate_file_with_an_unknown_rule_is_refused(tmp_path):
    """A misspelt rule must not pass as none."""
    file = tmp_path / "gate.yaml"
    file.write_text("minimun: {ndcg@20: 0.1}\n")
    with pytest.raises(DescriptionError, match="Perhaps `minimum` is meant"):
        load_gate(file)
