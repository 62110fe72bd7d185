"""docs/metrics.md names every metric that the code emits, and none that it doesn't."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from tests.evaluation.test_metrics import by_hand
from tests.records import spec
from tfrec.evaluation import (
    HeldOut,
    beyond_accuracy,
    evaluate,
    measure_latency,
    rank_vectors,
    score_metrics,
    uncertainty,
)
from tfrec.input import ItemTable, Timelines

TABLE = Path(__file__).parents[2] / "docs" / "metrics.md"
# Parts of figures, and what a figure is a parameter of.
NOT_METRICS = {"Reliability", "Difference", "Interval", "bootstrap_intervals", "exposure"}
# The catalogue's figures carry names of their own.
UNDER_ANOTHER_NAME = {"intra_list_diversity": "diversity"}


def documented() -> set[str]:
    """The first column's names, without their depth."""
    rows = re.findall(r"^\| `([a-z_0-9]+)(?:@\w+)?` \|", TABLE.read_text(encoding="utf-8"), re.M)
    assert len(rows) == len(set(rows))
    return set(rows)


def small() -> HeldOut:
    """Two users, three items, one of them cold."""
    items = ItemTable(
        ids=np.array(["a", "b", "c"], object),
        train_count=np.array([2, 1, 0]),
        train_last=np.zeros(3, np.int64),
        train_weight=np.zeros(3, np.float32),
        features={"year": np.array([1.0, 2.0, 3.0], np.float32)},
        encoded={},
        present={"year": np.ones(3, bool)},
        specs={"year": spec("year", "numeric")},
    )
    ones = np.ones(3, np.float32)
    train = Timelines(
        user_ids=np.array(["u", "v"], object),
        user_index=np.arange(2, dtype=np.int32),
        offsets=np.array([0, 1, 3]),
        item_index=np.array([0, 0, 1], np.int32),
        timestamp=np.arange(3),
        context={},
        profile={},
        profile_present={},
        event=np.zeros(3, np.int32),
        label=ones,
        weight=ones,
        dwell=ones,
        sentiment=ones,
    )
    targets = train.select(np.array([0, 1]))
    targets.item_index[:] = 2
    return HeldOut.build("test", items, train, train, targets)


def test_every_metric_is_in_the_table_and_the_table_has_no_other():
    """Who reads metrics.json finds the formula of each name."""
    held_out = small()
    vectors = np.array([[1.0], [3.0], [2.0]], np.float32)
    catalogue = evaluate(
        held_out,
        [rank_vectors("model", np.ones((2, 1), np.float32), vectors, held_out)],
        model="m",
        data="d",
        fingerprint="f",
        latency=measure_latency(lambda user: None, 1),
    ).catalogue["model"]
    listed = {name.partition("@")[0] for name in by_hand().all([5])}
    emitted = listed | {"graded_ndcg", "r_precision"}
    emitted |= {name.partition("@")[0] for name in catalogue}
    for module in (score_metrics, beyond_accuracy, uncertainty):
        names = set(module.__all__) - NOT_METRICS
        emitted |= {UNDER_ANOTHER_NAME.get(name, name) for name in names}
    assert emitted == documented()
