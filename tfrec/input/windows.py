"""Cut timelines into training examples: a positive, and what its user had done before it.

Each positive event is the target of one example an epoch. Its history is the user's latest events
at strictly earlier positions of the time-ordered timeline: never the target itself, never what
came after. Events that carry the target's own timestamp count as earlier when they were recorded
earlier, since a burst of ratings within one second is an order too.

One user, positives a b c at times 1 2 3, length 2 (`.` is padding)::

    target a   history . .
    target b   history . a
    target c   history a b

The order of an epoch is a pseudo-random permutation of (seed, epoch) that is computed index by
index, not stored (`tf.random.experimental.index_shuffle`), and a batch is gathered whole. So batch
number n is a function of n alone: a training that was interrupted goes on with the very batches
that it would have had.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfrec.input.batches import TARGET_WEIGHT, Batches
from tfrec.input.timelines import Timelines

__all__ = ["Windows"]


class Windows(Batches):
    """Training examples of timelines, in batches of one static shape.

    Args:
        timelines: The train part.
        length: Latest events in a history; 0 leaves histories out.
        batch_size: Examples a batch. The last of an epoch is filled up with examples of weight 0.
        seed: Another seed gives another order.
        negatives: Whether events that are not positive stay in histories.
        repeats: Whether a positive on an item that the user had a positive on before is a target
            too. When seen items are never recommended, it teaches what is never asked.
        popularity_power: An item is a target (its count)^power times: 1 as in the data, 0 each
            item equally often. Below 1 an epoch has as many examples, some events of rare items
            more than once, some of popular ones not at all, other ones in another epoch.
        propensity_power: Targets' weights are multiplied by (their item's count)^-power, then
            scaled to their old mean.
        dwell_weight: Share of log(1 + dwell seconds) over its mean in targets' weights.

    Raises:
        DataError: There is no positive event to learn from.
        DataError: `dwell_weight` is asked for and no target has a dwell time.
        ValueError: `length` or `batch_size` is out of range.
    """

    def __init__(
        self,
        timelines: Timelines,
        *,
        length: int,
        batch_size: int,
        seed: int = 0,
        negatives: bool = False,
        repeats: bool = True,
        popularity_power: float = 1.0,
        propensity_power: float = 0.0,
        dwell_weight: float = 0.0,
    ) -> None:
        if length < 0 or batch_size < 1:
            raise ValueError(
                "`length` must be at least 0 and `batch_size` at least 1."
                f" Received: length={length}, batch_size={batch_size}"
            )
        super().__init__(
            timelines,
            seed=seed,
            negatives=negatives,
            repeats=repeats,
            propensity_power=propensity_power,
            dwell_weight=dwell_weight,
        )
        self.length = length
        self.batch_size = batch_size
        self.steps_per_epoch = -(-self.count // batch_size)
        # How often each target comes in an epoch; None when once.
        self._rate: npt.NDArray[np.float64] | None = None
        if popularity_power != 1:
            rate = self._occurrences ** (popularity_power - 1)
            self._rate = rate * (self.count / rate.sum())
            self._until = tf.constant(np.cumsum(self._rate), tf.float64)
        rows = self._source.rows[self._targets]
        self._target = {
            "place": tf.constant(self._targets, tf.int64),
            "row": tf.constant(rows, tf.int32),
            "start": tf.constant(self._source.offsets[rows], tf.int64),
            "weight": tf.constant(self._weights, tf.float32),
        }

    def batch(
        self, step: tf.Tensor | int, part: tf.Tensor | int = 0, parts: int = 1
    ) -> dict[str, tf.Tensor]:
        """Batch number `step`, counted from the start of training.

        Args:
            step: int scalar.
            part: Which of the `parts` equal parts of the batch, in order.
            parts: Divides `batch_size`.

        Returns:
            The query tower's inputs (see `query_inputs`, the question asked at the target's time),
            `item_index` int32 [b] of the target, and `target_weight` float32 [b], 0 for an example
            that only fills the batch.
        """
        step = tf.cast(step, tf.int64)
        epoch, within = step // self.steps_per_epoch, step % self.steps_per_epoch
        size = self.batch_size // parts
        start = within * self.batch_size + tf.cast(part, tf.int64) * size
        position = start + tf.range(size, dtype=tf.int64)
        real = position < self.count
        seed = tf.stack([tf.constant(self._seed, tf.int64), epoch])
        chosen = tf.random.experimental.index_shuffle(
            position % self.count, tf.cast(seed, tf.int32), tf.constant(self.count - 1, tf.int64)
        )
        if self._rate is not None:
            # Systematic sampling: evenly spaced marks on the line of summed rates, one a target.
            seeds = tf.stack([tf.constant(self._seed, tf.int64), epoch])
            shift = tf.random.stateless_uniform([], seeds, dtype=tf.float64)
            mark = tf.cast(chosen, tf.float64) + shift
            chosen = tf.searchsorted(self._until, mark, side="right", out_type=tf.int64)
            chosen = tf.minimum(chosen, self.count - 1)
        target = {name: tf.gather(value, chosen) for name, value in self._target.items()}
        batch = {
            **self._of_rows(target["row"]),
            **self._of_places(target["place"]),
            TARGET_WEIGHT: tf.where(real, target["weight"], 0.0),
        }
        if self.length:
            batch |= self._history(target)
        return batch

    def target_counts(self, items: int) -> npt.NDArray[np.float64]:
        """float64 [items]: how often each item is a target in an epoch, on average."""
        return np.bincount(self.target_items, self._rate, minlength=items).astype(np.float64)

    def _history(self, target: dict[str, Any]) -> dict[str, tf.Tensor]:
        place = target["place"][:, None] - self.length + tf.range(self.length, dtype=tf.int64)
        inside = place >= target["start"][:, None]
        return self._of_histories(place, inside, target["place"])
