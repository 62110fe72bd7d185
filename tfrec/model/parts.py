"""What a vector is made of: an exact sum over the modalities of an item, the events of a history.

A score is an inner product, so a sum of vectors is a sum of scores: with `item = Σ parts`, each
modality's share is `query · part`, and the shares add up to the score for every query.

    item   behaviour 0.1 -0.2 | title 0.3 0.1 | base 0 0.1     sum = the item's vector
    query  [1, 2]               -0.3            0.5     0.2    sum = 0.4 = the score

Where a vector is a sum already (history + profile + user, the closed form's mean of events) its
terms are taken as they are. Where it isn't (a fusion, a sequence encoder) they are Shapley values
of the vector (Shapley 1953; Štrumbelj & Kononenko 2014): the only shares that add up, treat alike
what acts alike, and give nothing to what changes nothing. What is taken away is masked, as the
model does with what is missing.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

__all__ = [
    "BASE",
    "BEHAVIOUR",
    "HISTORY_INPUTS",
    "NEWNESS",
    "POPULARITY",
    "USER",
    "Parts",
    "QueryParts",
    "event_parts",
    "shapley",
]

# What behaviour taught of an item and of a user by their ids, and what is said of any of them.
BEHAVIOUR, USER, BASE = "behaviour", "user", "base"
# How many met an item, whoever asks.
POPULARITY = "popularity"
# That nobody has met it.
NEWNESS = "newness"
HISTORY_INPUTS = ("history", "history_age", "history_event")

Parts = dict[str, tf.Tensor]

# Up to so many modalities every subset is asked (64 at most); beyond, so many orders, each with its
# reverse, are drawn (Mitchell et al. 2022, "Sampling permutations for Shapley value estimation").
_ALL_SUBSETS = 6
_ORDERS = 16


class QueryParts(NamedTuple):
    """A query's vector as a sum.

    Attributes:
        events: float32 [batch, length, dimension], what each event of the history adds; 0 for
            padding.
        others: float32 [batch, dimension] by what else is read: `user`, profile features,
            `context/NAME`, and `base`.
    """

    events: tf.Tensor
    others: Parts


def shapley(value: Callable[[Mapping[str, Any], int], Any], present: Mapping[str, Any]) -> Parts:
    """Shapley values of a vector over the modalities that it is made of.

    Args:
        value: From masks, bool [copies * batch] by modality, and how many copies of the batch stand
            one after another, to float [copies * batch, dimension]: all subsets in one call, since
            a graph with each of them written out takes minutes to load.
        present: bool [batch], what is there; what is missing gets 0.

    Returns:
        float32 [batch, dimension] by modality, and `base`: the vector of nothing. They add up to
        the value of `present`.

    Example:
        >>> both = lambda m, copies: tf.cast(m["a"] & m["b"], tf.float32)[:, None] * 2 + 1
        >>> parts = shapley(both, {"a": tf.constant([True]), "b": tf.constant([True])})
        >>> {name: float(part[0, 0]) for name, part in parts.items()}
        {'a': 1.0, 'b': 1.0, 'base': 1.0}
    """
    names = list(present)
    members, weights = _subsets(len(names))
    copies = len(members)
    masks = {
        name: tf.reshape(members[:, place, None] & tf.cast(present[name], tf.bool)[None], [-1])
        for place, name in enumerate(names)
    }
    worth = tf.cast(value(masks, copies), tf.float32)
    worth = tf.reshape(worth, [copies, -1, worth.shape[-1]])
    gains = tf.einsum("ms,sbd->mbd", weights, worth)
    # Rounding of many sums must not give a share to what isn't there.
    parts = {
        name: tf.where(tf.cast(present[name], tf.bool)[:, None], gains[place], 0.0)
        for place, name in enumerate(names)
    }
    return {**parts, BASE: worth[0]}


def _subsets(players: int) -> tuple[np.ndarray, np.ndarray]:
    """Subsets, bool [S, players], the empty one first, and what each counts, float32 [players, S].

    A player's Shapley value is the sum of the subsets' values times its row.
    """
    places: dict[frozenset[int], int] = {frozenset(): 0}
    counted: list[tuple[int, int, float]] = []
    for player, others, weight in _steps(players):
        before = places.setdefault(others, len(places))
        after = places.setdefault(others | {player}, len(places))
        counted += [(player, after, weight), (player, before, -weight)]
    members = np.zeros((len(places), players), bool)
    for subset, place in places.items():
        members[place, list(subset)] = True
    weights = np.zeros((players, len(places)))
    for player, place, weight in counted:
        weights[player, place] += weight
    return members, weights.astype(np.float32)


def _steps(players: int) -> list[tuple[int, frozenset[int], float]]:
    """Which player joins which others, and how much that counts."""
    if players <= _ALL_SUBSETS:
        return [
            (player, frozenset(some), 1.0 / (players * math.comb(players - 1, size)))
            for player in range(players)
            for size in range(players)
            for some in itertools.combinations(set(range(players)) - {player}, size)
        ]
    random = np.random.default_rng(0)
    drawn = [random.permutation(players).tolist() for _ in range(_ORDERS)]
    orders = [*drawn, *(order[::-1] for order in drawn)]
    return [
        (order[place], frozenset(order[:place]), 1.0 / len(orders))
        for order in orders
        for place in range(players)
    ]


def event_parts(encode: Callable[[dict[str, Any]], Any], inputs: Mapping[str, Any]) -> QueryParts:
    """What each event of a history adds to what a sequence encoder makes of it.

    Half of what the vector gains when the event joins those before it, and half of what it gains
    when it joins those after it: the Shapley value over two orders, time's and its reverse. It is
    exact where events don't act on each other, and adds up where they do.

    Args:
        encode: From `history`, `history_age` and `history_event` [n, length] to [n, dimension].
        inputs: These for a batch; right-aligned, `history` is -1 for padding.

    Returns:
        The events, and `base`: what is said of an empty history.
    """
    given = {name: inputs[name] for name in HISTORY_INPUTS if name in inputs}
    history = given["history"]
    batch, length = tf.shape(history)[0], history.shape[1]
    ends = tf.range(length + 1)
    # Row j of `before` holds the first j columns, moved to the right; of `after` all but these.
    before = {}
    after = {}
    late = ends[:, None] <= tf.range(length)
    for name, values in given.items():
        filler = -1 if name == "history" else 0
        padded = tf.pad(values, [[0, 0], [length, 0]], constant_values=filler)
        before[name] = tf.gather(padded, ends[:, None] + tf.range(length), axis=1)
        after[name] = tf.where(late, values[:, None], tf.constant(filler, values.dtype))
    both = {name: tf.concat([before[name], after[name]], 1) for name in given}
    flat = {name: tf.reshape(values, [-1, length]) for name, values in both.items()}
    vectors = tf.cast(encode(flat), tf.float32)
    width = vectors.shape[-1]
    vectors = tf.reshape(vectors, [batch, 2, length + 1, width])
    first = vectors[:, 0, 1:] - vectors[:, 0, :-1]
    last = vectors[:, 1, :-1] - vectors[:, 1, 1:]
    there = (history >= 0)[..., None]
    return QueryParts(tf.where(there, (first + last) / 2, 0.0), {BASE: vectors[:, 0, 0]})
