"""Logs are joined as documented; what can't be used is counted, with one clear line each."""

from __future__ import annotations

import gzip
import json
from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tfrec.errors import CorruptDataError, DataError, DescriptionError
from tfrec.online.evaluating import evaluate_logs
from tfrec.online.events.reading import find_logs
from tfrec.online.events.schema import InvalidEventError, parse_event
from tfrec.online.experiments import ExperimentConfig, assign_all
from tfrec.online.settings import Settings
from tfrec.online.simulation import write_logs


def shown(request, user="u1", at=100.0, items=("x", "y"), **more):
    return {
        "type": "impression",
        "request_id": request,
        "user_id": user,
        "timestamp": at,
        "items": list(items),
        **more,
    }


def fed(request, at=110.0, event="click", item="x", **more):
    return {
        "type": "feedback",
        "request_id": request,
        "timestamp": at,
        "event": event,
        "item": item,
        **more,
    }


def write(folder, *events, name="log.jsonl"):
    path = folder / name
    path.write_text("".join(json.dumps(event) + "\n" for event in events), encoding="utf-8")
    return path


def metric(found, name):
    return next(value.value for value in found.metrics if value.metric == name)


def test_metrics_by_hand(tmp_path):
    """Two pages of two items and an empty one; every metric is a fraction to be counted."""
    log = write(
        tmp_path,
        shown("r1", latency_ms=10),
        fed("r1", item="x"),
        fed("r1", item="y"),
        fed("r1", event="dwell", item="y", value=30),
        fed("r1", event="dwell", item="y", value=15, at=140.0),
        fed("r1", event="conversion", item=None),
        shown("r2", user="u2", latency_ms=30),
        fed("r2", event="satisfaction", value=-0.5),
        fed("r2", event="satisfaction", value=1.0, at=112.0),
        shown("r3", user="u2", items=()),
    )
    found = evaluate_logs([log], Settings())
    assert {value.metric: value.value for value in found.metrics} == pytest.approx(
        {
            "click_through": 2 / 4,
            "conversion": 1 / 3,
            "dwell": 45 / 3,
            "satisfaction": 0.25,
            "requests": 3 / 2,
            "latency": 20,
            "empty": 1 / 3,
        }
    )
    assert (found.requests, found.users, found.first, found.last) == (3, 2, 100.0, 100.0)
    assert found.ignored == []


BAD = {
    "malformed": [{"type": "impression"}, {"type": "?"}, fed("r1", event="click", item=None)],
    "duplicate_impression": [shown("r1", at=101.0)],
    "duplicate_feedback": [fed("r1"), fed("r1", at=150.0)],
    "unknown_request": [fed("elsewhere")],
    "not_shown": [fed("r1", item="z")],
    "before_impression": [fed("r1", at=99.0, item="y")],
}


@pytest.mark.parametrize("reason", BAD)
def test_bad_events_are_counted_and_change_nothing(tmp_path, reason):
    """One line a reason with the first place; the figures are those of the good events."""
    good = [shown("r1"), fed("r1")]
    found = evaluate_logs([write(tmp_path, *good, *BAD[reason])], Settings())
    assert [(line.reason, line.count) for line in found.ignored] == [(reason, len(BAD[reason]))]
    assert found.ignored[0].line.startswith(f"{tmp_path / 'log.jsonl'}:3: ")
    assert "\n" not in found.ignored[0].line
    assert metric(found, "click_through") == 0.5
    assert found.requests == 1


def test_clock_skew_can_be_allowed_for(tmp_path):
    """Feedback a second early counts when two seconds of skew are told."""
    log = write(tmp_path, shown("r1"), fed("r1", at=99.0))
    assert metric(evaluate_logs([log], Settings()), "click_through") == 0
    assert metric(evaluate_logs([log], Settings(clock_skew=2.0)), "click_through") == 0.5


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (shown("", items=["x"]), "request_id"),
        (shown("r", at=1.7e12), "milliseconds"),
        (shown("r", at=float("nan")), "timestamp"),
        (shown("r", items=["x", "x"]), "once"),
        (shown("r", propensities=[0.5]), "each of the 2 items"),
        (shown("r", teams=["a"]), "teams"),
        (shown("r", targets={"new": {"propensities": [1]}}), "targets.new"),
        (fed("r", event="dwell", value=-1), "negative"),
        (fed("r", event="satisfaction", value=3), "within -1 and 1"),
        (fed("r", event="smile"), "one of click"),
        ({"type": "exposure", "user_id": "u", "timestamp": 5, "experiment": "e"}, "variant"),
        ([], "object"),
    ],
)
def test_a_line_that_breaks_a_rule_is_told(event, said):
    """The rule and what was received."""
    with pytest.raises(InvalidEventError, match=said):
        parse_event(event)


def target(logged, new, **more):
    return {"propensities": logged, "targets": {"new": {"propensities": new, **more}}}


