"""Divide events into train, validation and test, by time or by a ready-made column.

Nothing fitted, counted or aggregated may see what comes after the train part, so each user's train
part has an end: the first moment of validation (`global_time`), else the user's own last train
event.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from preprocessing.cells import LATEST, parse_moment
from tfrec.config import SplitConfig
from tfrec.errors import DataError, DescriptionError

__all__ = ["assign_parts", "find_cuts", "given_cuts", "needs_times", "train_ends"]

Times = npt.NDArray[np.int64]


def needs_times(split: SplitConfig) -> bool:
    """Whether the cut-off moments are sought among the times of all events."""
    given = split.validation_from is not None and split.test_from is not None
    return split.method == "global_time" and not given


def given_cuts(split: SplitConfig) -> tuple[int, int] | None:
    """The cut-off moments that the description gives, if any.

    Raises:
        DescriptionError: One is no moment, or they are in the wrong order.
    """
    if split.validation_from is None or split.test_from is None:
        return None
    cuts = []
    for name in ("validation_from", "test_from"):
        value = getattr(split, name)
        moment = parse_moment(value)
        if moment is None:
            raise DescriptionError(
                f"split.{name}",
                "a moment is Unix seconds or ISO 8601",
                received=repr(value),
                remedy="Write for example 2024-05-31 or 1717113600",
            )
        cuts.append(moment)
    if cuts[0] > cuts[1]:
        raise DescriptionError(
            "split",
            "`validation_from` comes before `test_from`",
            received=f"{split.validation_from} and {split.test_from}",
            remedy="Exchange them",
        )
    return cuts[0], cuts[1]


def find_cuts(times: Sequence[Times], split: SplitConfig) -> tuple[int, int]:
    """The first moments of validation and of test, by the events' shares.

    Exact over any number of sorted arrays without merging them: the wanted moment is found by
    bisection, each step counting by `searchsorted`.

    Args:
        times: Sorted arrays.
        split: The shares.

    Returns:
        Two moments; events at a moment go to the later part.

    Example:
        >>> config = SplitConfig(validation=0.2, test=0.2)
        >>> find_cuts([np.array([1, 2, 3]), np.array([4, 5])], config)
        (4, 5)
    """
    total = sum(len(part) for part in times)

    def moment(rank: int) -> int:
        if rank >= total:
            return LATEST + 1
        low, high = 0, LATEST
        while low < high:
            middle = (low + high) // 2
            if sum(int(np.searchsorted(part, middle, "right")) for part in times) > rank:
                high = middle
            else:
                low = middle + 1
        return low

    first = _upto(total, 1 - split.validation - split.test)
    second = _upto(total, 1 - split.test)
    return moment(first), moment(second)


def assign_parts(
    split: SplitConfig,
    cuts: tuple[int, int] | None,
    offsets: npt.NDArray[np.int64],
    times: Times,
    given: npt.NDArray[np.int8],
) -> npt.NDArray[np.int8]:
    """The part of each event: 0 train, 1 validation, 2 test.

    Args:
        split: How.
        cuts: For `global_time`.
        offsets: int64 [users + 1], where each user's events start.
        times: int64 [events], sorted within each user.
        given: int8 [events], for `column`.
    """
    if split.method == "column":
        return given
    if split.method == "global_time":
        assert cuts is not None
        return ((times >= cuts[0]).astype(np.int8) + (times >= cuts[1])).astype(np.int8)
    counts = np.diff(offsets)
    train = _upto_each(counts, 1 - split.validation - split.test)
    before_test = _upto_each(counts, 1 - split.test)
    place = np.arange(len(times)) - np.repeat(offsets[:-1], counts)
    later = (place >= np.repeat(train, counts)).astype(np.int8)
    return (later + (place >= np.repeat(before_test, counts))).astype(np.int8)


def train_ends(
    cuts: tuple[int, int] | None,
    offsets: npt.NDArray[np.int64],
    times: Times,
    parts: npt.NDArray[np.int8],
) -> tuple[Times, Times]:
    """The last moments, inclusive, of each user's train part and of all before the test part.

    Args:
        cuts: For `global_time`; otherwise the user's own last events count.
        offsets: int64 [users + 1].
        times: int64 [events], sorted within each user.
        parts: int8 [events].

    Returns:
        int64 [users] each; -1 for a user without such a part.
    """
    users = len(offsets) - 1
    if cuts is not None:
        return np.full(users, cuts[0] - 1), np.full(users, cuts[1] - 1)
    ends = []
    for last in (0, 1):
        end = np.full(users, -1, np.int64)
        chosen = parts <= last
        np.maximum.at(end, np.repeat(np.arange(users), np.diff(offsets))[chosen], times[chosen])
        ends.append(end)
    return ends[0], ends[1]


def require_train(events: int, split: SplitConfig) -> None:
    """Refuses a split without a train part.

    Raises:
        DataError: There is no event in it.
    """
    if events == 0:
        raise DataError(
            "split",
            f"the train part of `{split.method}` holds at least one event",
            received="none",
            remedy="Choose an earlier part for training, or another split method",
        )


def _upto(total: int, share: float) -> int:
    # 0.8 * 5 is 4.000000000000001 in floating point.
    return math.ceil(total * share - 1e-9)


def _upto_each(counts: npt.NDArray[np.int64], share: float) -> npt.NDArray[np.int64]:
    # A user with a single event is known by it: it is for training.
    return np.maximum(np.ceil(counts * share - 1e-9).astype(np.int64), np.minimum(counts, 1))
