"""A small service: two publics, two kinds of items, pictures and words that tell the kind."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.records import Event, spec, write_prepared

ITEMS, USERS, EVENTS = 40, 60, 10
COLD = (38, 39)


def kind(number: int) -> int:
    return number % 2


def events() -> dict[str, list[Event]]:
    """Each user likes items of the own kind, nine times in ten; the last two are held out."""
    random = np.random.default_rng(7)
    found: dict[str, list[Event]] = {"train": [], "validation": [], "test": []}
    for user in range(USERS):
        own = [i for i in range(ITEMS) if kind(i) == kind(user) and i not in COLD]
        other = [i for i in range(ITEMS) if kind(i) != kind(user) and i not in COLD]
        liked = list(random.permutation(own)[: EVENTS - 1])
        liked.insert(int(random.integers(0, EVENTS - 3)), int(random.choice(other)))
        for place, item in enumerate(liked):
            split = (
                "train" if place < EVENTS - 2 else "validation" if place < EVENTS - 1 else "test"
            )
            found[split].append((user, int(item), 1_000 * place + user, 1.0))
        # Something it didn't like.
        found["train"].append((user, int(random.choice(other)), 500, 0.0))
    return found


def picture(item: int) -> np.ndarray:
    random = np.random.default_rng(item)
    image = random.integers(0, 100, (16, 16, 3))
    image[..., kind(item)] += 120
    return image.astype(np.uint8)


@pytest.fixture(scope="package")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Prepared data with a picture, raw and encoded text, tags, and a profile."""
    return write_prepared(
        tmp_path_factory.mktemp("service") / "data",
        events(),
        items=ITEMS,
        users=USERS,
        specs=[
            spec("cover", "image", size=(16, 16)),
            spec("title", "text", encoded_dim=4),
            spec("words", "text"),
            spec("genres", "tags", vocabulary_size=6),
        ],
        values={
            "cover": [picture(i) if i % 7 else None for i in range(ITEMS)],
            "title": [f"title {i}" for i in range(ITEMS)],
            "words": [("red hot song" if kind(i) else "blue calm tune") for i in range(ITEMS)],
            "genres": [[2 + kind(i), 4] for i in range(ITEMS)],
        },
        encoded={"title": [[1.0, kind(i), 0.0, i % 3] for i in range(ITEMS)]},
        profile=[spec("about", "text")],
        profiles={"about": [None if u % 5 == 0 else f"i am {kind(u)}" for u in range(USERS)]},
    )
