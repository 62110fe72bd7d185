"""What each modality tells of the latents, and that the knob sets how much."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.simulate.probe import (
    clip_statistics,
    cover_statistics,
    explained,
    read,
    word_shares,
)
from tfrec.simulate import SimulationConfig, SimulationSummary, simulate
from tfrec.simulate.vocabulary import AGE_BANDS, NEGATIVE, POSITIVE

Services = dict[float, SimulationSummary]


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Services:
    """The same world told loudly, as usual, and not at all."""
    folder = tmp_path_factory.mktemp("signal")
    return {
        signal: simulate(
            folder / str(signal),
            SimulationConfig(items=400, users=300, signal=signal, missing=0.0, seed=5),
        )
        for signal in (1.0, 0.7, 0.0)
    }


def told(summary: SimulationSummary, modality: str, block: str | None = None) -> float:
    """R² of a modality's latents from its files."""
    items = read(summary.out / "items.csv")
    target = summary.truth.block(block or modality).astype(float)
    if modality == "text":
        features = word_shares([row["lyrics"] + " " + row["title"] for row in items])
    elif modality == "image":
        files = [summary.out / "covers" / f"{row['item_id']}.jpg" for row in items]
        features = np.array([cover_statistics(file.read_bytes()) for file in files])
    elif modality == "audio":
        files = [summary.out / "clips" / f"{row['item_id']}.wav" for row in items]
        features = np.array([clip_statistics(file.read_bytes()) for file in files])
    else:
        genres = word_shares([row["genres"].replace(" ", "").replace("|", " ") for row in items])
        numbers = [[float(row["year"]), np.log(float(row["price"]))] for row in items]
        features = np.concatenate([genres, np.array(numbers)], axis=1)
    return explained(features, target)


@pytest.mark.parametrize(
    ("modality", "least"), [("text", 0.6), ("image", 0.7), ("audio", 0.6), ("attributes", 0.5)]
)
def test_the_knob_sets_how_much_a_modality_tells(
    services: Services, modality: str, least: float
) -> None:
    """A planted signal is there when it is switched on, and gone when it is switched off."""
    full, usual, none = (told(services[signal], modality) for signal in (1.0, 0.7, 0.0))
    assert full >= least
    # The share of the latents' variance that is shown is the signal itself.
    assert usual == pytest.approx(0.7 * full, abs=0.15)
    assert none < 0.05


@pytest.mark.parametrize(
    ("modality", "other"), [("text", "image"), ("image", "audio"), ("audio", "text")]
)
def test_a_modality_tells_nothing_of_the_others(
    services: Services, modality: str, other: str
) -> None:
    """Each carries what the others don't, so a model that mixes them up is caught."""
    assert told(services[1.0], modality, other) < 0.1


def test_one_modality_can_be_silenced_alone(tmp_path: Path) -> None:
    config = SimulationConfig(
        items=200, users=100, events=2_000, signal=1.0, signals={"image": 0.0}, missing=0.0
    )
    summary = simulate(tmp_path / "s", config)
    assert told(summary, "image") < 0.1
    assert told(summary, "text") > 0.5


def sentiment(text: str) -> int:
    words = text.replace(",", " ").split()
    return sum((word in POSITIVE) - (word in NEGATIVE) for word in words)


def correlation_of_comments(summary: SimulationSummary) -> float:
    """Of a comment's wording with how the song is spoken of."""
    place = {name: number for number, name in enumerate(summary.truth.item_ids.tolist())}
    rows = read(summary.out / "comments.csv")
    mood = [summary.truth.block("comments")[place[row["item_id"]], 0] for row in rows]
    said = [sentiment(row["text"]) for row in rows]
    return float(np.corrcoef(mood, said)[0, 1])


def test_comments_are_worded_by_the_mood_of_the_song(services: Services) -> None:
    """About 1,000 comments: chance alone stays below 0.1 (three standard errors)."""
    assert correlation_of_comments(services[1.0]) > 0.45
    assert correlation_of_comments(services[0.7]) > 0.35
    assert abs(correlation_of_comments(services[0.0])) < 0.1


def test_profiles_tell_of_tastes(services: Services) -> None:
    """Age follows the taste for old recordings, descriptions the taste for topics."""
    for signal, least, most in ((1.0, 0.6, 1.0), (0.0, -0.2, 0.2)):
        summary = services[signal]
        users = read(summary.out / "users.csv")
        blocks = summary.truth.blocks
        # Tastes on the last day have turned by half a radian: cos(0.5) = 0.88 is left.
        old = -summary.truth.user_tastes[:, blocks == "attributes"][:, 0]
        age = [AGE_BANDS.index(row["age_band"]) for row in users]
        assert least <= np.corrcoef(old, age)[0, 1] <= most
    words = word_shares([row["description"] for row in read(services[1.0].out / "users.csv")])
    tastes = services[1.0].truth.user_tastes[:, services[1.0].truth.blocks == "text"]
    assert explained(words, tastes.astype(float)) > 0.15
