"""Each guard, broken on purpose, fails the audit; whole data passes it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.records import spec, write_prepared
from tfrec.cli import main
from tfrec.config import CommentsConfig, SplitConfig
from tfrec.evaluation.audit import Audited, audit
from tfrec.evaluation.held_out import HeldOut
from tfrec.input import Timelines
from tfrec.schema import DataLayout, Shard

ITEMS = 12
# The last two items have no train event. Users like three items each, then one, then one.
EVENTS = {
    "train": [(u, (3 * u + n) % 10, 100 * n + u, 1.0) for u in range(6) for n in range(3)],
    "validation": [(u, (3 * u + 4) % 10, 500 + u, 1.0) for u in range(6)],
    "test": [(u, 10 + u % 2, 900 + u, 1.0) for u in range(6)],
}
YEARS = np.array([1990.0 + item for item in range(ITEMS)])
TRAINED = np.array(sorted({item for _, item, _, _ in EVENTS["train"]}))
COMMENTS_ON_0 = (("u0", "what a lovely song", 50), ("u2", "the future has spoken", 800))


def standardised(values: np.ndarray, fitted_on: np.ndarray) -> tuple[list[float], float, float]:
    mean, deviation = float(values[fitted_on].mean()), float(values[fitted_on].std())
    return [float(v) for v in (values - mean) / deviation], mean, deviation


def write(
    root: Path,
    *,
    events: Mapping[str, Any] = EVENTS,
    fitted_on: np.ndarray = TRAINED,
    vocabulary: str = "loud\nsoft\n",
    genres: Callable[[int], list[int]] = lambda item: [2] if item % 3 else [3],
    comments: str = "what a lovely song",
    counts: Mapping[int, int] | None = None,
    titles: Callable[[int], list[float]] = lambda item: [np.cos(item), np.sin(item), item % 5],
    method: str = "global_time",
) -> Path:
    """Prepared data, whole unless something is changed."""
    years, mean, deviation = standardised(YEARS, fitted_on)
    number = np.log1p(np.array([dict(counts or {0: 1}).get(i, 0) for i in range(ITEMS)], float))
    # What it counts and what it was fitted on are rules of their own: always fitted on train.
    numbers, count_mean, count_deviation = standardised(number, TRAINED)
    write_prepared(
        root,
        events,
        items=ITEMS,
        specs=[
            spec("year", "numeric", mean=mean, deviation=deviation),
            spec(
                "genres",
                "tags",
                vocabulary="vocabulary/genres.txt",
                vocabulary_size=2 + vocabulary.count("\n"),
            ),
            spec("title", "embedding", dimension=3),
            spec("comments", "text"),
            spec("comments_sentiment", "numeric"),
            spec("comments_count", "numeric", mean=count_mean, deviation=count_deviation),
        ],
        values={
            "year": years,
            "genres": [genres(item) for item in range(ITEMS)],
            "title": [titles(item) for item in range(ITEMS)],
            "comments": [comments, *[None] * (ITEMS - 1)],
            "comments_sentiment": [None] * ITEMS,
            "comments_count": numbers,
        },
    )
    (root / "vocabulary" / "genres.txt").write_text(vocabulary)
    layout = DataLayout(root)
    manifest = layout.read_manifest()
    dataset = manifest.dataset.model_copy(
        update={
            "comments": CommentsConfig(path="comments.csv"),
            "split": SplitConfig(method=method),  # type: ignore[arg-type]
        }
    )
    cuts = {"validation": 500, "test": 900} if method == "global_time" else {}
    manifest = manifest.model_copy(update={"dataset": dataset, "split_times": cuts})
    layout.manifest_path.write_text(manifest.model_dump_json())
    rows = [f"{user},i0,{text},{time}" for user, text, time in COMMENTS_ON_0]
    (root / "comments.csv").write_text("\n".join(["user_id,item_id,text,timestamp", *rows]) + "\n")
    return root


def findings(
    root: Path,
    *,
    lists: np.ndarray | None = None,
    change: Callable[[Audited], Audited] | None = None,
    question: Callable[[HeldOut], HeldOut] = lambda held_out: held_out,
) -> dict[str, tuple[str, str]]:
    """By rule, status and detail."""
    data = Audited.load(root)
    before = Timelines.concatenate(data.train, data.parts["validation"])
    held_out = HeldOut.build("test", data.items, data.train, before, data.parts["test"])
    data = data if change is None else change(data)
    if lists is None:
        lists = np.array([[11 - u % 2, 10 + u % 2] for u in range(6)])
    found = audit(data, question(held_out), lists, data_root=root)
    return {finding.rule: (finding.status, finding.detail) for finding in found}


def faults(found: Mapping[str, tuple[str, str]]) -> list[str]:
    return [rule for rule, (status, _) in found.items() if status == "fault"]


def test_whole_data_passes_every_rule(tmp_path: Path) -> None:
    """Nothing is found where nothing is wrong; each rule is really applied."""
    found = findings(write(tmp_path / "data"))
    assert faults(found) == []
    not_applied = {rule for rule, (status, _) in found.items() if status == "skipped"}
    assert not_applied == {"records"}
    assert "1 comments in items, none later than the train part (1 later" in found["comments"][1]


def test_recommending_what_was_seen_is_a_fault(tmp_path: Path) -> None:
    """Unmasked: user 2 gets the item of the own validation part."""
    lists = np.array([[11, 10]] * 6)
    lists[2, 1] = (3 * 2 + 4) % 10
    found = findings(write(tmp_path / "data"), lists=lists)
    assert faults(found) == ["seen items"]
    assert "'i0' at rank 2 for user 'u2'" in found["seen items"][1]
    lists[2] = 11
    assert faults(findings(tmp_path / "data", lists=lists)) == ["seen items"]


def test_a_vocabulary_fitted_on_test_is_a_fault(tmp_path: Path) -> None:
    """A value of the last item, which only the test part has."""
    root = write(
        tmp_path / "data",
        vocabulary="loud\nsoft\nzydeco\n",
        genres=lambda item: [4] if item == 11 else [2] if item % 3 else [3],
    )
    found = findings(root)
    assert faults(found) == ["vocabularies"]
    assert (
        "item feature genres knows 'zydeco', which the train part has 0 times"
        in (found["vocabularies"][1])
    )


def test_a_vocabulary_counted_on_more_than_train_is_a_fault(tmp_path: Path) -> None:
    """All values occur in the train part, but in the order of other counts."""
    root = write(
        tmp_path / "data",
        vocabulary="soft\nloud\n",
        genres=lambda item: [3] if item % 3 else [2],
    )
    assert faults(findings(root)) == ["vocabularies"]


def test_a_mean_fitted_on_all_items_is_a_fault(tmp_path: Path) -> None:
    """The years of the two new items moved it."""
    found = findings(write(tmp_path / "data", fitted_on=np.arange(ITEMS)))
    assert faults(found) == ["means and deviations"]
    assert found["means and deviations"][1].startswith("year has mean -0.")


def test_a_count_that_holds_later_parts_is_a_fault(tmp_path: Path) -> None:
    """Popularity of test items would tell the future."""

    def counted(data: Audited) -> Audited:
        count = data.items.train_count.copy()
        count[10] += 3
        return replace(data, items=replace(data.items, train_count=count))

    found = findings(write(tmp_path / "data"), change=counted)
    assert "item statistics" in faults(found)
    assert "item 'i10' has 3, the train part says 0" in found["item statistics"][1]


def test_a_comment_of_the_future_is_a_fault(tmp_path: Path) -> None:
    """Joined as text, or only counted."""
    joined = write(
        tmp_path / "joined", comments="what a lovely song. the future has spoken", counts={0: 1}
    )
    found = findings(joined)
    assert faults(found) == ["comments"]
    assert "'i0' holds a comment of the future: 'the future has spoken'" in found["comments"][1]
    counted = findings(write(tmp_path / "counted", counts={0: 2}))
    assert faults(counted) == ["comments"]
    assert "'i0' counts 2, 1 were written before" in counted["comments"][1]


def test_a_sentiment_of_the_future_is_a_fault(tmp_path: Path) -> None:
    """User 2's event on item 0 exists in validation only; user 0's mood comes from before it."""
    root = write(tmp_path / "data")

    def felt(data: Audited) -> Audited:
        sentiment = data.train.sentiment.copy()
        sentiment[0] = 0.9  # user 0 on item 0 at time 0; the comment is of time 50
        return replace(
            data, parts={**data.parts, "train": replace(data.train, sentiment=sentiment)}
        )

    assert faults(findings(root, change=felt)) == []

    def foreseen(data: Audited) -> Audited:
        sentiment = data.train.sentiment.copy()
        sentiment[1] = 0.9  # user 0 on item 1: nobody commented on it
        return replace(
            data, parts={**data.parts, "train": replace(data.train, sentiment=sentiment)}
        )

    assert faults(findings(root, change=foreseen)) == ["sentiment of events"]


@pytest.mark.parametrize("method", ["global_time", "per_user_time"])
def test_history_after_its_target_is_a_fault(tmp_path: Path, method: str) -> None:
    """A train event later than the user's test event: order and time travel both tell."""
    events = {**EVENTS, "train": [*EVENTS["train"], (3, 1, 5000, 1.0)]}
    found = findings(write(tmp_path / "data", events=events, method=method))
    assert {"parts in order", "time travel"} <= set(faults(found))


