"""Score the sentiment of short texts, by a classifier that trains itself from a recipe.

A logistic regression over hashed words. Its training texts are written here: each word of a small
lexicon in sentences that a reviewer would use, plain, strengthened, negated, joined and contrasted.
A negation marks the three words that follow it, so that "not good" and "good" are different words
to the model (Das and Chen, 2001; Pang, Lee and Vaithyanathan, 2002); the part after a "but" weighs
double; "very" and "a bit" scale the word after them. Words it never met weigh nothing. English
only: a text of other words scores 0. Training takes half a second, once a process, and gives equal
weights everywhere.

    "not good, but the voice is really superb"
      marked   !good | voice (twice) superb (twice, half as much again)
      score    0.9, from -1 to 1
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from preprocessing.lexicon import (
    DIMINISHERS,
    FUNCTION_WORDS,
    INTENSIFIERS,
    NEGATIONS,
    NEGATIVE,
    NEUTRAL,
    PHRASES,
    POSITIVE,
)

__all__ = ["score_texts"]

Floats = npt.NDArray[np.float64]
_BUCKETS = 1 << 18
_STEPS = 120
_RATE = 4.0
_DECAY = 1e-4
# Words that a negation reaches.
_REACH = 3
_TOKEN = re.compile(
    r"[^\W\d_]+(?:['’][^\W\d_]+)?"  # a word
    r"|[:;=][-o^']?[()dp/|\[\]]"  # a smiley
    r"|[.!?,;]|[\U0001F300-\U0001FAFF❤☹☺]"
)
_STOPS = frozenset(".!?;,")
_CONTRASTS = frozenset({"but", "however", "yet", "although", "though"})


def score_texts(texts: Sequence[str]) -> npt.NDArray[np.float32]:
    """Scores texts from -1 (negative) over 0 (neutral or unknown) to 1 (positive).

    Args:
        texts: Any strings.

    Returns:
        float32 [n].

    Example:
        >>> good, bad, neither = score_texts(["So beautiful!", "not good", "a table"])
        >>> bool(good > 0.5), bool(bad < -0.3), bool(abs(neither) < 0.1)
        (True, True, True)
    """
    rows, columns, values = _features(texts)
    logits = np.bincount(rows, _weights()[columns] * values, minlength=len(texts))
    return np.tanh(logits / 2).astype(np.float32)


@lru_cache(maxsize=1)
def _weights() -> Floats:
    texts, targets = zip(*_training_texts(), strict=True)
    rows, columns, values = _features(texts)
    goal = (np.asarray(targets, np.float64) + 1) / 2
    weights = np.zeros(_BUCKETS)
    for _ in range(_STEPS):
        logits = np.bincount(rows, weights[columns] * values, minlength=len(goal))
        error = 1 / (1 + np.exp(-logits)) - goal
        slope = np.bincount(columns, error[rows] * values, minlength=_BUCKETS)
        # Divided by how often a word occurs, so that rare words learn as far as frequent ones.
        weights -= _RATE * (slope / _frequency(columns, values) + _DECAY * weights)
    return np.asarray(weights)


def _frequency(columns: npt.NDArray[np.int64], values: Floats) -> Floats:
    return np.asarray(np.bincount(columns, values**2, minlength=_BUCKETS) + 1.0)


def _training_texts() -> Iterator[tuple[str, float]]:
    """Texts and their sentiment, -1 to 1."""
    for sign, words in ((1.0, POSITIVE), (-1.0, NEGATIVE)):
        others = NEGATIVE if sign > 0 else POSITIVE
        for place, word in enumerate(words):
            friend, foe = words[(7 * place + 1) % len(words)], others[(5 * place) % len(others)]
            thing = NEUTRAL[place % len(NEUTRAL)]
            yield word, 0.9 * sign
            yield f"the {thing} is {word}", 0.9 * sign
            yield f"{word} {thing}, {friend} as well", sign
            yield f"a {word} and {friend} {thing}", sign
            yield f"really {word}", sign
            yield f"a bit {word}", 0.5 * sign
            yield f"never {word}", -0.7 * sign
            yield f"it is not {word} at all", -0.8 * sign
            yield f"one {word} {thing}, some say {foe}", 0.0
            yield f"{foe} {thing} but {word}", 0.5 * sign
    for thing in NEUTRAL:
        yield thing, 0.0
        yield f"not the {thing}", 0.0
    yield from PHRASES


def _features(
    texts: Sequence[str],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], Floats]:
    """The hashed features of texts: row, column and value of each."""
    rows: list[int] = []
    columns: list[int] = []
    values: list[float] = []
    for row, text in enumerate(texts):
        for feature, weight in _words(text):
            rows.append(row)
            columns.append(zlib.crc32(feature.encode()) % _BUCKETS)
            values.append(weight)
    return np.asarray(rows, np.int64), np.asarray(columns, np.int64), np.asarray(values, np.float64)


def _words(text: str) -> Iterator[tuple[str, float]]:
    tokens = _TOKEN.findall(text.lower())
    contrast = max((at for at, token in enumerate(tokens) if token in _CONTRASTS), default=-1)
    reach, scale = 0, 1.0
    for place, token in enumerate(tokens):
        if token in _STOPS or token in _CONTRASTS:
            reach, scale = 0, 1.0
        elif token in NEGATIONS or token.endswith(("n't", "n’t")):
            reach = _REACH
        elif token in INTENSIFIERS or token in DIMINISHERS:
            scale = 1.5 if token in INTENSIFIERS else 0.5
        elif token not in FUNCTION_WORDS:
            weight = scale * (2.0 if 0 <= contrast < place else 1.0)
            yield f"!{token}" if reach else token, weight
            reach, scale = max(0, reach - 1), 1.0
