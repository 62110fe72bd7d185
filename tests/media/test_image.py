"""Pictures: equal to what Pillow decodes, and a bad file never fails its batch."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.media.session import run_as_server
from tfrec.media import decode_image


def picture(seed: int = 0, size: tuple[int, int] = (48, 40)) -> np.ndarray:
    """Smooth colours, so that JPEG loses little."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 255, (4, 4, 3), dtype=np.uint8))
    return np.asarray(small.resize(size[::-1], Image.Resampling.BICUBIC))


def encoded(kind: str, pixels: np.ndarray | None = None, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture() if pixels is None else pixels).save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "BMP", "JPEG", "GIF"])
def test_pixels_equal_pillow_at_the_native_size(kind: str) -> None:
    """Decoding agrees with an independent decoder when nothing is resized."""
    data = encoded(kind)
    pixels, valid = decode_image(tf.constant([data]), (48, 40))
    assert valid.numpy().tolist() == [True]
    expected = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"), np.int32)
    # Two libjpeg builds may round the colour conversion differently; the others are lossless.
    assert np.abs(pixels[0].numpy().astype(np.int32) - expected).max() <= (
        2 if kind == "JPEG" else 0
    )


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "P", "1", "CMYK"])
def test_every_colour_mode_becomes_rgb(mode: str) -> None:
    """Covers come in every mode; transparency is dropped."""
    image = Image.fromarray(picture()).convert(mode)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG" if mode == "CMYK" else "PNG")
    pixels, valid = decode_image(tf.constant([buffer.getvalue()]), (48, 40))
    assert valid.numpy()[0]
    expected = np.asarray(image.convert("RGB"), np.int32)
    limit = 8 if mode == "CMYK" else 0
    assert np.abs(pixels[0].numpy().astype(np.int32) - expected).max() <= limit


def test_resizing_is_an_antialiased_squash_rounded_half_to_even() -> None:
    """A 2x2 checkerboard of 0 and 255 shrinks to its mean, 127.5, which rounds to 128."""
    board = np.array([[[0], [255]], [[255], [0]]], np.uint8).repeat(3, -1)
    pixels, _ = decode_image(tf.constant([encoded("PNG", board)]), (1, 1))
    assert pixels.numpy().ravel().tolist() == [128, 128, 128]


def damaged() -> dict[str, bytes]:
    jpeg, png, gif, bmp = (encoded(kind) for kind in ("JPEG", "PNG", "GIF", "BMP"))
    bomb = bytearray(png)
    bomb[16:24] = (1 << 20).to_bytes(4, "big") * 2
    return {
        "empty": b"",
        "text": b"not a picture",
        "jpeg signature": b"\xff\xd8\xff",
        "png signature": b"\x89PNG\r\n\x1a\n",
        "jpeg header": jpeg[:200],
        "jpeg cut": jpeg[: len(jpeg) // 2],
        "png cut": png[: len(png) // 2],
        "png bomb": bytes(bomb),
        "gif cut": gif[:20],
        "bmp header": bmp[:20],
        "jpeg without table": jpeg[:100] + bytes(200) + jpeg[300:],
    }


@pytest.mark.parametrize("kind", damaged())
def test_a_damaged_file_is_invalid_and_its_neighbours_are_not(kind: str) -> None:
    """One bad poster among good ones costs that poster alone."""
    good = encoded("PNG")
    pixels, valid = decode_image(tf.constant([good, damaged()[kind], good]), (8, 8))
    assert valid.numpy().tolist() == [True, False, True]
    assert not pixels[1].numpy().any()
    np.testing.assert_array_equal(pixels[0], pixels[2])
    assert pixels[0].numpy().any()


def test_a_batch_of_damage_and_an_empty_batch_are_answered() -> None:
    """No element has to be good, and there need be none."""
    _, valid = decode_image(tf.constant(list(damaged().values())), (8, 8))
    assert not valid.numpy().any()
    pixels, valid = decode_image(tf.constant([], tf.string), (8, 8))
    assert pixels.shape == (0, 8, 8, 3) and valid.shape == (0,)


def test_a_session_as_in_a_server_gives_the_same_pixels(tmp_path: Path) -> None:
    """The exported graph answers damage with a mask, with stock ops, as preprocessing does."""
    files = [encoded("JPEG"), *damaged().values(), encoded("PNG")]
    expected = decode_image(tf.constant(files), (16, 12))

    def signature(data: tf.Tensor) -> dict[str, tf.Tensor]:
        pixels, valid = decode_image(data, (16, 12))
        return {"pixels": pixels, "valid": valid}

    spec = tf.TensorSpec([None], tf.string)
    answer = run_as_server(signature, [spec], [files], tmp_path)
    np.testing.assert_array_equal(answer["pixels"], expected[0])
    np.testing.assert_array_equal(answer["valid"], expected[1])