def test_a_ready_made_split_may_travel_but_is_told(tmp_path: Path) -> None:
    """The column asks for it: a warning, not a fault."""
    events = {**EVENTS, "train": [*EVENTS["train"], (3, 1, 5000, 1.0)]}
    found = findings(write(tmp_path / "data", events=events, method="column"))
    assert found["time travel"] == (
        "warning",
        "1 of 6 users of the validation part and 1 of 6 users of the test part have history after"
        " their first target; the ready-made column asks so, figures are optimistic",
    )


def test_an_event_in_two_parts_is_a_fault(tmp_path: Path) -> None:
    """Learnt, and then asked for."""
    events = {**EVENTS, "train": [*EVENTS["train"], EVENTS["test"][0]]}
    found = findings(write(tmp_path / "data", events=events, method="column"))
    assert "parts apart" in faults(found)
    assert "both the train and the test part" in found["parts apart"][1]


def test_an_index_of_another_item_or_user_is_a_fault(tmp_path: Path) -> None:
    """Vocabularies of ids are the catalogue and the events' users."""
    root = write(tmp_path / "data")
    path = root / "vocabulary" / "item_id.txt"
    path.write_text(path.read_text() + "i99\n")
    assert faults(findings(root)) == ["ids"]
    path.write_text("".join(f"i{item}\n" for item in range(ITEMS)))
    users = root / "vocabulary" / "user_id.txt"
    users.write_text("u1\nu0\n" + "".join(f"u{user}\n" for user in range(2, 6)))
    assert faults(findings(root)) == ["ids"]


