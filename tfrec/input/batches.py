"""What every way of cutting timelines into batches shares: the targets, their weights, the reading.

Batch number n is a function of n alone. So a training that was interrupted goes on with the very
batches that it would have had, and workers read their parts without telling each other.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfrec import schema
from tfrec.errors import DataError
from tfrec.input.inputs import HISTORY, HISTORY_AGE, HISTORY_EVENT, PADDING, SECONDS_A_DAY
from tfrec.input.timelines import Timelines

__all__ = ["TARGET_WEIGHT", "Batches"]

TARGET_WEIGHT = "target_weight"

# Batches that are cut at once, and that wait ready.
_PARALLEL, _READY = 2, 4


class Batches:
    """Targets of timelines, in batches of one static shape; subclasses write `batch`.

    Args:
        timelines: The train part.
        seed: Another seed gives another order.
        negatives: Whether events that are not positive stay in histories.
        repeats: Whether a positive on an item that the user had a positive on before is a target
            too. When seen items are never recommended, it teaches what is never asked.
        propensity_power: Targets' weights are multiplied by (their item's count)^-power, then
            scaled to their old mean.
        dwell_weight: Share of log(1 + dwell seconds) over its mean in targets' weights.

    Attributes:
        count: Targets an epoch.
        batch_size: Targets a step, on average where it varies.
        steps_per_epoch: Batches an epoch.
        target_items: int32 [targets].

    Raises:
        DataError: There is no positive event to learn from.
        DataError: `dwell_weight` is asked for and no target has a dwell time.
    """

    batch_size: int
    steps_per_epoch: int

    def __init__(
        self,
        timelines: Timelines,
        *,
        seed: int,
        negatives: bool,
        repeats: bool,
        propensity_power: float,
        dwell_weight: float,
    ) -> None:
        source = timelines if negatives else timelines.positives()
        targets = np.flatnonzero(source.positive)
        if not repeats:
            targets = targets[_first_of_each_pair(source, targets)]
        if not len(targets):
            raise DataError(
                "timelines/train",
                "training needs positive events",
                received="none",
                remedy="Check `interactions.label` and `split` of the dataset description",
            )
        self.count = len(targets)
        self.target_items: npt.NDArray[np.int32] = source.item_index[targets]
        self._source = source
        # Places in the source's events, ascending, and what each counts.
        self._targets: npt.NDArray[np.int64] = targets
        self._occurrences = np.bincount(self.target_items)[self.target_items].astype(np.float64)
        weight = source.weight[targets].astype(np.float64)
        if dwell_weight:
            weight *= _dwell_factor(source.dwell[targets], dwell_weight)
        if propensity_power:
            inverse = self._occurrences**-propensity_power
            weight *= inverse * (weight.sum() / (weight * inverse).sum())
        self._weights = weight
        self._seed = seed & 0x7FFFFFFF
        self._item = tf.constant(source.item_index)
        self._time = tf.constant(source.timestamp)
        self._event = tf.constant(source.event)
        self._user = tf.constant(source.user_index)
        self._profile = {
            name: tf.constant(value)
            for feature in source.profile
            for name, value in (
                (feature, source.profile[feature]),
                (schema.present(feature), source.profile_present[feature]),
            )
        }
        self._context = {
            schema.context(name): tf.constant(value) for name, value in source.context.items()
        }

    def batch(
        self, step: tf.Tensor | int, part: tf.Tensor | int = 0, parts: int = 1
    ) -> dict[str, tf.Tensor]:
        """Batch number `step`, counted from the start of training; for subclasses.

        Args:
            step: int scalar.
            part: Which of the `parts` equal parts of the batch, in order.
            parts: How many.
        """
        raise NotImplementedError

    def dataset(
        self,
        first: int = 0,
        count: int | None = None,
        *,
        parts: int = 1,
        own: tuple[int, int] = (0, 1),
    ) -> tf.data.Dataset:
        """Batches from number `first` on, the same in every run; without end unless counted.

        Args:
            first: Number of the first.
            count: How many.
            parts: Each comes as so many equal parts, one after another, for as many replicas.
            own: Of these parts, those that a worker reads: from which on, out of how many spans.
        """
        options = tf.data.Options()
        options.deterministic = True
        # The tuner's thread sleeps for doubling periods, and the end of an epoch waits for it: a
        # training of 5.2 s took 10.2 s. A batch is cut in a fraction of a step anyway.
        options.autotune.enabled = False
        options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
        end = np.iinfo(np.int64).max if count is None else first + count
        span = parts // own[1]

        def one(number: tf.Tensor) -> dict[str, tf.Tensor]:
            return self.batch(number // span, own[0] * span + number % span, parts)

        return (
            tf.data.Dataset.range(first * span, end if count is None else end * span)
            .map(one, num_parallel_calls=_PARALLEL, deterministic=True)
            .prefetch(_READY)
            .with_options(options)
        )

    def target_counts(self, items: int) -> npt.NDArray[np.float64]:
        """float64 [items]: how often each item is a target in an epoch, on average."""
        return np.bincount(self.target_items, minlength=items).astype(np.float64)

    def _of_rows(self, rows: Any) -> dict[str, tf.Tensor]:
        """What is said of users, by their rows in the timelines."""
        return {
            schema.USER_INDEX: tf.gather(self._user, rows),
            **{name: tf.gather(value, rows) for name, value in self._profile.items()},
        }

    def _of_places(self, places: Any) -> dict[str, tf.Tensor]:
        """What is said of events, by their places: the item, and the context it was met in."""
        return {
            schema.ITEM_INDEX: tf.gather(self._item, places),
            **{name: tf.gather(value, places) for name, value in self._context.items()},
        }

    def _of_histories(self, places: Any, inside: Any, asked: Any) -> dict[str, tf.Tensor]:
        """Histories whose ages are counted back from the time of another event.

        Args:
            places: int64 [n, length] of events.
            inside: bool [n, length], False for padding.
            asked: int64 [n], the place of an event at whose time the question is asked.
        """
        places = tf.maximum(places, 0)
        passed = tf.gather(self._time, asked)[:, None] - tf.gather(self._time, places)
        days = tf.cast(passed, tf.float32) / SECONDS_A_DAY
        return {
            HISTORY: tf.where(inside, tf.gather(self._item, places), PADDING),
            HISTORY_AGE: tf.where(inside, days, 0.0),
            HISTORY_EVENT: tf.where(inside, tf.gather(self._event, places), schema.MISSING_INDEX),
        }


def _first_of_each_pair(
    timelines: Timelines, targets: npt.NDArray[np.int64]
) -> npt.NDArray[np.bool_]:
    """bool: the target is its user's first positive on its item."""
    pair = timelines.rows[targets].astype(np.int64) << 32 | timelines.item_index[targets]
    first = np.zeros(len(targets), bool)
    first[np.unique(pair, return_index=True)[1]] = True
    return first


def _dwell_factor(dwell: npt.NDArray[np.float32], share: float) -> npt.NDArray[np.float64]:
    """1 - share + share × log(1 + seconds) over its mean."""
    value = np.log1p(np.maximum(dwell.astype(np.float64), 0))
    if not value.any():
        raise DataError(
            "loss.dwell_weight",
            "positive events must have dwell times to count by",
            received="none has one",
            remedy="Name `interactions.dwell` in the dataset description, or set it to 0",
        )
    factor: npt.NDArray[np.float64] = 1 - share + share * value / value.mean()
    return factor
