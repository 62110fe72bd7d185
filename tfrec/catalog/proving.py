"""Proves a changed catalogue before it is published, beside the version it was made from.

warm-up requests answered ─▶ users and kept items as before ─▶ new items there ─▶ removed ones gone
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfrec.catalog.catalogue import Catalogue, Edit
from tfrec.errors import ExportError
from tfrec.export.session import ServedModel
from tfrec.export.variables import Variables
from tfrec.export.warmup import WARMUP_FILE

__all__ = ["prove_change"]

# The same variables and the same graph: what differs is the order of sums, at most.
TOLERANCE = 1e-5
_USERS, _ITEMS = 8, 200
# The cosine of a text and itself, kept in 8 bits, on another machine perhaps.
_SAME_TEXT = 0.99
_LOWEST = np.finfo(np.float32).min


def prove_change(before: Catalogue, after: Path, edit: Edit) -> float:
    """Asks both versions.

    Args:
        before: The version it was made from.
        after: The folder of the new one, not published yet.
        edit: What was changed.

    Returns:
        The largest difference of a kept item's score.

    Raises:
        ExportError: The new version refuses a warm-up request, scores kept items otherwise, lacks a
            new item or holds a removed one.
    """
    changed = Catalogue(after)
    try:
        with ServedModel(before.version) as old, ServedModel(after) as new:
            for signature, inputs in _warmup(after):
                new.run(signature, inputs)
            users = _users(before.variables)
            difference = _same_scores(after, old, new, users, _kept(before, changed, edit))
            _all_there(after, new, users[:1], edit, changed)
    except tf.errors.OpError as error:
        raise _fault(after, f"{type(error).__name__}: {error.message.splitlines()[0]}") from error
    return difference


def _warmup(version: Path) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
    from tensorflow_serving.apis import prediction_log_pb2

    path = version / WARMUP_FILE
    if not path.exists():
        return
    for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
        log = prediction_log_pb2.PredictionLog.FromString(record)
        request = log.predict_log.request
        yield (
            request.model_spec.signature_name,
            {name: tf.make_ndarray(value) for name, value in request.inputs.items()},
        )


def _users(variables: Variables) -> np.ndarray:
    users = variables.read("users/values")[:-1]
    chosen = np.linspace(0, max(len(users) - 1, 0), min(_USERS, len(users))).astype(int)
    return np.append(users[chosen], "\ue000nobody".encode())


def _kept(before: Catalogue, after: Catalogue, edit: Edit) -> list[str]:
    kept = [
        item
        for place, item in enumerate(before.ids)
        if before.live[place] and item not in edit.vectors and after.holds(item)
        if item not in edit.parked
    ]
    return [
        kept[i] for i in np.linspace(0, len(kept) - 1, min(_ITEMS, len(kept))).astype(int) if kept
    ]


def _same_scores(
    after: Path, old: ServedModel, new: ServedModel, users: np.ndarray, items: list[str]
) -> float:
    if not items:
        return 0.0
    one, other = _scores(old, users, items), _scores(new, users, items)
    difference = float(np.abs(one - other).max() / max(1.0, float(np.abs(one).max())))
    if not difference <= TOLERANCE:
        raise _fault(after, f"a kept item's score differs by {difference:.2g}")
    return difference


def _scores(served: ServedModel, users: np.ndarray, items: list[str]) -> np.ndarray:
    row = np.array([item.encode() for item in items], object)
    inputs: dict[str, Any] = {
        "user_id": users,
        "history": np.empty((len(users), 0), object),
        "item_ids": np.tile(row, (len(users), 1)),
    }
    return served.run("score", inputs)["scores"]


def _all_there(
    after: Path, new: ServedModel, user: np.ndarray, edit: Edit, changed: Catalogue
) -> None:
    """Every new item has a score, every removed one none, and none of these is recommended."""
    there = sorted({*edit.vectors, *edit.unparked} - edit.removed - edit.parked)
    gone = sorted(edit.removed | edit.parked)
    for items, good in ((there, True), (gone, False)):
        for start in range(0, len(items), 1000):
            part = items[start : start + 1000]
            found = _scores(new, user, part)[0] > _LOWEST
            if (found != good).any():
                item = part[int(np.flatnonzero(found != good)[0])]
                raise _fault(after, f"{item!r} is {'missing' if good else 'still there'}")
    k = min(int(changed.live.sum()), 1000)
    none = np.empty((1, 0), object)
    inputs = {"user_id": user, "history": none, "exclude": none, "k": np.array([k], np.int32)}
    answers = [new.run("recommend", inputs)]
    if changed.file.texts:
        query = {"query": np.array([b"a"], object), "exclude": none, "k": inputs["k"]}
        answers.append(new.run("search", query))
        _found_by_title(after, new, edit, there)
    answer = {item.decode() for each in answers for item in each["item_ids"][0]}
    if answer & set(gone):
        raise _fault(after, f"{min(answer & set(gone))!r} is recommended")


def _found_by_title(after: Path, new: ServedModel, edit: Edit, items: list[str]) -> None:
    """Of a new item's own title the cosine is 1; many may have the same title."""
    titles = [(i, edit.columns[i].title) for i in items if i in edit.columns]
    titled = [(item, title) for item, title in titles if title and title.strip()][:_USERS]
    if not titled:
        return
    query = {
        "query": np.array([title.encode() for _, title in titled], object),
        "exclude": np.empty((len(titled), 0), object),
        "k": np.ones(len(titled), np.int32),
    }
    scores = new.run("search", query)["scores"][:, 0]
    if (scores < _SAME_TEXT).any():
        raise _fault(after, f"{titled[int(scores.argmin())][0]!r} isn't found by its title")


def _fault(after: Path, received: str) -> ExportError:
    return ExportError(
        str(after),
        "a changed catalogue answers its warm-up requests and keeps what wasn't changed",
        received=received,
        remedy="Nothing was published; remove fewer items, or export the run again",
    )
