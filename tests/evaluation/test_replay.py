"""A replay learns from before each period alone, and its figures are those of the period."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from tests.baselines.cases import DAY, item_table, timelines
from tests.evaluation.test_audit import EVENTS, write
from tests.records import spec, write_prepared
from tfrec.baselines import EASE, Popularity
from tfrec.cli import main
from tfrec.errors import DescriptionError
from tfrec.evaluation import HeldOut, rank_vectors
from tfrec.evaluation.replay import chart, cut_at, page, period_edges, replay, table, write_cut
from tfrec.input import ItemTable, Timelines

RNG = np.random.default_rng(3)
# 30 users, one event a day each for 15 days, of 40 items.
ROWS = [(u, int(item), day) for u in range(30) for day, item in enumerate(RNG.permutation(40)[:15])]
ALL = timelines(ROWS)
ITEMS = item_table(40)


def replayed(everything=ALL, periods=3, **options):
    edges = period_edges(ALL.timestamp, periods)
    chosen = {"baselines": (Popularity, EASE)} | options
    return replay(ITEMS, everything, edges, data="d", fingerprint="f", **chosen)


def test_periods_have_equally_many_events_after_a_warm_up():
    """Ten moments, two periods: 40 % before, then three fifths in three parts."""
    edges = period_edges(np.arange(10), 2)
    assert edges.tolist() == [4, 6, 8, 10]
    by_day = period_edges(np.arange(10) * DAY, 2, days=2)
    assert by_day.tolist() == [9 * DAY + 1 - n * DAY for n in (6, 4, 2, 0)]


@pytest.mark.parametrize(("periods", "days"), [(20, None), (2, 4.0)])
def test_periods_without_events_or_past_are_refused(periods, days):
    """A figure of nothing would be a zero."""
    with pytest.raises(DescriptionError, match="every period, and the time before"):
        period_edges(np.arange(10) * DAY, periods, days)


def test_a_cut_holds_what_was_known_and_counts_it_again():
    """Popularity is that of the train part of the moment, and no user without events is left."""
    edges = np.array([2, 3, 4, 5]) * DAY
    cut = cut_at(ITEMS, timelines([(0, 1, 1), (0, 2, 2), (1, 1, 1, 0), (1, 3, 4)]), edges, 1)
    days = {name: (part.timestamp // DAY).tolist() for name, part in cut.parts.items()}
    assert days == {"train": [1, 2, 1], "validation": [], "test": [4]}
    assert cut.parts["test"].user_ids.tolist() == ["u1"] and len(cut.parts["validation"]) == 0
    assert cut.items.train_count.tolist()[:4] == [0, 1, 1, 0]  # the dislike of item 1 counts none
    assert cut.items.train_last.tolist()[:3] == [0, DAY, 2 * DAY]


def test_what_comes_later_changes_nothing_before():
    """The guard of the whole: other events in the last period, equal figures in the others."""
    edges = period_edges(ALL.timestamp, 3)
    late = ALL.timestamp >= edges[3]
    items = np.where(late, (ALL.item_index + 7) % 40, ALL.item_index).astype(np.int32)
    before, after = replayed(), replayed(replace(ALL, item_index=items))
    assert before.periods[:2] == after.periods[:2]
    assert before.periods[2] != after.periods[2]


def test_a_period_is_judged_as_by_an_evaluation_of_its_own():
    """Popularity's figure, from the question built by hand."""
    edges = period_edges(ALL.timestamp, 3)
    cut = cut_at(ITEMS, ALL, edges, 0)
    before = timelines([row for row in ROWS if row[2] * DAY < edges[1]])
    asked = timelines([row for row in ROWS if edges[1] <= row[2] * DAY < edges[2]])
    held_out = HeldOut.build("test", cut.items, cut.parts["train"], before, asked)
    count = cut.items.train_count.astype(np.float32)
    ranked = rank_vectors("p", np.ones((len(held_out), 1), np.float32), count[:, None], held_out)
    place = {
        user: [n for n, item in enumerate(row, 1) if item in held_out.relevant[user]]
        for user, row in enumerate(ranked.lists["all"][:, :20].tolist())
    }
    gain = [sum(1 / np.log2(n + 1) for n in found) for found in place.values()]
    ideal = [sum(1 / np.log2(n + 2) for n in range(c)) for c in held_out.relevant.counts]
    found = replayed().periods[0]
    assert found.systems["popularity"].value == pytest.approx(np.mean(np.divide(gain, ideal)))
    assert found.users == len(held_out) and found.train_events == before.events - 60


