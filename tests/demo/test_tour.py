"""What the demo shows of a server's answers: the right songs, the right rank, raw inputs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tfrec.config import DatasetConfig, load_config
from tfrec.demo import Tour
from tfrec.schema import DataLayout, FeatureSpec, Manifest
from tfrec.simulate import SimulationConfig, SimulationSummary, new_song, simulate

CONFIG = SimulationConfig(items=60, users=80, missing=0.2)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> SimulationSummary:
    return simulate(tmp_path_factory.mktemp("tour") / "music", CONFIG)


@pytest.fixture(scope="module")
def data(service: SimulationSummary, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A manifest as preprocessing writes it, as far as the tour reads it."""
    dataset = load_config(service.dataset, DatasetConfig)
    specs = [
        FeatureSpec(name=name, modality=feature.modality, config=feature)
        for name, feature in dataset.items.features.items()
    ]
    manifest = Manifest(
        dataset=dataset,
        items=60,
        warm_items=55,
        users=80,
        events={},
        positives={},
        sources={},
        item_features=tuple(specs),
        split_times={"validation": service.validation_from, "test": service.test_from},
        shards=(),
        fingerprint="0",
        versions={},
    )
    folder = tmp_path_factory.mktemp("data")
    DataLayout(folder).manifest_path.write_text(manifest.model_dump_json())
    return folder


class FakeServer:
    """Scores a song by the number in its id, and embeds by the length of its lyrics."""

    def __init__(self, answer: list[str]) -> None:
        self.answer = answer
        self.embedded: list[Mapping[str, Any]] = []

    def recommend(self, user_id: str, k: int) -> Any:
        scores = [1.0 - place / 10 for place in range(len(self.answer))]
        return SimpleNamespace(item_ids=self.answer[:k], scores=scores[:k])

    def predict(self, inputs: Mapping[str, Any], *, signature: str) -> dict[str, Any]:
        if signature == "embed_user":
            return {"embedding": np.array([[0.0, 1.0]], np.float32)}
        if signature == "score":
            return {"scores": np.array([[int(i[1:]) for i in inputs["item_ids"][0]]], float)}
        self.embedded.append(inputs)
        size = [[len(text) % 7 - 3, 30.5] for text in inputs["text"]]
        return {"embedding": np.array(size, np.float32)}


def test_new_songs_are_marked_and_liked_ones_come_newest_last(
    service: SimulationSummary, data: Path
) -> None:
    cold = service.truth.item_ids[service.truth.cold][0]
    old = service.truth.item_ids[~service.truth.cold][0]
    tour = Tour(service.out, data, FakeServer([cold, old]))
    lines = tour.recommendations(10)
    ranked = [line for line in lines if line.strip()[:2] in ("1 ", "2 ")]
    assert ranked[0].endswith("1.000  new") and ranked[1].endswith("0.900")
    assert "(1 of 2 are new" in lines[-1]
    rows = (service.out / "interactions.csv").read_text().splitlines()
    own = [row.split(",") for row in rows if row.startswith(tour.user)]
    liked = [row[1] for row in own if row[3] in ("like", "share")]
    assert tour.liked(1) == [liked[-1]]
    assert len(set(tour.liked())) == len(tour.liked()) <= 5


def test_a_new_song_is_ranked_among_what_the_listener_has_not_heard(
    service: SimulationSummary, data: Path
) -> None:
    """By hand: unheard songs with a number above 30.5 come before it."""
    server = FakeServer([])
    tour = Tour(service.out, data, server)
    rows = (service.out / "interactions.csv").read_text().splitlines()
    heard = {row.split(",")[1] for row in rows if row.startswith(tour.user)}
    unheard = [item for item in service.truth.item_ids.tolist() if item not in heard]
    rank = 1 + sum(int(item[1:]) > 30 for item in unheard)
    lines = tour.new_song(new_song(CONFIG))
    assert f"would rank {rank} of {len(unheard) + 1} for {tour.user}, at 30.500" in lines[1]
    assert len(lines) == 7


def test_raw_inputs_are_what_the_files_hold(service: SimulationSummary, data: Path) -> None:
    """Every item feature is an input; what is missing is "" or NaN."""
    server = FakeServer([])
    song = new_song(CONFIG)
    Tour(service.out, data, server).new_song(song)
    first, *batches = server.embedded
    assert first["text"] == [f"{song.title}. {song.lyrics}"]
    assert first["cover"] == [song.cover] and first["clip"] == [song.clip]
    assert first["genres"] == [list(song.genres)]
    assert first["year"] == [song.year] and first["price"] == [pytest.approx(song.price)]
    covers = [cover for batch in batches for cover in batch["cover"]]
    assert len(covers) == 60
    assert sum(cover != b"" for cover in covers) == service.covers < 60
    prices = [price for batch in batches for price in batch["price"]]
    assert any(np.isnan(prices)) and not all(np.isnan(prices))


def test_a_song_to_the_listeners_taste_shares_their_genres(
    service: SimulationSummary, data: Path
) -> None:
    tour = Tour(service.out, data, FakeServer([]))
    songs = [new_song(CONFIG, number) for number in range(8)]
    chosen = tour.a_song_to_their_taste(songs)
    items = (service.out / "items.csv").read_text().splitlines()
    liked = " ".join(row for row in items if row[:6] in tour.liked(100))

    def shared(genres: tuple[str, ...]) -> float:
        return sum(liked.count(genre) for genre in genres) / len(genres)

    assert shared(chosen.genres) >= np.median([shared(song.genres) for song in songs])
