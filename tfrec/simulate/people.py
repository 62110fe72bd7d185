"""Listeners' profiles and comments: what they say, and what it tells of their tastes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from tfrec.simulate.behaviour import Behaviour
from tfrec.simulate.catalogue import item_id, user_id
from tfrec.simulate.streams import stream
from tfrec.simulate.texts import comment, genre_directions, pick_genres, self_description
from tfrec.simulate.vocabulary import AGE_BANDS, COUNTRIES
from tfrec.simulate.world import World

__all__ = ["comment_moods", "comments", "profiles"]

# One play in twelve is commented on.
_COMMENTED = 1 / 12


def profiles(world: World) -> Iterator[tuple[str, str, str, str, str]]:
    """Rows of users.csv: id, age band, country, preferred genres, self-description.

    Age follows the taste for old recordings, country a taste that no modality of a song shows;
    genres and description follow the tastes for attributes and for topics. Some cells are empty.
    """
    config = world.config
    shown = world.shown("profile", world.tastes_first, "users")
    attributes = shown[:, world.block("attributes").columns]
    topics = shown[:, world.block("text").columns]
    bands = _band(-attributes[:, 0], len(AGE_BANDS))
    countries = _band(shown[:, world.block("hidden").columns][:, 0], len(COUNTRIES))
    directions = genre_directions(config.seed)
    for number in range(config.users):
        rng = stream(config.seed, "profile", number)
        absent = rng.random(4) < config.missing
        genres = pick_genres(attributes[number], directions, 3, rng)
        words = self_description(topics[number], genres, rng)
        yield (
            user_id(number),
            "" if absent[0] else AGE_BANDS[bands[number]],
            "" if absent[1] else COUNTRIES[countries[number]],
            "" if absent[2] else "|".join(genres),
            "" if absent[3] else words,
        )


def comment_moods(world: World, behaviour: Behaviour) -> npt.NDArray[np.float32]:
    """What a comment on each event would feel like: float32 [events], of unit variance.

    Two thirds of it is how the song is spoken of by everyone (the latent `comments`), one third how
    well it suits this listener; both as far as the signal of `comments` goes.
    """
    quality = world.item_latents[behaviour.item, world.block("comments").columns.start]
    liking = (behaviour.affinity - behaviour.affinity.mean()) / behaviour.affinity.std()
    mood = np.sqrt(2 / 3) * quality + np.sqrt(1 / 3) * liking
    return world.shown("comments", mood.astype(np.float32), "events")


def comments(world: World, behaviour: Behaviour) -> list[tuple[str, str, str, int]]:
    """Rows of comments.csv in time order: user, item, text, timestamp.

    A comment comes after its play and before the same listener's next one.
    """
    seed = world.config.seed
    rng = stream(seed, "comments")
    moods = comment_moods(world, behaviour)
    following = _next_of_same_user(behaviour)
    rows = []
    for row in np.flatnonzero(rng.random(len(moods)) < _COMMENTED):
        words = stream(seed, "comment", int(row))
        gap = int(min(following[row] - behaviour.timestamp[row], 900))
        when = int(behaviour.timestamp[row]) + int(words.integers(1, gap))
        text = comment(float(moods[row]), words)
        user, item = int(behaviour.user[row]), int(behaviour.item[row])
        rows.append((user_id(user), item_id(item), text, when))
    return sorted(rows, key=lambda row: (row[3], row[0]))


def _next_of_same_user(behaviour: Behaviour) -> npt.NDArray[np.int64]:
    """When each event's user has his next event; far in the future for his last."""
    order = np.lexsort((behaviour.timestamp, behaviour.user))
    following = np.full(len(order), np.iinfo(np.int64).max)
    same = behaviour.user[order[1:]] == behaviour.user[order[:-1]]
    following[order[:-1][same]] = behaviour.timestamp[order[1:][same]]
    return following


def _band(values: npt.NDArray[np.float32], count: int) -> npt.NDArray[np.int64]:
    """Which of `count` equally frequent bands each standard normal value falls into."""
    rank = np.argsort(np.argsort(values))
    return np.asarray(rank * count // len(values))
