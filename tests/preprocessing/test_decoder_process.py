"""Odd media are decoded in a process that may hang, crash or eat memory: only its file is lost."""

from __future__ import annotations

import io
import os
import signal
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from preprocessing import decoding
from preprocessing.decoder_process import DecoderError, DecoderPool
from tests.preprocessing.service import Service, items_of, rejected_of
from tests.preprocessing.test_media import GOOD_PICTURES, VIDEO, mp4, picture, wav

OPTIONS = {"max_pixels": 10_000, "seconds": 1.0}
HANGING = [sys.executable, "-c", "import time; time.sleep(600)"]
DYING = [sys.executable, "-c", "import sys; sys.stdin.buffer.read(1); sys.exit(7)"]


def test_a_decoder_that_hangs_is_killed() -> None:
    pool = DecoderPool(0.5, HANGING)
    started = time.monotonic()
    with pytest.raises(DecoderError, match=r"within 0\.5 seconds") as caught:
        pool.decode("picture", b"x", OPTIONS)
    assert caught.value.rule == "media_too_slow"
    assert time.monotonic() - started < 20


def test_a_decoder_that_dies_is_replaced() -> None:
    pool = DecoderPool(60, DYING)
    for _ in range(2):
        with pytest.raises(DecoderError, match="status 7") as caught:
            pool.decode("picture", b"x", OPTIONS)
        assert caught.value.rule == "unreadable_media"


def test_one_process_serves_file_after_file_and_ends_with_the_pool() -> None:
    """Pixels come back whole; a killed one is replaced without a word."""
    pool = DecoderPool(60)
    data = picture("WEBP", lossless=True)
    first = pool.decode("picture", data, OPTIONS)
    expected = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    np.testing.assert_array_equal(first, expected)
    (child,) = pool._idle
    np.testing.assert_array_equal(pool.decode("picture", data, OPTIONS), first)
    assert pool._idle == [child]
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    np.testing.assert_array_equal(pool.decode("picture", data, OPTIONS), first)
    (second,) = pool._idle
    pool.close()
    assert second.poll() is not None and child.poll() is not None


@pytest.mark.slow
def test_too_many_pixels_and_memory_are_refused() -> None:
    """By the header where it tells, by the process' own bound where it doesn't."""
    pool = DecoderPool(60)
    assert pool.decode("picture", picture("TIFF", size=(200, 200)), OPTIONS) is None
    assert pool.decode("sound", picture("PNG"), OPTIONS) is None
    assert pool.decode("video", wav(), OPTIONS | {"moments": [0.0]}) is None
    pool.close()
    small = DecoderPool(60, [sys.executable, "-m", "preprocessing.decoder_child", str(300 << 20)])
    big = picture("TIFF", size=(8000, 8000))
    try:
        assert small.decode("picture", big, OPTIONS | {"max_pixels": 1e9}) is None
    except DecoderError as error:
        assert error.rule == "unreadable_media"
    small.close()


def test_a_slow_file_is_refused_by_name_and_the_rest_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rule reaches the books; pictures that the graph decodes never wait for a process."""
    monkeypatch.setattr(decoding, "decoder_pool", lambda: DecoderPool(0.3, HANGING))
    service = Service.of_three_users(tmp_path / "raw")
    (tmp_path / "raw" / "covers").mkdir(parents=True)
    (tmp_path / "raw" / "covers" / "a.img").write_bytes(picture("JPEG"))
    (tmp_path / "raw" / "covers" / "b.img").write_bytes(picture("WEBP"))
    cover = {"modality": "image", "path": "covers/{item_id}.img", "size": [8, 8]}
    service.description = {"items": {"features": {"cover": cover}}}
    manifest = service.prepare(tmp_path / "out")
    assert [r["cover/present"] for r in items_of(tmp_path / "out").values()] == [[1], [0], [0], [0]]
    (refused,) = rejected_of(tmp_path / "out", "media")
    assert (refused["file"], refused["rule"]) == ("covers/b.img", "media_too_slow")
    assert manifest.rejected == {"media_too_slow": 1}


BROKEN_VIDEOS = {
    "cut": mp4()[:600],
    "no index": mp4().replace(b"moov", b"moof"),
    "flipped": mp4()[:200] + bytes(255 - value for value in mp4()[200:500]) + mp4()[500:],
    "zeros": bytes(5000),
    "a picture's bytes": GOOD_PICTURES["webp"](),
    "endless text": b"#EXTM3U\n" + b"#EXTINF:1,\nx.ts\n" * 500,
}


@pytest.mark.parametrize("name", BROKEN_VIDEOS)
def test_damaged_videos_are_refused_or_whole(name: str) -> None:
    """Never an exception or a hang; a video that is read has every frame."""
    tensors, valid = decoding.decode_media(VIDEO, [BROKEN_VIDEOS[name], mp4()])
    assert valid[1] and tensors[1].any()
    assert tensors.shape == (2, 4, 16, 16, 3)
    assert valid[0] or not tensors[0].any()
