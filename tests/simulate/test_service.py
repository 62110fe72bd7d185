"""The files of a simulated service: complete, deterministic, written whole or not at all."""

from __future__ import annotations

import csv
import hashlib
import time
import wave
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.simulate.conftest import TINY
from tfrec.config import DatasetConfig, load_config
from tfrec.config.presets import find_dataset_config
from tfrec.errors import DataError, DescriptionError
from tfrec.simulate import SimulationConfig, SimulationSummary, Truth, simulate

ROOT = Path(__file__).resolve().parents[2]


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def digests(folder: Path) -> dict[str, str]:
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


def test_the_same_configuration_gives_the_same_bytes_and_another_seed_others(
    tiny_folder: Path, tmp_path: Path
) -> None:
    """A figure measured on a simulated service can be measured again."""
    simulate(tmp_path / "again", TINY)
    simulate(tmp_path / "other", TINY.model_copy(update={"seed": 4}))
    first, again, other = map(digests, (tiny_folder, tmp_path / "again", tmp_path / "other"))
    assert again == first
    changed = {name for name in first if first[name] != other.get(name)}
    assert changed == set(first) - {"dataset.yaml"}


def test_the_signal_changes_media_and_never_behaviour(tiny_folder: Path, tmp_path: Path) -> None:
    """Services that differ in the signal alone are comparable: the events are the same."""
    config = TINY.model_copy(update={"signals": {"image": 0.0}, "missing": 0.5})
    simulate(tmp_path / "silent", config)
    silent, usual = digests(tmp_path / "silent"), digests(tiny_folder)
    assert silent["interactions.csv"] == usual["interactions.csv"]
    assert silent["truth.npz"] == usual["truth.npz"]
    covers = [name for name in silent if name.startswith("covers/")]
    assert covers and all(silent[name] != usual.get(name) for name in covers)
    clips = [name for name in silent if name.startswith("clips/")]
    assert clips and all(silent[name] == usual[name] for name in clips if name in usual)


def test_every_source_that_the_description_names_is_there(
    tiny: SimulationSummary, tiny_folder: Path
) -> None:
    """`tfrec preprocess OUT/dataset.yaml` finds each file and column."""
    config = load_config(tiny.dataset, DatasetConfig)
    items = rows(tiny_folder / config.items.path)
    assert len(items) == tiny.items == 60
    for name, feature in config.items.features.items():
        if feature.path is None:
            assert set(feature.columns(name)) <= set(items[0])
    events = rows(tiny_folder / config.interactions.path)
    assert len(events) == tiny.events == 960
    assert {"user_id", "item_id", "timestamp", "event", "seconds_listened", "device"} == set(
        events[0]
    )
    assert {row["event"] for row in events} == {"listen", "like", "skip", "share"}
    assert config.users is not None and config.comments is not None
    users = rows(tiny_folder / config.users.path)
    assert len(users) == tiny.users == 80
    assert set(config.users.features) < set(users[0])
    comments = rows(tiny_folder / config.comments.path)
    assert len(comments) == tiny.comments > 20
    known_users, known_items = {r["user_id"] for r in users}, {r["item_id"] for r in items}
    for row in [*events, *comments]:
        assert row["user_id"] in known_users and row["item_id"] in known_items


def test_the_description_is_the_shipped_one_and_names_videos_when_there_are_any(
    tiny: SimulationSummary, tmp_path: Path
) -> None:
    """What people read in configs/ is what `simulate` writes."""
    shipped = ROOT / "configs" / "datasets" / "music-simulated.yaml"
    assert find_dataset_config("music-simulated").samefile(shipped)
    summary = simulate(tmp_path / "plain", SimulationConfig(items=20, users=50))
    assert summary.dataset.read_text() == shipped.read_text()
    assert summary.videos == 0 and not (tmp_path / "plain" / "videos").exists()
    with_video = load_config(tiny.dataset, DatasetConfig)
    assert with_video.items.features["video"].modality == "video"
    without = load_config(summary.dataset, DatasetConfig)
    assert set(with_video.items.features) - set(without.items.features) == {"video"}


