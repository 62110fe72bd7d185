"""Media: what the served graph computes is what is stored; odd files have a known outcome."""

from __future__ import annotations

import io
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from preprocessing.decoding import decode_media
from tests.preprocessing.service import Service, items_of, rejected_of
from tfrec.config import FeatureConfig
from tfrec.media import decode_audio, decode_image, normalize_text

RNG = np.random.default_rng(0)
PICTURE = FeatureConfig(modality="image", size=(16, 24))
SOUND = FeatureConfig(modality="audio", sample_rate=8000, seconds=0.5)
VIDEO = FeatureConfig(modality="video", size=(16, 16), frames=4, seconds=1)


def picture(
    kind: str, mode: str = "RGB", size: tuple[int, int] = (40, 30), **options: Any
) -> bytes:
    """A file of noise around red, in any mode and format."""
    noise = RNG.integers(0, 60, (size[1], size[0], 3))
    pixels = np.clip(np.array([200, 40, 40]) + noise - 30, 0, 255).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(stream, kind, **options)
    return stream.getvalue()


def deep(bits: str) -> bytes:
    """A grey picture of 16 bits."""
    values = (RNG.random((30, 40)) * 20_000 + 30_000).astype(bits)
    stream = io.BytesIO()
    Image.fromarray(values).save(stream, "PNG" if bits == "uint16" else "TIFF")
    return stream.getvalue()


def turned() -> bytes:
    exif = Image.Exif()
    exif[274] = 6
    return picture("WEBP", exif=exif.tobytes())


def animated() -> bytes:
    frames = [Image.new("RGB", (20, 20), colour) for colour in ((200, 40, 40), (0, 0, 255))]
    stream = io.BytesIO()
    frames[0].save(stream, "GIF", save_all=True, append_images=frames[1:])
    return stream.getvalue()


