"""Cut timelines into spans: one history, and a target after every position of it.

A causal encoder that reads a span once has a state at each position, and each state is asked for
the event that follows (Kang & McAuley, "Self-attentive sequential recommendation", SASRec, 2018,
section III-A). Position i of a span reads up to its input i; its target is the event after that.

One user, positives a b c d at times 1 2 3 4, length 4 (`.` is padding)::

    inputs   .  a  b  c
    targets  a  b  c  d

A timeline of more events than the length has several spans, cut from its end. Each takes the
targets of its latest half, the earliest span all that are left; so every target comes once an
epoch, and has either its whole past or at least half a length of it. Spans side by side, as in
SASRec, would leave the first targets of each without any; a shift of the cut by epoch would let no
batch know how many targets it has. Length 4, events a … h::

    inputs   d  e  f  g        inputs   b  c  d  e        inputs   .  a  b  c
    targets        g  h        targets        e  f        targets  a  b  c  d

Half of what a long timeline's spans read is context alone: its price is twice the encoder's work.

Spans are of very different sizes. They are ranked by their number of targets and dealt into
strata; a batch takes one span of each stratum, pseudo-randomly (`index_shuffle` of seed, epoch and
stratum). So each batch has about as many targets as another, and their greatest number, which
static shapes need, is close to that: rows are targets, and padding costs next to nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfrec.input.batches import TARGET_WEIGHT, Batches
from tfrec.input.timelines import Timelines

__all__ = ["TARGET_PLACE", "Spans"]

TARGET_PLACE = "target_place"

Places = npt.NDArray[np.int64]


class Spans(Batches):
    """Histories with a target after each position, in batches of one static shape.

    Args:
        timelines: The train part.
        length: Events in a span.
        batch_size: Targets a step, about.
        seed: Another seed gives another order.
        negatives: Whether events that are not positive stay in histories; they are no targets.
        repeats: Whether a positive on an item that the user had a positive on before is a target
            too.
        propensity_power: As of `Windows`.
        dwell_weight: As of `Windows`.
        blocks: Equal parts of a batch that are computed apart, over all replicas and
            micro-batches: targets of a part are of its own spans.

    Attributes:
        spans: Spans a step; each epoch is filled up with spans without a target.
        rows: Targets a step that there is room for.

    Raises:
        DataError: There is no positive event to learn from.
        DataError: `dwell_weight` is asked for and no target has a dwell time.
        ValueError: `length`, `batch_size` or `blocks` is out of range.
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
        propensity_power: float = 0.0,
        dwell_weight: float = 0.0,
        blocks: int = 1,
    ) -> None:
        if min(length, batch_size, blocks) < 1:
            raise ValueError(
                "`length`, `batch_size` and `blocks` must be at least 1."
                f" Received: length={length}, batch_size={batch_size}, blocks={blocks}"
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
        self.blocks = blocks
        users, low, high, sizes = _cut(self._source, self._targets, length)
        order = np.argsort(-sizes, kind="stable")
        self._count = len(order)
        steps = min(max(1, round(self.count / batch_size)), max(1, self._count // blocks))
        self.spans = -(-self._count // (steps * blocks)) * blocks
        self.steps_per_epoch = -(-self._count // self.spans)
        self.batch_size = round(self.count / self.steps_per_epoch)
        # A stratum begins with its largest; block 0 has the larger strata of all blocks.
        begins = np.arange(0, self.spans, blocks) * self.steps_per_epoch
        greatest = sizes[order][begins[begins < self._count]]
        self.rows = int(greatest.sum()) * blocks
        self._span = {
            "row": tf.constant(users[order], tf.int32),
            "start": tf.constant(self._source.offsets[users[order]], tf.int64),
            "low": tf.constant(low[order], tf.int64),
            "high": tf.constant(high[order], tf.int64),
        }
        asked = np.zeros(self._source.events, bool)
        asked[self._targets] = True
        weight = np.zeros(self._source.events, np.float32)
        weight[self._targets] = self._weights
        self._asked, self._weight = tf.constant(asked), tf.constant(weight)
        self._any_target = int(self._targets[0])

    def batch(
        self, step: tf.Tensor | int, part: tf.Tensor | int = 0, parts: int = 1
    ) -> dict[str, tf.Tensor]:
        """Batch number `step`, counted from the start of training.

        Args:
            step: int scalar.
            part: Which of the `parts` equal parts of the batch, in order.
            parts: Divides `blocks`.

        Returns:
            The query tower's inputs of each span (see `query_inputs`, the question asked at its
            last target's time), a row a span; and a row a target: `target_place` int32, its span's
            row in the block times the length, plus the position that is asked for it; `item_index`
            int32; its context; `target_weight` float32, 0 for a row that only fills the batch.
        """
        step = tf.cast(step, tf.int64)
        epoch, within = step // self.steps_per_epoch, step % self.steps_per_epoch
        blocks, size = self.blocks // parts, self.spans // self.blocks
        block = tf.cast(part, tf.int64) * blocks + tf.range(blocks, dtype=tf.int64)
        stratum = block[:, None] + tf.range(size, dtype=tf.int64)[None] * self.blocks
        place = self._drawn(epoch, within, tf.reshape(stratum, [-1]))
        real = place < self._count
        place = tf.minimum(place, self._count - 1)
        span = {name: tf.gather(value, place) for name, value in self._span.items()}

        # Position i reads up to `inputs` i, and is asked for the event after it.
        target = span["high"][:, None] - self.length + tf.range(self.length, dtype=tf.int64)
        inputs = target - 1
        own = (target >= span["low"][:, None]) & real[:, None]
        target = tf.maximum(target, 0)
        asked = own & tf.gather(self._asked, target)
        asked, target = (tf.reshape(one, [blocks, size * self.length]) for one in (asked, target))
        # Those that are asked first, in order; among equals `top_k` takes the earlier.
        found = tf.math.top_k(tf.cast(asked, tf.int32), k=self.rows // self.blocks)
        is_target = tf.reshape(found.values > 0, [-1])
        event = tf.reshape(tf.gather(target, found.indices, batch_dims=1), [-1])
        event = tf.where(is_target, event, self._any_target)
        return {
            **self._of_rows(span["row"]),
            **self._of_histories(inputs, inputs >= span["start"][:, None], span["high"] - 1),
            **self._of_places(event),
            TARGET_PLACE: tf.reshape(found.indices, [-1]),
            TARGET_WEIGHT: tf.where(is_target, tf.gather(self._weight, event), 0.0),
        }

    def _drawn(self, epoch: Any, within: Any, stratum: Any) -> Any:
        """Which span of each stratum a batch has, int64 like `stratum`, in the ranking."""
        same = tf.ones_like(stratum)
        # The op itself: `index_shuffle` appends its constant to seeds [n, 2] along the wrong axis.
        shuffled = tf.raw_ops.RandomIndexShuffle(
            index=within * same,
            seed=tf.cast(tf.stack([self._seed * same, epoch * same, stratum], 1), tf.int32),
            max_index=(self.steps_per_epoch - 1) * same,
            rounds=4,
        )
        return stratum * self.steps_per_epoch + shuffled


def _cut(source: Timelines, targets: Places, length: int) -> tuple[Places, Places, Places, Places]:
    """Spans that have a target.

    Args:
        source: Events.
        targets: int64, their places, ascending.
        length: Of a span.

    Returns:
        int64 [spans] each: the user's row; places of the first target that is the span's own and
        of the one after the last; how many targets it has.
    """
    users, first, counts = np.unique(source.rows[targets], return_index=True, return_counts=True)
    # After the last target nothing is asked.
    begin, end = source.offsets[users], targets[first + counts - 1] + 1
    stride = max(1, length // 2)
    several = 1 + -(-np.maximum(end - begin - length, 0) // stride)
    owner = np.repeat(np.arange(len(users)), several)
    rank = np.arange(len(owner)) - np.repeat(np.cumsum(several) - several, several)
    high = end[owner] - rank * stride
    low = np.where(rank == several[owner] - 1, begin[owner], high - stride)
    sizes = np.searchsorted(targets, high) - np.searchsorted(targets, low)
    some = sizes > 0
    return users[owner][some].astype(np.int64), low[some], high[some], sizes[some]