def test_off_policy_by_hand(tmp_path):
    """Weights 2 and 1/2 on one-item pages, the first clicked: IPS 1, SNIPS 4/5, clipped 3/4."""
    log = write(
        tmp_path,
        shown("r1", items=["x"], **target([0.25], [0.5], expected_rewards=[0.5])),
        fed("r1"),
        shown("r2", user="u2", items=["x"], **target([0.5], [0.25])),
    )
    found = evaluate_logs([log], Settings(clip=1.5)).policies[0]
    values = {estimate.estimator: estimate.value for estimate in found.estimates}
    assert values == pytest.approx(
        {
            "logged": 0.5,
            "IPS": 1.0,
            "SNIPS": 0.8,
            "clipped IPS": 0.75,
            "item-position IPS": 1.0,
            "reward-interaction IPS": 1.0,
        }
    )
    assert found.effective == pytest.approx(2.5**2 / 4.25)
    assert any("effective requests" in line for line in found.warnings)


def test_a_prediction_makes_doubly_robust_estimates(tmp_path):
    """Where predictions are logged: 0.5 + 2 (1 - 0.75) and 0.5 - 0.5 * 0.25 over two pages."""
    log = write(
        tmp_path,
        shown(
            "r1",
            items=["x"],
            expected_rewards=[0.75],
            **target([0.25], [0.5], expected_rewards=[0.5]),
        ),
        fed("r1"),
        shown(
            "r2",
            items=["x"],
            expected_rewards=[0.25],
            **target([0.5], [0.25], expected_rewards=[0.5]),
        ),
    )
    found = evaluate_logs([log], Settings()).policies[0]
    values = {estimate.estimator: estimate.value for estimate in found.estimates}
    assert values["direct method"] == 0.5
    assert values["doubly robust"] == values["cascade doubly robust"] == pytest.approx(0.6875)


def test_unusable_propensities_are_left_out(tmp_path):
    """None, 0, beyond 1, and no target: counted, each by its name, and only off-policy."""
    log = write(
        tmp_path,
        shown("good", **target([0.5, 0.5], [0.5, 0.5])),
        shown("none"),
        shown("zero", **target([0.5, 0.0], [0.5, 0.5])),
        shown("beyond", **target([0.5, 0.5], [0.5, 1.5])),
        shown("other", propensities=[0.5, 0.5]),
    )
    found = evaluate_logs([log], Settings())
    assert {line.reason: line.count for line in found.ignored} == {
        "no_propensities": 1,
        "impossible_propensity": 2,
        "no_target": 1,
    }
    assert found.policies[0].requests == 1
    assert found.requests == 5


def test_logs_without_propensities_say_so(tmp_path):
    """No estimate, and a note of what would have to be logged."""
    found = evaluate_logs([write(tmp_path, shown("r1"))], Settings())
    assert found.policies == []
    assert "no impression has `propensities`" in found.notes[0]


def exposed(user, variant="control", at=150.0):
    return {
        "type": "exposure",
        "experiment": "e",
        "variant": variant,
        "user_id": user,
        "timestamp": at,
    }


def test_an_experiment_counts_from_exposure_on(tmp_path):
    """Before it is the past; users of two variants, or of unknown ones, are left out."""
    events = []
    for user, variant in (("a", "control"), ("b", "control"), ("c", "treatment")):
        events += [
            exposed(user, variant),
            shown(f"{user}1", user, at=100.0),
            shown(f"{user}2", user, at=150.0),
        ]
    events += [fed("a1"), fed("b1"), fed("c2", at=160.0), fed("c2", at=160.0, item="y")]
    events += [exposed("d"), exposed("d", "treatment"), exposed("f", "blue")]
    events += [shown("g1", "d", at=160.0), exposed("h", "treatment"), shown("h", "h", at=170.0)]
    test = ExperimentConfig(name="e", cuped=False)
    found = evaluate_logs([write(tmp_path, *events)], Settings(experiments=(test,)))
    result = found.experiments[0]
    assert result.users == {"control": 2, "treatment": 2}
    effect = result.effects[0]
    assert (effect.metric, effect.control, effect.treatment) == ("click_through", 0.0, 0.5)
    assert {line.reason: line.count for line in found.ignored} == {
        "mixed_variants": 1,
        "unknown_variant": 1,
    }


def test_cuped_sees_only_what_was_before_the_start(tmp_path):
    """Pages = pages before + 1 for the treatment: all variance is foretold, the effect is 1."""
    events = []
    for number in range(8):
        user, variant = f"u{number}", ("control", "treatment")[number % 2]
        before = number // 2 + 1
        events += [shown(f"{user} before {n}", user, at=100.0 + n) for n in range(before)]
        events += [shown(f"{user} now {n}", user, at=200.0 + n) for n in range(before + number % 2)]
        events.append(exposed(user, variant, at=200.0))
    test = ExperimentConfig(name="e", start="1970-01-01T00:02:30Z")
    result = evaluate_logs([write(tmp_path, *events)], Settings(experiments=(test,)))
    effect = next(e for e in result.experiments[0].effects if e.metric == "requests")
    assert (effect.control, effect.treatment) == (2.5, 3.5)
    assert effect.difference == pytest.approx(1)
    assert effect.variance_saved == pytest.approx(1)