def wav(rate: int = 8000, seconds: float = 0.5, channels: int = 1, width: int = 2) -> bytes:
    """A tone of 440 Hz at half scale."""
    times = np.arange(round(rate * seconds)) / rate
    tone = np.sin(2 * np.pi * 440 * times) * 0.5
    if width == 1:
        samples = np.round(tone * 127 + 128).astype("u1")
    else:
        samples = np.round(tone * (2 ** (8 * width - 1) - 1)).astype(f"<i{width}")
    stream = io.BytesIO()
    with wave.open(stream, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(np.repeat(samples[:, None], channels, 1).tobytes())
    return stream.getvalue()


def compressed(kind: str, codec: str) -> bytes:
    """The tone in a format that only PyAV reads."""
    times = np.arange(8000) / 16_000
    samples = (np.sin(2 * np.pi * 440 * times) * 16_000).astype(np.int16)
    stream = io.BytesIO()
    with av.open(stream, "w", format=kind) as container:
        track = container.add_stream(codec, rate=16_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
        frame.sample_rate = 16_000
        resampler = av.AudioResampler(track.format, "mono", 16_000, track.frame_size or 1024)
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(track.encode(part))
        container.mux(track.encode(None))
    return stream.getvalue()


def mp4(frames: int = 10) -> bytes:
    """Frames that go from black to red, ten a second."""
    stream = io.BytesIO()
    with av.open(stream, "w", format="mp4") as container:
        track = container.add_stream("mpeg4", rate=10)
        track.width, track.height, track.pix_fmt = 32, 32, "yuv420p"
        for place in range(frames):
            pixels = np.zeros((32, 32, 3), np.uint8)
            pixels[..., 0] = 25 * place
            container.mux(track.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(track.encode(None))
    return stream.getvalue()


GOOD_PICTURES: dict[str, Callable[[], bytes]] = {
    "jpeg": lambda: picture("JPEG"),
    "progressive jpeg": lambda: picture("JPEG", progressive=True),
    "grey jpeg": lambda: picture("JPEG", "L"),
    "cmyk jpeg": lambda: picture("JPEG", "CMYK"),
    "png": lambda: picture("PNG"),
    "palette png": lambda: picture("PNG", "P"),
    "grey png": lambda: picture("PNG", "L"),
    "alpha png": lambda: picture("PNG", "RGBA"),
    "grey alpha png": lambda: picture("PNG", "LA"),
    "bilevel png": lambda: picture("PNG", "1"),
    "16 bit png": lambda: deep("uint16"),
    "16 bit tiff": lambda: deep("int32"),
    "gif": lambda: picture("GIF", "P"),
    "animated gif": animated,
    "bmp": lambda: picture("BMP"),
    "webp": lambda: picture("WEBP", quality=90),
    "lossless webp": lambda: picture("WEBP", lossless=True),
    "turned webp": turned,
    "tiff": lambda: picture("TIFF"),
    "cmyk tiff": lambda: picture("TIFF", "CMYK"),
    "tga": lambda: picture("TGA"),
    "ppm": lambda: picture("PPM"),
    "ico": lambda: picture("ICO", size=(32, 32)),
    "one pixel": lambda: picture("PNG", size=(1, 1)),
    "very wide": lambda: picture("PNG", size=(2000, 2)),
}


def _flipped(data: bytes) -> bytes:
    return data[:20] + bytes(255 - value for value in data[20:60]) + data[60:]


BAD_PICTURES: dict[str, bytes] = {
    "empty": b"",
    "one byte": b"\xff",
    "text": b"this is no picture" * 10,
    "html": b"<html><body>404 Not Found</body></html>",
    "jpeg head alone": picture("JPEG")[:20],
    "cut png": picture("PNG")[:-200],
    "cut gif": picture("GIF", "P")[:40],
    "cut webp": picture("WEBP")[:60],
    "cut tiff": picture("TIFF")[:100],
    "flipped png": _flipped(picture("PNG")),
    "flipped webp": _flipped(picture("WEBP")),
    "zeros": bytes(1000),
    "sound": wav(),
    "png of four gigapixels": picture("PNG")[:16] + b"\x00\x01\x00\x00" * 2 + picture("PNG")[24:],
    "gif of no size": b"GIF89a" + bytes(20),
    "bmp of no size": b"BM" + bytes(60),
}


@pytest.mark.parametrize("name", GOOD_PICTURES)
def test_odd_but_valid_pictures_are_read(name: str) -> None:
    """Any mode, depth and format that Pillow or TensorFlow knows comes out as RGB of one size."""
    tensors, valid = decode_media(PICTURE, [GOOD_PICTURES[name]()])
    assert valid.tolist() == [True]
    assert tensors.shape == (1, 16, 24, 3) and tensors.dtype == np.uint8
    mean = tensors[0].reshape(-1, 3).mean(0)
    if not name.startswith(("grey", "bilevel", "16 bit")):
        assert mean[0] > mean[1] + 60 and mean[0] > mean[2] + 60
    assert 20 < mean[0] < 250


@pytest.mark.parametrize("name", BAD_PICTURES)
def test_damaged_pictures_are_refused(name: str) -> None:
    """No exception, no picture of nothing; a bomb is refused by its header."""
    tensors, valid = decode_media(PICTURE, [BAD_PICTURES[name], GOOD_PICTURES["png"]()])
    assert valid.tolist() == [False, True]
    assert not tensors[0].any()


@pytest.mark.parametrize("name", ["jpeg", "cmyk jpeg", "png", "palette png", "gif", "bmp"])
def test_stored_pictures_equal_the_served_ones(name: str) -> None:
    """For every format that the graph reads, training and serving see the same pixels."""
    data = GOOD_PICTURES[name]()
    tensors, _ = decode_media(PICTURE, [data])
    served, valid = decode_image(tf.constant([data]), (16, 24))
    assert valid.numpy().tolist() == [True]
    np.testing.assert_array_equal(tensors, served.numpy())


def test_a_turned_picture_stands_upright() -> None:
    """EXIF orientation is applied where the graph can't read the file anyway."""
    exif = Image.Exif()
    exif[274] = 6
    pixels = np.zeros((20, 40, 3), np.uint8)
    pixels[:, :20] = 255
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "WEBP", lossless=True, exif=exif.tobytes())
    tensors, _ = decode_media(FeatureConfig(modality="image", size=(8, 8)), [stream.getvalue()])
    # The left half, turned right by a quarter, is on top.
    assert tensors[0, :3].min() > 200 and tensors[0, 5:].max() < 50


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("same rate", wav()),
        ("8 bit", wav(width=1)),
        ("32 bit", wav(width=4)),
        ("stereo", wav(channels=2)),
        ("cd rate", wav(44_100)),
        ("short", wav(seconds=0.1)),
        ("long", wav(seconds=3)),
        ("flac", compressed("flac", "flac")),
        ("mp3", compressed("mp3", "mp3")),
        ("ogg", compressed("ogg", "libopus")),
    ],
)
def test_sounds_come_as_mono_of_one_rate(name: str, data: bytes) -> None:
    """A tone of 440 Hz stays one, whatever it was stored as."""
    tensors, valid = decode_media(SOUND, [data])
    assert valid.tolist() == [True]
    assert tensors.shape == (1, 4000) and tensors.dtype == np.int16
    used = 800 if name == "short" else 4000
    spectrum = np.abs(np.fft.rfft(tensors[0, :used].astype(float)))
    assert abs(np.argmax(spectrum) * 8000 / used - 440) <= 8000 / used
    assert 10_000 < np.abs(tensors[0]).max() < 20_000
    assert name != "short" or not tensors[0, 850:].any()


