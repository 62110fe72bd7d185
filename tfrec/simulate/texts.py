"""What is written in the service: lyrics, titles, tags, comments, self-descriptions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tfrec.simulate.streams import stream
from tfrec.simulate.vocabulary import (
    COMMENT_TEMPLATES,
    GENRES,
    LINES,
    NEGATIVE,
    POSITIVE,
    TITLES,
    TOPICS,
)

__all__ = [
    "comment",
    "genre_directions",
    "lyrics",
    "pick_genres",
    "self_description",
    "title",
    "topic_probabilities",
]

Vector = npt.NDArray[np.float32]
_LINES_A_SONG = 10
# How sharply a latent of 1 favours its topic: e^1.3, nearly four times.
_TOPIC_SHARPNESS = 1.3
_GENRE_SHARPNESS = 3.0


def topic_probabilities(shown: Vector) -> npt.NDArray[np.float64]:
    """How often each topic's words come: softmax of the latents and their negatives.

    Args:
        shown: float32 [3], the text block as shown.

    Returns:
        float64 [6], in the order of `TOPICS`.

    Example:
        >>> topic_probabilities(np.zeros(3)).round(3).tolist()
        [0.167, 0.167, 0.167, 0.167, 0.167, 0.167]
    """
    pull = np.exp(_TOPIC_SHARPNESS * np.stack([shown, -shown], axis=-1).reshape(-1))
    return np.asarray(pull / pull.sum())


def lyrics(shown: Vector, rng: np.random.Generator) -> str:
    """Lines of two topic words each, separated by " / "."""
    lines = rng.integers(len(LINES), size=_LINES_A_SONG)
    words = _topic_words(shown, 2 * _LINES_A_SONG, rng)
    filled = [
        LINES[line].format(*words[2 * place : 2 * place + 2]) for place, line in enumerate(lines)
    ]
    return " / ".join(filled)


def title(shown: Vector, rng: np.random.Generator) -> str:
    """A title of one or two topic words."""
    words = [word.capitalize() for word in _topic_words(shown, 2, rng)]
    return TITLES[rng.integers(len(TITLES))].format(*words)


def comment(mood: float, rng: np.random.Generator) -> str:
    """A comment, its wording the more often positive the higher the mood.

    Args:
        mood: Of unit variance; 0 makes both kinds of words equally likely.
        rng: Where the words are drawn from.
    """
    template = COMMENT_TEMPLATES[rng.integers(len(COMMENT_TEMPLATES))]
    words = []
    for _ in range(template.count("{}")):
        pleased = rng.random() < 1 / (1 + np.exp(-2.5 * mood))
        words.append(_one(POSITIVE if pleased else NEGATIVE, rng))
    return template.format(*words)


def self_description(shown: Vector, genres: Sequence[str], rng: np.random.Generator) -> str:
    """How a listener presents himself: his favourite topics and a genre.

    Args:
        shown: float32 [3], his taste for the text block as shown.
        genres: His preferred genres.
        rng: Where the words are drawn from.
    """
    words = _topic_words(1.5 * shown, 3, rng)
    return f"I love songs about {words[0]}, {words[1]} and {words[2]}, above all {genres[0]}"


def genre_directions(seed: int) -> npt.NDArray[np.float64]:
    """Where each genre lies among the attribute latents: unit vectors, float64 [genres, 3]."""
    directions = stream(seed, "genres").standard_normal((len(GENRES), 3))
    return np.asarray(directions / np.linalg.norm(directions, axis=1, keepdims=True))


def pick_genres(
    shown: Vector, directions: npt.NDArray[np.float64], most: int, rng: np.random.Generator
) -> list[str]:
    """One to `most` genres whose directions agree with the attribute latents, best first."""
    pull = _GENRE_SHARPNESS * (directions @ shown)
    ranked = np.argsort(-(pull + rng.gumbel(size=len(pull))))
    return [GENRES[place] for place in ranked[: rng.integers(1, most + 1)]]


def _topic_words(shown: Vector, count: int, rng: np.random.Generator) -> list[str]:
    topics = rng.choice(len(TOPICS), size=count, p=topic_probabilities(shown))
    return [_one(TOPICS[topic][1], rng) for topic in topics]


def _one(words: Sequence[str], rng: np.random.Generator) -> str:
    return words[int(rng.integers(len(words)))]