def test_without_an_exposure_log_the_hash_tells(tmp_path):
    """`exposure: assigned` counts everyone of a variant from the first page after the start."""
    events = [
        shown(f"r{n}-{at}", f"u{n}", at=at) for n in range(40) for at in (100.0, 200.0, 300.0)
    ]
    log = write(tmp_path, *events)
    test = ExperimentConfig(name="e", exposure="assigned", start="1970-01-01T00:02:30Z")
    result = evaluate_logs([log], Settings(experiments=(test,))).experiments[0]
    expected = Counter(assign_all(test, [f"u{n}" for n in range(40)]))
    assert result.users == dict(expected)
    requests = next(effect for effect in result.effects if effect.metric == "requests")
    assert (requests.control, requests.treatment) == (2.0, 2.0)


def test_an_experiment_that_nobody_saw_is_an_error(tmp_path):
    """Rather than an empty table; the line names the experiments that the log has."""
    log = write(tmp_path, shown("r1"), exposed("u1"))
    with pytest.raises(DataError, match="exposures of e"):
        evaluate_logs([log], Settings(experiments=(ExperimentConfig(name="other"),)))
    note = evaluate_logs([log], Settings()).notes[0]
    assert note.startswith("experiment e: 1 users exposed")


def test_interleaved_lists_are_credited_by_user(tmp_path):
    """A user's lists are one vote: u1 for new, u2 for old, u3 undecided."""
    teams = {"teams": ["new", "old"]}
    log = write(
        tmp_path,
        shown("r1", "u1", **teams),
        fed("r1", item="x"),
        shown("r2", "u1", **teams),
        fed("r2", item="x"),
        shown("r3", "u2", **teams),
        fed("r3", item="y"),
        shown("r4", "u3", **teams),
    )
    pair = evaluate_logs([log], Settings()).interleaving[0]
    assert (pair.first, pair.second, pair.lists) == ("new", "old", 4)
    assert (pair.wins, pair.losses, pair.ties, pair.share) == (1, 1, 1, 0.5)


def test_formats_give_the_same_figures(tmp_path):
    """JSON Lines, compressed JSON Lines and Parquet hold the same events."""
    truth = write_logs(tmp_path / "json", 60, seed=1)
    assert 0 < truth["bold"] < 3
    (tmp_path / "parquet").mkdir()
    (tmp_path / "gz").mkdir()
    for file in (tmp_path / "json").glob("*.jsonl"):
        rows = [json.loads(line) for line in file.read_text().splitlines()]
        # Arrow takes the columns from the first row alone.
        names = dict.fromkeys(name for row in rows for name in row)
        table = pa.Table.from_pylist([{name: row.get(name) for name in names} for row in rows])
        pq.write_table(table, tmp_path / "parquet" / f"{file.stem}.parquet")
        with gzip.open(tmp_path / "gz" / f"{file.stem}.jsonl.gz", "wt") as out:
            out.write(file.read_text())
    found = [
        evaluate_logs([tmp_path / kind], Settings(rounds=20)) for kind in ("json", "gz", "parquet")
    ]
    assert found[0] == found[1] == found[2]
    assert found[0].requests > 100 and found[0].policies


def test_wrong_paths_and_files_are_told(tmp_path):
    """Missing, of another kind, empty, cut off."""
    with pytest.raises(DescriptionError, match="must exist"):
        find_logs([tmp_path / "gone"])
    with pytest.raises(DescriptionError, match="none"):
        find_logs([tmp_path])
    (tmp_path / "a.csv").write_text("x")
    with pytest.raises(DescriptionError, match="a log is"):
        find_logs([tmp_path / "a.csv"])
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    with pytest.raises(CorruptDataError, match="readable to its end"):
        evaluate_logs([tmp_path / "a.parquet"], Settings())
    with pytest.raises(DataError, match="one impression"):
        evaluate_logs([write(tmp_path, fed("r1"))], Settings())
    with pytest.raises(DescriptionError, match="clip"):
        Settings(clip=0)


def test_lists_of_several_lengths_are_padded_with_weight_one(tmp_path):
    """A short list's missing slots change neither weight nor reward."""
    log = write(
        tmp_path,
        shown("r1", items=["x"], **target([0.5], [1.0])),
        fed("r1"),
        shown("r2", user="u2", items=["x", "y", "z"], **target([0.5] * 3, [0.25] * 3)),
        fed("r2", item="z"),
    )
    found = evaluate_logs([log], Settings())
    values = {estimate.estimator: estimate.value for estimate in found.policies[0].estimates}
    assert values["IPS"] == pytest.approx((2 + 1 / 8) / 2)
    assert values["item-position IPS"] == pytest.approx((2 + 1 / 2) / 2)
    assert np.isfinite(values["reward-interaction IPS"])