@pytest.mark.parametrize(
    "data",
    [b"", b"RIFF", wav()[:44], wav(seconds=0), picture("PNG"), bytes(500), wav()[:30], b"fLaC"],
)
def test_damaged_sounds_are_refused(data: bytes) -> None:
    tensors, valid = decode_media(SOUND, [data, wav()])
    assert valid.tolist() == [False, True]
    assert not tensors[0].any()


def test_stored_sounds_equal_the_served_ones() -> None:
    data = wav(44_100, channels=2)
    tensors, _ = decode_media(SOUND, [data])
    served, _ = decode_audio(tf.constant([data]), 8000, 0.5)
    np.testing.assert_array_equal(tensors, served.numpy())


def test_frames_are_spread_over_the_seconds() -> None:
    """At 0, 0.25, 0.5 and 0.75 s of a second that goes from black to red; the last one repeats."""
    tensors, valid = decode_media(VIDEO, [mp4(), mp4(2), b"", mp4()[:200], wav()])
    assert valid.tolist() == [True, True, False, False, False]
    red = tensors[..., 0].mean((2, 3))
    # Frames are a tenth of a second apart and each is 25 redder.
    np.testing.assert_allclose(red[0], [0, 75, 125, 200], atol=8)
    np.testing.assert_allclose(red[1], [0, 25, 25, 25], atol=8)


def test_media_of_items_and_the_books(tmp_path: Path) -> None:
    """A damaged file costs the feature, not the item; a missing one isn't even refused."""
    service = Service.of_three_users(tmp_path / "raw")
    covers = tmp_path / "raw" / "covers"
    covers.mkdir(parents=True)
    good = picture("JPEG")
    (covers / "a.jpg").write_bytes(good)
    (covers / "b.jpg").write_bytes(good[:50])
    (covers / "c.jpg").write_bytes(b"")
    (tmp_path / "secret.jpg").write_bytes(good)
    service.items.append(("../../secret", "Outside", "", ""))
    cover = {"modality": "image", "path": "covers/{item_id}.jpg", "size": [16, 24]}
    service.description = {"items": {"features": {"cover": cover}}}
    manifest = service.prepare(tmp_path / "out")
    items = items_of(tmp_path / "out")
    assert [record["cover/present"] for record in items.values()] == [[1], [0], [0], [0], [0]]
    stored = np.frombuffer(items["a"]["cover"][0], np.uint8).reshape(16, 24, 3)
    np.testing.assert_array_equal(stored, decode_image(tf.constant([good]), (16, 24))[0][0])
    refused = rejected_of(tmp_path / "out", "media")
    assert [(row["file"], row["line"], row["rule"]) for row in refused] == [
        ("covers/b.jpg", 3, "unreadable_media"),
        ("covers/c.jpg", 4, "unreadable_media"),
        ("covers/../../secret.jpg", 6, "media_outside_root"),
    ]
    assert manifest.media["cover"].model_dump() == {"read": 4, "written": 1, "rejected": 3}
    assert manifest.item_feature("cover").missing == 4


def test_a_path_column_and_links(tmp_path: Path) -> None:
    """A file that a column names must exist below the root; a link may not lead out of it."""
    service = Service.of_three_users(tmp_path / "raw")
    (tmp_path / "raw").mkdir()
    (tmp_path / "x.png").write_bytes(picture("PNG"))
    (tmp_path / "raw" / "in.png").write_bytes(picture("PNG"))
    (tmp_path / "raw" / "link.png").symlink_to(tmp_path / "x.png")
    names = ["in.png", "gone.png", "link.png", str(tmp_path / "raw" / "in.png")]
    service.item_header = (*service.item_header, "photo")
    service.items = [(*row, name) for row, name in zip(service.items, names, strict=True)]
    service.description = {"items": {"features": {"photo": {"modality": "image"}}}}
    service.prepare(tmp_path / "out")
    assert [row["rule"] for row in rejected_of(tmp_path / "out", "media")] == [
        "media_not_found",
        "media_outside_root",
        "media_outside_root",
    ]


def test_texts_equal_the_served_ones(tmp_path: Path) -> None:
    """Decomposed accents, odd spaces, controls: as the served graph normalises them."""
    service = Service.of_three_users(tmp_path / "raw")
    texts = ["  Cafe\u0301\u00a0 noir\n", "\u3000全角\u2028x", "a\x07b", "ﬁne ½"]
    service.items = [
        (row[0], text, *row[2:]) for row, text in zip(service.items, texts, strict=True)
    ]
    service.prepare(tmp_path / "out")
    stored = [record["title"][0] for record in items_of(tmp_path / "out").values()]
    assert stored == normalize_text(tf.constant(texts)).numpy().tolist()
    assert stored[0].decode() == "Café noir"