def test_means_winners_and_the_verdict_are_those_of_the_periods():
    """And a model's rankings, once given, stand beside the others."""
    perfect = []

    def trained(number, cut, held_out):
        perfect.append(number)
        queries = np.zeros((len(held_out), 40), np.float32)
        queries[held_out.relevant.row_of, held_out.relevant.indices] = 1
        return rank_vectors("oracle", queries, np.eye(40, dtype=np.float32), held_out)

    found = replayed(trained=trained)
    assert perfect == [0, 1, 2] and found.mean["oracle"] == pytest.approx(1)
    assert found.best_in == {"popularity": 0, "EASE": 0, "oracle": 3}
    values = [one.systems["EASE"].value for one in found.periods]
    assert found.mean["EASE"] == pytest.approx(np.mean(values))
    assert found.deviation["EASE"] == pytest.approx(np.std(values, ddof=1))
    assert found.verdict.startswith("oracle is best on average, ndcg@20 1.0000, and in 3 of 3")
    for text in (table(found), page(found)):
        assert "oracle" in text and f"{found.mean['EASE']:.4f}" in text
    assert chart(found).count("<path") == 3 and "http" not in page(found)
    assert chart(found, standalone=True).startswith("<svg ")


def test_a_cut_written_is_the_cut_read(tmp_path):
    """Records of users with profile and context, of items with features: all come back."""
    data = write_prepared(
        tmp_path / "data",
        EVENTS,
        items=12,
        specs=[spec("year", "numeric", mean=0.0, deviation=1.0)],
        values={"year": [float(n) if n % 2 else None for n in range(12)]},
        profile=[spec("tags", "tags", vocabulary_size=6), spec("age", "numeric")],
        profiles={"tags": [[2, 3], [4]] * 3, "age": [1.5, None] * 3},
        contexts=[spec("hour", "numeric")],
    )
    everything = Timelines.concatenate(
        *(Timelines.load(data, split) for split in ("train", "validation", "test"))
    )
    items = ItemTable.load(data)
    cut = cut_at(items, everything, np.array([150, 400, 505, 990]), 0)
    again = write_cut(data, cut, tmp_path / "again")
    for split, part in cut.parts.items():
        read = Timelines.load(again, split)
        assert read.user_ids.tolist() == part.user_ids.tolist()
        for name in ("offsets", "item_index", "timestamp", "label", "event"):
            np.testing.assert_array_equal(getattr(read, name), getattr(part, name))
        np.testing.assert_array_equal(read.context["hour"], part.context["hour"])
        for name in ("tags", "age"):
            np.testing.assert_array_equal(read.profile_present[name], part.profile_present[name])
        np.testing.assert_array_equal(read.profile["age"], part.profile["age"])
        width = read.profile["tags"].shape[1]
        np.testing.assert_array_equal(read.profile["tags"], part.profile["tags"][:, :width])
    read_items = ItemTable.load(again)
    np.testing.assert_array_equal(read_items.train_count, cut.items.train_count)
    np.testing.assert_array_equal(read_items.train_last, cut.items.train_last)
    np.testing.assert_array_equal(read_items.features["year"], items.features["year"])
    np.testing.assert_array_equal(read_items.present["year"], items.present["year"])


def test_a_retraining_without_a_replay_is_told():
    """An option that would do nothing is refused."""
    assert main(["audit", "data", "run", "--retrain", "ids"]) == 2
    assert main(["audit", "data", "run", "--replay", "--periods", "0"]) == 2


@pytest.mark.slow
def test_the_command_replays_and_retrains(tmp_path, capsys):
    """The files, the table, and the model beside the cheap ones."""
    # Each user meets the twelve items in an order of the user's own, one every 100 seconds.
    met = [(u, (5 * u + 7 * n) % 12, 100 * n + u, 1.0) for u in range(6) for n in range(12)]
    events = {
        "train": [event for event in met if event[2] < 800],
        "validation": [event for event in met if 800 <= event[2] < 1000],
        "test": [event for event in met if event[2] >= 1000],
    }
    data, run = write(tmp_path / "data", events=events), tmp_path / "run"
    options = ["--config", "ids", "--set", "training.epochs=1", "--set", "dimension=8"]
    assert main(["train", str(data), str(run), *options]) == 0
    capsys.readouterr()
    retrain = ["--retrain", str(run / "config.yaml"), "--periods", "2"]
    # The rules find the made-up cuts at fault; a replay follows all the same.
    assert main(["audit", str(data), str(run), "--replay", *retrain]) == 1
    out = capsys.readouterr().out
    found = json.loads((run / "replay.json").read_text())
    assert "ids" in found["mean"] and found["verdict"] in out
    assert (run / "replay.svg").read_text().startswith("<svg ")
    assert (run / "replay.html").read_text().startswith("<!doctype html>")
