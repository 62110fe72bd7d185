"""Conditions and explanations between a client's words and a signature's tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from serving.requests import predict_outputs
from tfrec.errors import ServingError

__all__ = ["Condition", "Explained", "condition_inputs", "explanations"]

# Values, one of which an item has; or the least and the greatest number, None for no bound.
Condition = str | Sequence[str] | tuple[float | None, float | None]


@dataclass(frozen=True)
class Explained:
    """Why an item has its score.

    Attributes:
        item_id: The item.
        score: Its score.
        reason: A sentence.
        modalities: Shares of the score by what is known of the item; they add up to it.
        query: Shares by what is known of the user; they add up to it too.
        history: Items of the history that moved the score most, with their shares of it.
    """

    item_id: str
    score: float
    reason: str
    modalities: Mapping[str, float]
    query: Mapping[str, float]
    history: tuple[tuple[str, float], ...]


def condition_inputs(where: Mapping[str, Condition], rows: int) -> dict[str, np.ndarray]:
    """The inputs of `recommend_filtered` beside those of `recommend`.

    Args:
        where: By feature.
        rows: How many users get the same conditions.

    Raises:
        ServingError: A condition has neither form.

    Example:
        >>> inputs = condition_inputs({"genres": ["rock", "jazz"], "year": (1990, None)}, 1)
        >>> inputs["any_of"].tolist(), inputs["range_of"].tolist()
        ([[b'genres=rock', b'genres=jazz']], [[b'year']])
        >>> inputs["at_least"].tolist(), inputs["at_most"].tolist()
        ([[1990.0]], [[nan]])
    """
    values: list[bytes] = []
    ranges: list[tuple[bytes, float, float]] = []
    for name, condition in where.items():
        several = [condition] if isinstance(condition, str) else list(condition)
        if several and all(isinstance(value, str) for value in several):
            values += [f"{name}={value}".encode() for value in several]
        elif len(several) == 2 and all(isinstance(n, int | float | None) for n in several):
            low, high = (float("nan") if n is None else float(n) for n in several)
            ranges.append((name.encode(), low, high))
        else:
            raise ServingError(
                f"`where`, {name}",
                "a condition is texts, or the least and the greatest number",
                received=repr(condition),
                remedy='For example {"genre": ["rock"], "year": (1990, None)}',
            )
    names, lows, highs = zip(*ranges, strict=True) if ranges else ((), (), ())
    return {
        "any_of": _rows(values, rows, object),
        "range_of": _rows(names, rows, object),
        "at_least": _rows(lows, rows, np.float32),
        "at_most": _rows(highs, rows, np.float32),
    }


def explanations(response: Any) -> list[list[Explained]]:
    """Reads the answer of `explain`, a list for each user; empty places are dropped."""
    outputs = predict_outputs(response)
    answers = []
    for row, ids in enumerate(outputs["item_ids"]):
        found = []
        for place, item in enumerate(ids):
            if not item:
                continue
            named = zip(
                outputs["history_ids"][row, place],
                outputs["history_shares"][row, place],
                strict=True,
            )
            found.append(
                Explained(
                    item.decode(),
                    float(outputs["scores"][row, place]),
                    outputs["reason"][row, place].decode(),
                    _shares(outputs["modality"][row], outputs["modality_shares"][row, place]),
                    _shares(outputs["query_part"][row], outputs["query_shares"][row, place]),
                    tuple((cause.decode(), float(share)) for cause, share in named if cause),
                )
            )
        answers.append(found)
    return answers


def _rows(values: Sequence[Any], rows: int, dtype: Any) -> np.ndarray:
    one = np.array(list(values), dtype).reshape(1, -1)
    return np.repeat(one, rows, 0)


def _shares(names: np.ndarray, shares: np.ndarray) -> dict[str, float]:
    return {
        name.decode(): float(share)
        for name, share in zip(names.tolist(), shares.tolist(), strict=True)
    }
