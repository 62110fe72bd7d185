"""A file of lists is read whole or refused in one line; what is left out is counted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tfrec.errors import DataError
from tfrec.evaluation.predictions import Predictions, read_predictions

USERS = np.array(["u0", "u1", "u2"], object)
ITEMS = np.array(["a", "b", "c", "d"], object)
ROWS = [
    ("u1", 2, "c", 0.5),
    ("u1", 1, "a", 0.9),
    ("u0", 1, "d", 0.1),
    ("u1", 3, "a", 0.4),  # again
    ("u1", 4, "b", 0.3),
    ("u9", 1, "a", 0.2),  # no user of the split
    ("u0", 2, "z", 0.1),  # no item
]


def read(tmp_path: Path, rows: Any = ROWS, k: int = 2, **columns: Any) -> Predictions:
    names = ("user_id", "rank", "item_id", "score")
    table: dict[str, Any] = dict(zip(names, zip(*rows, strict=True), strict=True)) if rows else {
        name: [] for name in names
    }  # fmt: skip
    table = {name: values for name, values in (table | columns).items() if values is not None}
    path = tmp_path / "lists.parquet"
    pq.write_table(pa.table({name: list(values) for name, values in table.items()}), path)
    return read_predictions(path, USERS, ITEMS, k)


def test_lists_are_in_the_users_order_and_what_is_left_out_is_counted(tmp_path: Path) -> None:
    """Rows in any order; a repeat keeps the best rank and moves the others up."""
    found = read(tmp_path)
    assert found.lists.tolist() == [[3, -1], [0, 2], [-1, -1]]
    assert (found.unknown_users, found.unknown_items, found.duplicates) == (1, 1, 1)
    assert (found.beyond, found.short, found.without) == (1, 1, 1)
    assert "1 repeats of an item ignored" in found.ignored()
    assert read(tmp_path, k=3).lists[1].tolist() == [0, 2, 1]


def test_ids_that_are_numbers_match_ids_that_are_text(tmp_path: Path) -> None:
    """Another library's file often has integers."""
    path = tmp_path / "numbers.parquet"
    pq.write_table(pa.table({"user_id": [7], "rank": [1], "item_id": [42]}), path)
    found = read_predictions(path, np.array(["7"], object), np.array(["41", "42"], object), 1)
    assert found.lists.tolist() == [[1]] and found.ignored() == ""


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rank": None}, "no rank among user_id, item_id, score"),
        ({"score": [0.1, float("nan"), *[0.0] * 5]}, "1 NaN or infinite, first in row 2"),
        ({"rank": [0, 1, 1, 3, 4, 1, 2]}, "a rank is a number from 1 on"),
        ({"rank": [1, 1, 1, 3, 4, 1, 2]}, "rank 1 twice for user 'u1'"),
        ({"item_id": ["a", None, *"cdabc"]}, "`item_id` may not be null"),
        ({"user_id": ["x"] * 7}, "predictions are for users of the split"),
        ({"rows": []}, "an empty file"),
    ],
)
def test_a_wrong_file_is_one_clear_line(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    """Each would otherwise be judged, silently, as something else."""
    with pytest.raises(DataError, match=message) as caught:
        read(tmp_path, **change)
    assert "\n" not in str(caught.value)


def test_what_is_no_parquet_file_is_refused(tmp_path: Path) -> None:
    """A CSV by mistake."""
    path = tmp_path / "lists.csv"
    path.write_text("user_id,rank,item_id\n")
    with pytest.raises(DataError, match="predictions are a Parquet file"):
        read_predictions(path, USERS, ITEMS, 1)
