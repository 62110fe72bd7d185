"""Songs: what a catalogue says and shows of the latents."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tfrec.simulate.clip import synthesise_clip, write_wav
from tfrec.simulate.config import SimulationConfig
from tfrec.simulate.cover import draw_cover
from tfrec.simulate.streams import stream
from tfrec.simulate.texts import genre_directions, lyrics, pick_genres, title
from tfrec.simulate.video import encode_video
from tfrec.simulate.vocabulary import ARTIST_FIRST, ARTIST_LAST, GENRES
from tfrec.simulate.world import Floats, World

__all__ = ["Catalogue", "Song", "item_id", "new_song", "user_id"]


@dataclass(frozen=True)
class Song:
    """An item as a service knows it; "" and `None` stand for what is missing.

    Attributes:
        item_id: Its id.
        title, artist, lyrics: Text.
        genres: One to three tags.
        year: Of the recording.
        price: In a currency of no importance.
        cover: A JPEG file, or `None`.
        clip: A WAV file, or `None`.
        video: An MP4 file, or `None`.
    """

    item_id: str
    title: str
    artist: str
    lyrics: str
    genres: tuple[str, ...]
    year: int | None
    price: float | None
    cover: bytes | None
    clip: bytes | None
    video: bytes | None


def item_id(number: int) -> str:
    """The id of the item at a position; positions tell nothing about it."""
    return f"s{number + 1:05d}"


def user_id(number: int) -> str:
    """The id of the user at a position."""
    return f"u{number + 1:05d}"


class Catalogue:
    """Renders the songs of a world, each from its own random stream.

    Args:
        world: The hidden state.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._directions = genre_directions(world.config.seed)
        self._artists = _artists(world.config)
        self._text = world.shown_items("text")
        self._image = world.shown_items("image")
        self._audio = world.shown_items("audio")
        self._attributes = world.shown_items("attributes")
        self._video = world.shown_items("video") if world.config.video > 0 else None

    def song(self, number: int) -> Song:
        """The song at a position of the catalogue, some of its parts missing."""
        config = self._world.config
        absent = stream(config.seed, "missing", number).random(6)
        video = None
        if self._video is not None and absent[5] < config.video:
            video = self._video[number]
        return self._render(
            item_id(number),
            ("song", number),
            self._text[number] if absent[0] >= config.missing else None,
            self._image[number] if absent[1] >= config.missing else None,
            self._audio[number] if absent[2] >= config.missing else None,
            self._attributes[number],
            video,
            self._text[number],
            has_year=bool(absent[3] >= config.missing / 2),
            has_price=bool(absent[4] >= config.missing / 2),
        )

    def new(self, number: int) -> Song:
        """A song that is in no catalogue, nothing of it missing but a video."""
        world = self._world
        latents = world.new_item(number)
        text, image, audio, attributes = (
            world.shown(name, latents[:, world.block(name).columns], "new", number)[0]
            for name in ("text", "image", "audio", "attributes")
        )
        name, key = f"new{number + 1:05d}", ("new song", number)
        return self._render(name, key, text, image, audio, attributes, None, text)

    def _render(
        self,
        name: str,
        key: tuple[str, int],
        text: Floats | None,
        image: Floats | None,
        audio: Floats | None,
        attributes: Floats,
        video: Floats | None,
        headline: Floats,
        has_year: bool = True,
        has_price: bool = True,
    ) -> Song:
        seed = self._world.config.seed
        rng = stream(seed, *key, "words")
        genres = pick_genres(attributes, self._directions, 3, rng)
        by_genre = self._artists[genres[0]]
        year = int(np.clip(round(2003 + 9 * attributes[0] + 3 * rng.standard_normal()), 1955, 2024))
        price = float(np.round(1.1 * np.exp(0.3 * attributes[1] + 0.1 * rng.standard_normal()), 2))
        return Song(
            item_id=name,
            title=title(headline, rng),
            artist=by_genre[int(len(by_genre) * rng.random() ** 2)],
            lyrics=lyrics(text, rng) if text is not None else "",
            genres=tuple(genres),
            year=year if has_year else None,
            price=price if has_price else None,
            cover=draw_cover(image, stream(seed, *key, "cover")) if image is not None else None,
            clip=(
                write_wav(synthesise_clip(audio, stream(seed, *key, "clip")))
                if audio is not None
                else None
            ),
            video=encode_video(video, stream(seed, *key, "video")) if video is not None else None,
        )


def new_song(config: SimulationConfig, number: int = 0) -> Song:
    """A song as it would be added to a simulated service tomorrow: nobody has heard it.

    Args:
        config: The simulation that the service was made by.
        number: Which of the endless supply.

    Example:
        >>> song = new_song(SimulationConfig(items=20, users=50))
        >>> song.item_id, song.clip[:4]
        ('new00001', b'RIFF')
    """
    return Catalogue(World(config)).new(number)


def _artists(config: SimulationConfig) -> dict[str, list[str]]:
    """Artists by their main genre; there is one for about twelve songs."""
    names = [f"{first} {last}" for first in ARTIST_FIRST for last in ARTIST_LAST]
    stream(config.seed, "artists").shuffle(names)
    count = int(np.clip(config.items // 12, 2 * len(GENRES), len(names)))
    return {genre: names[place : count : len(GENRES)] for place, genre in enumerate(GENRES)}
