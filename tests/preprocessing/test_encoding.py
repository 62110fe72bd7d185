"""Frozen encoders run once over each different content, and their vectors reach the records."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from preprocessing import encoding
from tests.preprocessing.service import Service, items_of
from tfrec.errors import EncoderNotFoundError


class FakeEncoder:
    """Vectors that a test can predict; it counts what it encodes."""

    def __init__(self, handle: str, modality: str, max_length: int | None) -> None:
        self.handle, self.modality, self.max_length = handle, modality, max_length
        self.dimension = 3
        self.fingerprint = f"fake-{handle}"
        self.image_size = (20, 10) if modality == "image" else None
        self.seen: list[int] = []

    def encode(self, batch: Any, batch_size: int) -> np.ndarray:
        assert batch_size > 0
        self.seen.append(len(batch))
        if self.modality == "text":
            return np.array([[len(text), max_length(self), 1] for text in batch], np.float32)
        assert batch.shape[1:] == (20, 10, 3)
        return batch.reshape(len(batch), -1, 3).mean(1).astype(np.float32)


def max_length(encoder: FakeEncoder) -> int:
    return encoder.max_length or 0


@pytest.fixture
def encoders(monkeypatch: pytest.MonkeyPatch) -> dict[str, FakeEncoder]:
    made: dict[str, FakeEncoder] = {}

    def resolve(handle: str, modality: str, *, max_length: int | None = None) -> FakeEncoder:
        made[handle] = FakeEncoder(handle, modality, max_length)
        return made[handle]

    monkeypatch.setattr(encoding, "resolve", resolve)
    encoding.load_encoder.cache_clear()
    yield made
    encoding.load_encoder.cache_clear()


def service_with_encoders(folder: Path) -> Service:
    service = Service.of_three_users(folder)
    (folder / "covers").mkdir(parents=True)
    for name, colour in (("a", (255, 0, 0)), ("b", (0, 0, 255)), ("c", (255, 0, 0))):
        Image.new("RGB", (30, 30), colour).save(folder / "covers" / f"{name}.png")
    service.items[3] = ("d", "Bread", "", "")
    cover = {"modality": "image", "path": "covers/{item_id}.png", "encoder": "eye"}
    title = {"modality": "text", "encoder": "reader", "max_length": 7}
    service.description = {"items": {"features": {"cover": cover, "title": title}}}
    return service


def test_equal_contents_are_encoded_once(
    tmp_path: Path, encoders: dict[str, FakeEncoder], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two of three covers are the same file, two of four titles the same text."""
    monkeypatch.setattr(encoding, "_TEXTS", 2)
    manifest = service_with_encoders(tmp_path / "raw").prepare(tmp_path / "out")
    assert sum(encoders["eye"].seen) == 2
    assert sorted(encoders["reader"].seen) == [1, 2]
    items = items_of(tmp_path / "out")
    assert items["a"]["cover/encoded"] == pytest.approx([255, 0, 0])
    assert items["b"]["cover/encoded"] == pytest.approx([0, 0, 255])
    assert items["c"]["cover/encoded"] == pytest.approx([255, 0, 0])
    assert "cover/encoded" not in items["d"] and items["d"]["cover/present"] == [0]
    assert items["d"]["title/encoded"] == items["b"]["title/encoded"] == [5, 7, 1]
    assert len(items["a"]["cover"][0]) == 64 * 64 * 3
    spec = manifest.item_feature("cover")
    assert (spec.encoded_dim, spec.encoder_fingerprint) == (3, "fake-eye")


@pytest.mark.slow
def test_no_encode_leaves_raw_media(tmp_path: Path, encoders: dict[str, FakeEncoder]) -> None:
    manifest = service_with_encoders(tmp_path / "raw").prepare(tmp_path / "out", encode=False)
    assert encoders == {}
    assert manifest.item_feature("cover").encoded_dim is None
    assert "cover/encoded" not in items_of(tmp_path / "out")["a"]


def test_comments_may_have_an_encoder(tmp_path: Path, encoders: dict[str, FakeEncoder]) -> None:
    service = Service.of_three_users(tmp_path / "raw")
    service.comments = [("u1", "a", "nice", 100)]
    service.description = {"comments": {"encoder": "reader"}}
    service.prepare(tmp_path / "out")
    items = items_of(tmp_path / "out")
    assert items["a"]["comments/encoded"] == [4, 64, 1]
    assert "comments/encoded" not in items["b"]


def test_an_unknown_encoder_is_told_before_anything_is_read(tmp_path: Path) -> None:
    """Even when a source is broken as well: minutes of reading aren't wasted on a typing error."""
    service = Service.of_three_users(tmp_path / "raw")
    title = {"modality": "text", "encoder": "no-such-model"}
    service.description = {"items": {"features": {"title": title}}}
    service.interactions = []
    with pytest.raises(EncoderNotFoundError, match="no-such-model"):
        service.prepare(tmp_path / "out")
    assert not (tmp_path / "out").exists()
