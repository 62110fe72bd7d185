"""A cache of contents: what it knows isn't computed again, and it never gives a wrong value."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from preprocessing import decoding
from preprocessing.caching import ContentCache, content_hash
from tests.preprocessing.service import items_of
from tests.preprocessing.test_encoding import FakeEncoder, encoders, service_with_encoders
from tfrec.config import FeatureConfig

__all__ = ["encoders"]


def cache_in(folder: Path, **depends_on: object) -> ContentCache:
    return ContentCache(folder, "encoded", {"encoder": "a"} | depends_on, (2,), np.float32)


def test_a_value_is_found_by_its_content_and_settings_alone(tmp_path: Path) -> None:
    """Another encoder's vectors are never taken for this one's."""
    key = content_hash(b"poster")
    cache_in(tmp_path).add({key: np.float32([1, 2])})
    assert cache_in(tmp_path).find([key, content_hash(b"x")])[key].tolist() == [1, 2]
    assert list(cache_in(tmp_path).find([key, content_hash(b"x")])) == [key]
    assert cache_in(tmp_path, encoder="b").find([key]) == {}


@pytest.mark.parametrize("damage", ["cut", "flip", "empty"])
def test_a_damaged_segment_is_dropped_and_computed_again(tmp_path: Path, damage: str) -> None:
    """A disk that lost bytes gives a miss, never a wrong vector."""
    key = content_hash(b"poster")
    cache_in(tmp_path).add({key: np.full(2, 7.5, np.float32)})
    (segment,) = tmp_path.rglob("*.arrow")
    data = bytearray(segment.read_bytes())
    if damage == "flip":
        data[bytes(data).index(np.float32(7.5).tobytes())] ^= 1
    segment.write_bytes({"cut": data[: len(data) // 2], "flip": data, "empty": b""}[damage])
    assert cache_in(tmp_path).find([key]) == {}
    assert not segment.exists()


def test_several_writers_at_once_lose_nothing(tmp_path: Path) -> None:
    """Eight writers, each with contents of its own and one that all share."""

    def write(number: int) -> None:
        for place in range(10):
            key = content_hash(f"{number}-{place}".encode())
            cache_in(tmp_path).add({key: np.float32([number, place])})
            cache_in(tmp_path).add({content_hash(b"shared"): np.float32([9, 9])})

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    keys = [content_hash(f"{n}-{p}".encode()) for n in range(8) for p in range(10)]
    found = cache_in(tmp_path).find([*keys, content_hash(b"shared")])
    assert len(found) == 81
    assert found[keys[-1]].tolist() == [7, 9]
    assert not [path for path in tmp_path.rglob(".*") if path.is_file()]


@pytest.mark.slow
def test_a_second_run_computes_only_what_changed(
    tmp_path: Path, encoders: dict[str, FakeEncoder], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One cover and one title of four change: one of each is decoded and encoded."""
    decoded: list[int] = []
    real = decoding.decode_media

    def counting(
        config: FeatureConfig, files: list[bytes], *rest: object, **named: object
    ) -> object:
        decoded.append(len([data for data in files if data]))
        return real(config, files, *rest, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(decoding, "decode_media", counting)
    service = service_with_encoders(tmp_path / "raw")
    service.prepare(tmp_path / "first", cache=tmp_path / "cache")
    # Two covers of three are one file; each is decoded once for records, once for the encoder.
    assert sum(decoded) == 2 + 2
    decoded.clear()
    for encoder in encoders.values():
        encoder.seen.clear()
    Image.new("RGB", (30, 30), (0, 255, 0)).save(tmp_path / "raw" / "covers" / "b.png")
    service.items[2] = ("c", "Cider and more", "", "")
    service.prepare(tmp_path / "second", cache=tmp_path / "cache")
    assert sum(decoded) == 1 + 1
    assert [encoders["eye"].seen, encoders["reader"].seen] == [[1], [1]]
    service.prepare(tmp_path / "plain")
    assert items_of(tmp_path / "second") == items_of(tmp_path / "plain")


@pytest.mark.slow
def test_a_run_whose_contents_are_all_known_encodes_nothing(
    tmp_path: Path, encoders: dict[str, FakeEncoder]
) -> None:
    """The same data again, and again after the cache lost a part of itself."""
    service = service_with_encoders(tmp_path / "raw")
    service.prepare(tmp_path / "first", cache=tmp_path / "cache")
    for encoder in encoders.values():
        encoder.seen.clear()
    service.prepare(tmp_path / "second", cache=tmp_path / "cache")
    assert [encoder.seen for encoder in encoders.values()] == [[], []]
    assert items_of(tmp_path / "second") == items_of(tmp_path / "first")
    shutil.rmtree(tmp_path / "cache")
    service.prepare(tmp_path / "third", cache=tmp_path / "cache")
    assert items_of(tmp_path / "third") == items_of(tmp_path / "first")
