"""Sentiment: sentences that a person judges at sight, and the simulated comments."""

from __future__ import annotations

import numpy as np
import pytest

from preprocessing.sentiment import score_texts
from tfrec.simulate.vocabulary import COMMENT_TEMPLATES, NEGATIVE, POSITIVE


@pytest.mark.parametrize(
    ("text", "sign"),
    [
        ("A wonderful film", 1),
        ("so boring", -1),
        ("not good", -1),
        ("I don't like it", -1),
        ("not bad at all", 1),
        ("never boring", 1),
        ("boring at first, but beautiful in the end", 1),
        ("the plot is clever; the ending is awful, awful, awful", -1),
        ("Love it!!! 😍", 1),
        ("meh :(", -1),
        ("a table by the window", 0),
        ("Leonardo DiCaprio", 0),
        ("это хорошо", 0),
        ("", 0),
    ],
)
def test_sentences_are_judged_as_a_person_would(text: str, sign: int) -> None:
    score = float(score_texts([text])[0])
    assert abs(score) <= 1
    if sign:
        assert sign * score > 0.3
    else:
        assert abs(score) < 0.05


def test_simulated_moods_are_recognised() -> None:
    """Templates filled with words of one mood: at least 99 of 100 have the right sign."""
    right = []
    for sign, words in ((1, POSITIVE), (-1, NEGATIVE)):
        texts = [
            template.format(*(words[(n + place) % len(words)] for place in range(3)))
            for n, _ in enumerate(words)
            for template in COMMENT_TEMPLATES
        ]
        right += (sign * score_texts(texts) > 0.2).tolist()
    assert np.mean(right) >= 0.99


def test_scores_are_independent_of_their_neighbours() -> None:
    texts = ["superb", "awful", "", "not superb"]
    together = score_texts(texts)
    assert together.tolist() == [float(score_texts([text])[0]) for text in texts]
    assert len(score_texts([])) == 0