def test_a_changed_file_is_a_fault(tmp_path: Path) -> None:
    """The records are no longer what preprocessing wrote."""

    def listed(data: Audited) -> Audited:
        path = next(iter(sorted((data.layout.root / "items").iterdir())))
        shard = Shard(path=f"items/{path.name}", records=6, size=1, sha256="0" * 64)
        return replace(data, manifest=data.manifest.model_copy(update={"shards": (shard,)}))

    assert faults(findings(write(tmp_path / "data"), change=listed)) == ["records"]


def test_a_target_that_was_known_is_a_fault(tmp_path: Path) -> None:
    """It would be a hit that nobody may recommend."""

    def known(held_out: HeldOut) -> HeldOut:
        return replace(held_out, seen=held_out.relevant)

    found = findings(write(tmp_path / "data"), question=known)
    assert faults(found) == ["targets"]
    assert found["targets"][1] == "6 relevant items are in their user's past"


def test_copies_of_known_items_and_users_are_told(tmp_path: Path) -> None:
    """Item 11 is item 2 again; user 6 repeats user 0. Warnings: nothing has leaked by itself."""
    again = {split: [*events, *((6, i, t + 1, y) for u, i, t, y in events if u == 0)]
             for split, events in EVENTS.items()}  # fmt: skip
    root = write(
        tmp_path / "data",
        events=again,
        titles=lambda item: [np.cos(item % 9), np.sin(item % 9), item % 9 % 5],
    )
    lists = np.array([[11 - u % 2, 10 + u % 2] for u in range(7)])
    found = findings(root, lists=lists)
    assert faults(found) == []
    assert found["near-duplicate items"][0] == "warning"
    assert "'i11' and 'i2'" in found["near-duplicate items"][1] or (
        "'i10' and 'i1'" in found["near-duplicate items"][1]
    )
    assert found["identical users"] == (
        "warning",
        "1 users repeat another's items in the same order, first 'u6' those of 'u0'",
    )


@pytest.mark.slow
def test_the_command_fails_with_a_fault_and_passes_without(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run's own lists hold nothing seen; lists written without --exclude-seen do."""
    data, run = write(tmp_path / "data"), tmp_path / "run"
    options = ["--config", "ids", "--set", "training.epochs=1", "--set", "dimension=8"]
    assert main(["train", str(data), str(run), *options]) == 0
    capsys.readouterr()
    assert main(["audit", str(data), str(run), "--data-root", str(data)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "13 ok, 1 skipped" and len(lines) == 15
    lists = tmp_path / "lists.parquet"
    assert main(["recommend", str(run), "--output", str(lists), "--k", "12"]) == 0
    capsys.readouterr()
    assert main(["audit", str(data), str(run), "--lists", str(lists), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert not found["passed"]
    status = {rule["rule"]: rule["status"] for rule in found["rules"]}
    assert status["seen items"] == "fault" and status["comments"] == "skipped"