def test_media_are_real_files_of_the_promised_kinds(
    tiny: SimulationSummary, tiny_folder: Path
) -> None:
    covers = sorted((tiny_folder / "covers").glob("*.jpg"))
    clips = sorted((tiny_folder / "clips").glob("*.wav"))
    assert len(covers) == tiny.covers and len(clips) == tiny.clips
    with Image.open(covers[0]) as picture:
        assert (picture.format, picture.mode, picture.size) == ("JPEG", "RGB", (96, 96))
    for clip in clips:
        with wave.open(str(clip)) as file:
            shape = (file.getframerate(), file.getnchannels(), file.getsampwidth())
            assert shape == (16_000, 1, 2)
            assert 2.0 <= file.getnframes() / 16_000 <= 4.0
            samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        assert 8_000 < np.abs(samples.astype(int)).max() < 32_767


def test_videos_play(tiny: SimulationSummary, tiny_folder: Path) -> None:
    av = pytest.importorskip("av")
    videos = sorted((tiny_folder / "videos").glob("*.mp4"))
    assert len(videos) == tiny.videos > 0
    with av.open(str(videos[0])) as file:
        frames = [frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)]
    assert np.shape(frames) == (16, 64, 96, 3)
    assert np.abs(np.diff(np.asarray(frames, int), axis=0)).max() > 50


def test_some_media_and_lyrics_are_missing(tmp_path: Path) -> None:
    """`missing` sets how many: here half, within chance (4 standard deviations of 20 of 40)."""
    config = SimulationConfig(items=40, users=60, missing=0.5)
    summary = simulate(tmp_path / "s", config)
    items = rows(tmp_path / "s" / "items.csv")
    lyrics = sum(row["lyrics"] != "" for row in items)
    for count in (summary.covers, summary.clips, lyrics):
        assert 8 <= count <= 32
    assert all(row["title"] for row in items)
    ids = {row["item_id"] for row in items}
    assert {file.stem for file in (tmp_path / "s" / "covers").iterdir()} < ids


def test_the_truth_is_saved_and_named_by_no_description(
    tiny: SimulationSummary, tiny_folder: Path
) -> None:
    truth = Truth.load(tiny_folder / "truth.npz")
    assert truth.affinity.shape == (80, 60)
    np.testing.assert_array_equal(truth.item_latents, tiny.truth.item_latents)
    by_hand = truth.user_tastes[5] @ (truth.item_latents[7] * truth.scale)
    assert truth.affinity[5, 7] == pytest.approx(by_hand, abs=5e-3)
    assert "truth" not in tiny.dataset.read_text()
    assert truth.item_ids.tolist() == [row["item_id"] for row in rows(tiny_folder / "items.csv")]


def test_a_used_directory_is_refused_and_left_as_it_was(tmp_path: Path) -> None:
    out = tmp_path / "mine"
    out.mkdir()
    (out / "thesis.txt").write_text("years of work")
    with pytest.raises(DescriptionError, match="new or empty directory") as caught:
        simulate(out, TINY)
    assert "\n" not in str(caught.value)
    assert digests(tmp_path).keys() == {"mine/thesis.txt"}
    with pytest.raises(DescriptionError, match="Received: a file"):
        simulate(out / "thesis.txt", TINY)


def test_the_current_directory_is_not_replaced_under_the_shell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DescriptionError, match="current directory"):
        simulate(".", TINY)


def test_an_empty_directory_is_taken(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "empty"
    out.mkdir(parents=True)
    simulate(out, SimulationConfig(items=20, users=50))
    assert (out / "interactions.csv").is_file()


def test_nothing_is_left_when_writing_fails(tmp_path: Path) -> None:
    """OUT is whole or absent, whatever happens in the middle."""

    def interrupt(stage: str, done: int, total: int) -> None:
        if stage == "songs" and done == 5:
            raise KeyboardInterrupt

    def disk_full(stage: str, done: int, total: int) -> None:
        if stage == "songs" and done == 5:
            raise OSError(28, "No space left on device")

    config = SimulationConfig(items=20, users=50)
    with pytest.raises(KeyboardInterrupt):
        simulate(tmp_path / "a", config, interrupt)
    with pytest.raises(DataError, match="No space left"):
        simulate(tmp_path / "a", config, disk_full)
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="must be writable") as caught:
        simulate(tmp_path / "file" / "inside", TINY)
    assert "\n" not in str(caught.value)


def test_a_tiny_service_costs_seconds_and_not_minutes(tmp_path: Path) -> None:
    """Other tests build on it; processor time, and wide, since two busy cores slow each other."""
    started = time.process_time()
    simulate(tmp_path / "s", SimulationConfig(items=60, users=80))
    assert time.process_time() - started < 10
