"""What a served model answers, as a person would look at it: for one listener, and for a new song.

Reads the service's own files for titles; everything else comes from the server, over gRPC.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from tfrec.config import DatasetConfig
from tfrec.schema import DataLayout, FeatureSpec, Manifest
from tfrec.simulate import Song

__all__ = ["Answers", "Tour"]

Row = dict[str, str]
_LIKED = ("like", "share")
# As many songs in one request: their covers and clips are some 100 kB each.
_BATCH = 64


class Answers(Protocol):
    """The part of `serving.client.Client` that the tour uses."""

    def recommend(self, user_id: str, k: int) -> Any:
        """Ranked items, with `item_ids` and `scores`."""

    def predict(self, inputs: Mapping[str, Any], *, signature: str) -> dict[str, npt.NDArray[Any]]:
        """The outputs of a signature."""


class Tour:
    """Asks a server about one listener and one new song, and lays the answers out.

    Args:
        service: The simulated service's directory.
        data: The prepared data.
        client: A client of the server.
        user: The listener; unless given one with a rich but not extreme taste.
    """

    def __init__(self, service: Path, data: Path, client: Answers, user: str | None = None) -> None:
        self._service = service
        self._client = client
        self._manifest: Manifest = DataLayout(data).read_manifest()
        self._songs = {row["item_id"]: row for row in _read(service / "items.csv")}
        self._events = _read(service / "interactions.csv")
        self._new = self._without_behaviour(self._manifest.dataset)
        self.user = user or self._someone()

    def liked(self, count: int = 5) -> list[str]:
        """The songs that the listener liked or shared last, newest last."""
        own = [row["item_id"] for row in self._own() if row["event"] in _LIKED]
        newest = list(dict.fromkeys(reversed(own)))[:count]
        return newest[::-1]

    def recommendations(self, count: int = 10) -> list[str]:
        """Lines of a table: what was liked last, then what the server recommends."""
        answer = self._client.recommend(self.user, count)
        lines = [f"Listener {self.user} liked last:"]
        lines += [f"      {self._shown(item)}" for item in self.liked()]
        lines += ["", f"Recommended to {self.user}:"]
        for rank, (item, score) in enumerate(
            zip(answer.item_ids, answer.scores, strict=True), start=1
        ):
            new = "  new" if item in self._new else ""
            lines.append(f"{rank:4}  {self._shown(item)} {score:7.3f}{new}")
        fresh = sum(item in self._new for item in answer.item_ids)
        lines.append(f"      ({fresh} of {len(answer.item_ids)} are new: nobody had heard them)")
        return lines

    def new_song(self, song: Song) -> list[str]:
        """Lines on a song that is in no catalogue: its rank for the listener, its neighbours."""
        vector = self._embed([self._raw(song)])[0]
        inputs = {"user_id": [self.user], "history": np.empty((1, 0), object)}
        query = self._client.predict(inputs, signature="embed_user")["embedding"][0]
        heard = {row["item_id"] for row in self._own()}
        others = [item for item in self._songs if item not in heard]
        scores = self._client.predict(
            inputs | {"item_ids": np.array([others], object)}, signature="score"
        )["scores"][0]
        own = float(vector @ query)
        rank = 1 + int((scores > own).sum())
        lines = [
            f"A song that is in no catalogue, from its words, cover and clip alone:"
            f" {song.title!r} by {song.artist} ({', '.join(song.genres)})",
            f"      would rank {rank} of {len(others) + 1:,} for {self.user}, at {own:.3f};"
            " nearest to it by content:",
        ]
        return lines + [
            f"      {self._shown(item)} {near:7.3f}" for item, near in self._near(vector)
        ]

    def a_song_to_their_taste(self, songs: Sequence[Song]) -> Song:
        """The song whose genres the listener likes most often."""
        liked = Counter(
            genre
            for row in self._own()
            if row["event"] in _LIKED
            for genre in self._songs[row["item_id"]]["genres"].split("|")
        )
        return max(songs, key=lambda song: float(np.mean([liked[g] for g in song.genres])))

    def _near(self, vector: npt.NDArray[np.float32], count: int = 5) -> list[tuple[str, float]]:
        """The songs whose content alone lies nearest, with the cosine."""
        names = list(self._songs)
        vectors = self._embed([self._stored(self._songs[name]) for name in names])
        lengths = np.linalg.norm(vectors, axis=1) * np.linalg.norm(vector)
        cosines = vectors @ vector / np.maximum(lengths, 1e-12)
        return [(names[place], float(cosines[place])) for place in np.argsort(-cosines)[:count]]

    def _embed(self, songs: Sequence[dict[str, Any]]) -> npt.NDArray[np.float32]:
        """Vectors of songs by their raw content: float32 [songs, D]."""
        parts = []
        for start in range(0, len(songs), _BATCH):
            batch = songs[start : start + _BATCH]
            inputs = {name: _column([song[name] for song in batch]) for name in batch[0]}
            parts.append(self._client.predict(inputs, signature="embed_item")["embedding"])
        return np.concatenate(parts)

    def _raw(self, song: Song) -> dict[str, Any]:
        """The inputs of `embed_item` for a song that lies in no file."""
        row = {
            "title": song.title,
            "artist": song.artist,
            "lyrics": song.lyrics,
            "genres": "|".join(song.genres),
            "year": str(song.year),
            "price": str(song.price),
        }
        media = {"cover": song.cover, "clip": song.clip, "video": song.video}
        return {
            spec.name: media.get(spec.name) or b""
            if spec.config.path is not None
            else _cell(spec, row)
            for spec in self._manifest.item_features
        }

    def _stored(self, row: Row) -> dict[str, Any]:
        """The same for a song of the catalogue, its media read from their files."""
        values: dict[str, Any] = {}
        for spec in self._manifest.item_features:
            if spec.config.path is None:
                values[spec.name] = _cell(spec, row)
            else:
                file = self._service / spec.config.path.format(**row)
                values[spec.name] = file.read_bytes() if file.is_file() else b""
        return values

    def _own(self) -> list[Row]:
        return [row for row in self._events if row["user_id"] == self.user]

    def _someone(self) -> str:
        """The listener with the most likes among those with at most a hundred events."""
        events = Counter(row["user_id"] for row in self._events)
        likes = Counter(row["user_id"] for row in self._events if row["event"] in _LIKED)
        return max(sorted(likes), key=lambda user: likes[user] * (events[user] <= 100))

    def _without_behaviour(self, dataset: DatasetConfig) -> set[str]:
        """Songs without a positive event in the train part: what training knew as new."""
        rule = dataset.interactions.label
        end = self._manifest.split_times["validation"]
        known = {
            row["item_id"]
            for row in self._events
            if int(row["timestamp"]) < end and (rule is None or rule.holds(row[rule.column]))
        }
        return set(self._songs) - known

    def _shown(self, item: str) -> str:
        row = self._songs[item]
        return f"{row['title']:<28.28} {row['artist']:<22.22} {row['genres']:<30.30}"


def _cell(spec: FeatureSpec, row: Row) -> Any:
    """A raw value as `embed_item` takes it; "" or NaN where there is none; tags are a list."""
    parts = [row.get(column, "") for column in spec.config.columns(spec.name)]
    if spec.modality == "tags":
        return parts[0].split(spec.config.separator)
    if spec.modality == "numeric":
        return np.float32(parts[0] or "nan")
    return ". ".join(part for part in parts if part)


def _column(cells: list[Any]) -> list[Any]:
    """One input of a batch: lists of tags are filled up with "" to the longest."""
    if not isinstance(cells[0], list):
        return cells
    width = max(map(len, cells))
    return [cell + [""] * (width - len(cell)) for cell in cells]


def _read(path: Path) -> list[Row]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
