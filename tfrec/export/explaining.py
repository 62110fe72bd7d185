"""Why items are recommended, in the served graph: shares of the score that add up, and words.

    score 0.80 = cover 0.10 + title 0.25 + behaviour 0.40 + base 0.05       (modalities)
               = history 0.70 + user 0.08 + base 0.02                      (the query's parts)
    history 0.70 = "Blue Train" 0.45 + "Night" 0.20 + …                     (its events)
    "because you liked Blue Train: both jazz, live"

Both sums are exact; see `tfrec.model.parts` for what a share is.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfrec.export.source import Explanation, ItemColumns
from tfrec.export.string_index import StringIndex
from tfrec.index import Index
from tfrec.index.index import kept_variable
from tfrec.model.parts import BASE, BEHAVIOUR, NEWNESS, POPULARITY

__all__ = ["CAUSES", "HISTORY", "Explainer"]

# Items of the history that are named.
CAUSES = 3
HISTORY = "history"
# Shared tags in a sentence: the rarest say most.
_WORDS = 2

Tensors = dict[str, tf.Tensor]


class _Shares(NamedTuple):
    modalities: tf.Tensor
    events: tf.Tensor


class Explainer(tf.Module):
    """Takes scores apart.

    Args:
        explanation: What vectors are sums of.
        columns: Titles and tags of the items.
        items: Their ids.
        index: Their vectors.
    """

    def __init__(
        self, explanation: Explanation, columns: ItemColumns, items: StringIndex, index: Index
    ) -> None:
        super().__init__(name="explainer")
        self._explanation = explanation
        self._items = items
        self._index = index
        self._parts = kept_variable(explanation.item_parts, "explain/item_parts")
        rows = np.array([title.encode() for title in columns.titles], object)
        self._titles = tf.Variable(
            np.append(rows, b""),
            trainable=False,
            dtype=tf.string,
            shape=[None],
            name="explain/titles",
        )
        labels, words = _joined(columns)
        self._labels = kept_variable(labels, "explain/labels")
        self._words = tf.Variable(
            words, trainable=False, dtype=tf.string, shape=[None], name="explain/words"
        )
        counts = np.bincount(labels[labels >= 0], minlength=max(len(words), 1))
        self._counts = kept_variable(counts.astype(np.float32), "explain/counts")

    @property
    def names(self) -> tuple[str, ...]:
        """Parts of an item, `base` last."""
        return self._explanation.names

    def parts_of_items(self, inputs: Tensors) -> Tensors:
        """Parts of new items, as the catalogue's are kept.

        Args:
            inputs: Of the item tower.

        Returns:
            `modality` string [b, parts] and `parts` float32 [b, parts, D].
        """
        parts = self._explanation.parts_of_items(inputs)
        return {"modality": _named(self.names, tf.shape(parts)[0]), "parts": parts}

    def explain(self, inputs: Tensors, query: tf.Tensor, items: tf.Tensor) -> Tensors:
        """Explains the scores of items.

        Args:
            inputs: Of the query tower.
            query: float32 [b, D], what it made of them.
            items: int32 [b, k]; -1 is none.

        Returns:
            `modality` string [b, M], `modality_shares` float32 [b, k, M]; `query_part` string
            [b, Q], `query_shares` [b, k, Q]; `history_ids` string [b, k, 3] and `history_shares`,
            those that moved the score most, whichever way; `reason` string [b, k].
        """
        rows = tf.shape(items)[0]
        there = (items >= 0)[..., None]
        vectors = self._index.vectors_of(items)
        own = self._parts_of(items, vectors)
        modalities = tf.where(there, tf.einsum("bd,bkmd->bkm", query, own), 0.0)
        found = self._explanation.parts_of_queries(inputs)
        others = dict(found.others)
        # What rounding leaves between the tower and the sum of its parts.
        rest = query - tf.reduce_sum(found.events, 1) - sum(others.values(), tf.zeros_like(query))
        others[BASE] = others.get(BASE, 0.0) + rest
        events = tf.where(there, tf.einsum("bld,bkd->bkl", found.events, vectors), 0.0)
        said = tf.einsum("bqd,bkd->bkq", tf.stack(list(others.values()), 1), vectors)
        query_shares = tf.concat([tf.reduce_sum(events, -1, keepdims=True), said], -1)
        events = _once_each(inputs[HISTORY], events)
        count = min(CAUSES, inputs[HISTORY].shape[1])
        places = tf.math.top_k(tf.abs(events), count).indices
        shares = tf.gather(events, places, batch_dims=2)
        causes = _at(inputs[HISTORY], places)
        return {
            "modality": _named(self.names, rows),
            "modality_shares": modalities,
            "query_part": _named((HISTORY, *others), rows),
            "query_shares": tf.where(there, query_shares, 0.0),
            "history_ids": self._items.take(tf.where(shares != 0, causes, -1)),
            "history_shares": shares,
            "reason": self._reason(inputs[HISTORY], items, _Shares(modalities, events)),
        }

    def _parts_of(self, items: tf.Tensor, vectors: tf.Tensor) -> tf.Tensor:
        """float32 [b, k, M, D] that sum to the vectors that the index keeps."""
        kept = tf.shape(self._parts)[0]
        known = ((items >= 0) & (items < kept))[..., None, None]
        parts = tf.gather(self._parts.value(), tf.clip_by_value(items, 0, kept - 1))
        parts = tf.where(known, parts, 0.0)
        # Rounding of an index, and items that were added without their parts.
        rest = vectors - tf.reduce_sum(parts, 2)
        return tf.concat([parts[:, :, :-1], parts[:, :, -1:] + rest[:, :, None]], 2)

    def _reason(self, history: tf.Tensor, items: tf.Tensor, shares: _Shares) -> tf.Tensor:
        best = tf.argmax(shares.events, -1, tf.int32)
        moved = tf.gather(shares.events, best, batch_dims=2) > 0
        cause = _at(history, best[..., None])[..., 0]
        liked = tf.strings.join(["because you liked ", self._title(cause)])
        shared = self._shared_words(items, cause)
        liked = tf.where(shared != b"", tf.strings.join([liked, ": both ", shared]), liked)
        strongest = tf.argmax(shares.modalities, -1, tf.int32)
        name = tf.gather(tf.constant(self.names), strongest)
        of_content = tf.constant(True)
        for other in (BEHAVIOUR, BASE, POPULARITY, NEWNESS):
            of_content &= name != other
        said = tf.gather(tf.constant([n.replace("_", " ") for n in self.names]), strongest)
        plain = tf.where(
            of_content, tf.strings.join(["for its ", said]), "because many who came here liked it"
        )
        plain = tf.where(name == POPULARITY, "popular with everybody", plain)
        plain = tf.where(name == NEWNESS, "new here", plain)
        return tf.where(items >= 0, tf.where(moved, liked, plain), "")

    def _title(self, items: tf.Tensor) -> tf.Tensor:
        spare = tf.shape(self._titles)[0] - 1
        titles = tf.gather(
            self._titles.value(), tf.where((items < 0) | (items > spare), spare, items)
        )
        return tf.where(titles == b"", self._items.take(items), titles)

    def _shared_words(self, items: tf.Tensor, causes: tf.Tensor) -> tf.Tensor:
        kept = tf.shape(self._labels)[0]

        def labels(of: tf.Tensor) -> tf.Tensor:
            known = ((of >= 0) & (of < kept))[..., None]
            return tf.where(
                known, tf.gather(self._labels.value(), tf.clip_by_value(of, 0, kept - 1)), -1
            )

        mine = labels(items)
        both = tf.reduce_any(mine[..., None] == labels(causes)[..., None, :], -1) & (mine >= 0)
        rare = tf.where(both, -tf.gather(self._counts.value(), tf.maximum(mine, 0)), tf.float32.min)
        found = tf.math.top_k(rare, min(_WORDS, mine.shape[-1]))
        chosen = tf.gather(mine, found.indices, batch_dims=2)
        some = found.values > tf.float32.min
        words = tf.gather(self._words.value(), tf.where(some, chosen, tf.shape(self._words)[0] - 1))
        joined = tf.strings.reduce_join(words, -1, separator=", ")
        return tf.strings.regex_replace(joined, "(, )+$", "")


def _joined(columns: ItemColumns) -> tuple[np.ndarray, np.ndarray]:
    """Labels of all features side by side, int32 [N, T], and their words, "" the last."""
    rows = len(columns.titles)
    parts = [np.full((rows, 1), -1, np.int32)]
    words: list[bytes] = []
    for name, labels in columns.labels.items():
        labels = np.asarray(labels, np.int32).reshape(rows, -1)
        parts.append(np.where(labels >= 0, labels + len(words), -1).astype(np.int32))
        words += [value.encode() for value in columns.values[name]]
    return np.concatenate(parts, 1), np.array([*words, b""], object)


def _named(names: tuple[str, ...], rows: tf.Tensor) -> tf.Tensor:
    return tf.repeat(tf.constant(names)[None], rows, 0)


def _at(history: tf.Tensor, places: tf.Tensor) -> tf.Tensor:
    """Items of histories [b, L] at places [b, k, n]."""
    return tf.gather(history, places, batch_dims=1)


def _once_each(history: tf.Tensor, events: tf.Tensor) -> tf.Tensor:
    """Shares [b, k, L] of events, those of one item summed where it stands first."""
    same = history[:, :, None] == history[:, None]
    places = tf.range(tf.shape(history)[1])
    first = tf.reduce_min(tf.where(same, places, tf.shape(history)[1]), 2)
    into = tf.cast(first[:, :, None] == places, tf.float32)
    there = tf.cast(history >= 0, tf.float32)
    return tf.einsum("bkl,blm->bkm", events * there[:, None], into)
