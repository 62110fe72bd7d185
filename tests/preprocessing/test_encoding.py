"""Frozen encoders run once over each different content, and their vectors reach the records."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from preprocessing import encoding
from preprocessing.records import examples, vector
from tests.encoders.presets import write_keras_hub_whisper
from tests.preprocessing.service import Service, items_of
from tfrec.config import FeatureConfig
from tfrec.encoders import resolve
from tfrec.errors import CorruptDataError, DescriptionError, EncoderNotFoundError
from tfrec.export.raw_features import RawFeatures
from tfrec.input import ItemTable
from tfrec.input.prepared import encoded
from tfrec.input.records import Column
from tfrec.schema import FeatureSpec

pytestmark = pytest.mark.filterwarnings(
    # h5py copies Keras variables by a protocol of NumPy 1.
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)


class FakeEncoder:
    """Vectors that a test can predict; it counts what it encodes."""

    def __init__(self, handle: str, modality: str, max_length: int | None) -> None:
        self.handle, self.modality, self.max_length = handle, modality, max_length
        self.dimension = 3
        self.fingerprint = f"fake-{handle}"
        self.image_size = (20, 10) if modality == "image" else None
        self.sample_rate = 8000 if modality == "audio" else None
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


def service_with_sounds(folder: Path, **options: Any) -> Service:
    """A sound at the model's rate, one at half of it, and two items without."""
    service = Service.of_three_users(folder)
    (folder / "clips").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name, rate, length in (("a", 16_000, 6000), ("b", 8000, 4500)):
        wave = rng.uniform(-0.5, 0.5, (length, 1)).astype(np.float32)
        (folder / "clips" / f"{name}.wav").write_bytes(tf.audio.encode_wav(wave, rate).numpy())
    preset = write_keras_hub_whisper(folder / "whisper")
    clip = {"modality": "audio", "path": "clips/{item_id}.wav", "encoder": str(preset), **options}
    service.description = {"items": {"features": {"clip": clip}}}
    return service


@pytest.mark.slow
def test_a_speech_model_hears_the_same_in_preprocessing_and_in_the_served_graph(
    tmp_path: Path,
) -> None:
    """Files of two rates; vectors of their first fifth of a second, in the cache, aren't taken."""
    cache = tmp_path / "cache"
    service = service_with_sounds(tmp_path / "raw", seconds=0.2)
    service.prepare(tmp_path / "short", cache=cache)
    service.description["items"]["features"]["clip"]["seconds"] = 0.5
    manifest = service.prepare(tmp_path / "out", cache=cache)
    spec = manifest.item_feature("clip")
    graph = RawFeatures((spec,), {}, {"clip": resolve(str(spec.config.encoder), "audio")})
    files = [(tmp_path / "raw" / "clips" / f"{name}.wav").read_bytes() for name in "ab"]
    served = tf.function(graph.prepare)({"clip": tf.constant([*files, b""])})
    items, shorter = items_of(tmp_path / "out"), items_of(tmp_path / "short")
    for row, name in enumerate("ab"):
        vector = items[name]["clip/encoded"]
        np.testing.assert_allclose(served["clip"][row], vector, atol=1e-5)
        assert np.abs(np.subtract(vector, shorter[name]["clip/encoded"])).max() > 1e-3
    assert served["clip/present"].numpy().tolist() == [True, True, False]
    assert "clip/encoded" not in items["c"] and not served["clip"][2].numpy().any()


def test_sounds_of_another_rate_than_the_models_are_refused_first(tmp_path: Path) -> None:
    """It would hear another pitch; said before anything is read."""
    service = service_with_sounds(tmp_path / "raw", sample_rate=8000)
    service.interactions = []
    with pytest.raises(DescriptionError, match=r"clip.*16000 samples.*`sample_rate: 8000`"):
        service.prepare(tmp_path / "out")


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


@pytest.mark.parametrize(("dtype", "error"), [("float16", 2e-3), ("int8", 1 / 127)])
def test_vectors_may_be_stored_compactly(
    tmp_path: Path, encoders: dict[str, FakeEncoder], dtype: str, error: float
) -> None:
    """Smaller records, read back as nearly the same float32 vectors; missing ones stay missing."""
    service = service_with_encoders(tmp_path / "raw")
    for feature in service.description["items"]["features"].values():
        feature["vector_dtype"] = dtype
    manifest = service.prepare(tmp_path / "out")
    size = 2 * 3 if dtype == "float16" else 4 + 3
    assert [len(one) for one in items_of(tmp_path / "out")["a"]["cover/encoded"]] == [size]
    table = ItemTable.load(tmp_path / "out")
    at = {name: place for place, name in enumerate(table.ids)}
    cover, title = table.encoded["cover"], table.encoded["title"]
    assert cover.dtype == title.dtype == np.float32
    np.testing.assert_allclose(cover[at["b"]], [0, 0, 255], atol=error * 255)
    np.testing.assert_allclose(title[at["a"]], [len("Apple pie"), 7, 1], atol=error * 9)
    assert not table.present["cover"][at["d"]] and not cover[at["d"]].any()
    assert manifest.item_feature("cover").encoded_dim == 3
    # A shard whose vectors are of another width is not read as something else.
    spec = manifest.item_feature("cover").model_copy(update={"encoded_dim": 4})
    column = Column(np.array([b"123456"], object), np.array([0, 1]))
    with pytest.raises(CorruptDataError, match="bytes of " + dtype):
        encoded(column, np.array([True]), spec, "items")


@settings(max_examples=200, deadline=None)
@given(
    values=arrays(np.float32, st.integers(1, 9), elements=st.floats(-1e4, 1e4, width=32)),
    dtype=st.sampled_from(["float16", "int8"]),
)
def test_stored_vectors_are_off_by_half_a_step_at_most(values: np.ndarray, dtype: str) -> None:
    """Of the greatest number: 1/254 in int8, 2^-11 in float16 (and its smallest step)."""
    record = tf.train.Example.FromString(examples([[vector("v", values, dtype)]])[0])
    stored = record.features.feature["v"].bytes_list.value[0]
    config = FeatureConfig(modality="text", encoder="e", vector_dtype=dtype)
    spec = FeatureSpec(name="v", modality="text", config=config, encoded_dim=len(values))
    column = Column(np.array([stored], object), np.array([0, 1]))
    read = encoded(column, np.array([True]), spec, "items")[0]
    greatest = np.abs(values).max()
    step = greatest / 254 if dtype == "int8" else max(greatest * 2.0**-11, 2.0**-25)
    np.testing.assert_allclose(read, values, atol=step * 1.001 + 1e-30)


def test_a_vector_dtype_needs_an_encoder() -> None:
    """It would do nothing."""
    with pytest.raises(ValueError, match="vector_dtype"):
        FeatureConfig(modality="numeric", vector_dtype="int8")
