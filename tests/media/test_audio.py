"""Sound: equal to what other libraries read and resample, and a bad file never fails its batch."""

from __future__ import annotations

import io
import struct
import wave
from pathlib import Path

import numpy as np
import pytest
import scipy.signal
import soundfile
import tensorflow as tf

from tests.media.session import run_as_server
from tfrec.media import decode_audio, resample

RATE = 8000


def tone(seconds: float = 0.1, rate: int = RATE) -> np.ndarray:
    """Two sines that fit whole into 0.1 s, so that resampling has no edge to ring at."""
    time = np.arange(round(seconds * rate)) / rate
    return 0.5 * np.sin(2 * np.pi * 440 * time) + 0.25 * np.sin(2 * np.pi * 1000 * time)


def pcm(samples: np.ndarray, rate: int = RATE) -> bytes:
    """A 16-bit file by Python's own writer; samples int16 [n] or [n, channels]."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1 if samples.ndim == 1 else samples.shape[1])
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.astype("<i2").tobytes())
    return buffer.getvalue()


def as_int16(samples: np.ndarray) -> np.ndarray:
    return np.round(samples * 32767).astype(np.int16)


def test_sixteen_bit_mono_of_the_same_rate_is_kept_bit_for_bit() -> None:
    """The extremes too; what is missing at the end is silence, what is too much is cut."""
    samples = np.array([-32768, 32767, 0, 1, -1], np.int16)
    longer, valid = decode_audio(tf.constant([pcm(samples)]), RATE, 7 / RATE)
    assert longer.numpy().tolist() == [[-32768, 32767, 0, 1, -1, 0, 0]] and valid.numpy()[0]
    shorter, _ = decode_audio(tf.constant([pcm(samples)]), RATE, 3 / RATE)
    assert shorter.numpy().tolist() == [[-32768, 32767, 0]]


def test_channels_are_averaged() -> None:
    """Stereo to mono: (100 + 300) / 2, and an exact half rounds to even."""
    stereo = np.array([[100, 300], [0, 1], [1, 2]], np.int16)
    samples, _ = decode_audio(tf.constant([pcm(stereo)]), RATE, 3 / RATE)
    assert samples.numpy().tolist() == [[200, 0, 2]]


@pytest.mark.parametrize("form", ["WAV", "WAVEX"])
@pytest.mark.parametrize("kind", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
def test_every_sample_format_reads_as_libsndfile_reads_it(kind: str, form: str) -> None:
    """8 to 32 bits, floats, with the plain and the extensible header."""
    buffer = io.BytesIO()
    soundfile.write(buffer, tone(), RATE, subtype=kind, format=form)
    expected, _ = soundfile.read(io.BytesIO(buffer.getvalue()), dtype="float64")
    samples, valid = decode_audio(tf.constant([buffer.getvalue()]), RATE, 0.1)
    assert valid.numpy()[0]
    np.testing.assert_allclose(samples[0], np.round(expected * 32768), atol=1)


@pytest.mark.parametrize(
    ("length", "rate", "target"),
    [
        (800, 8000, 16000),
        (800, 8000, 4000),
        (801, 8000, 16000),
        (999, 44100, 16000),
        (101, 16000, 8000),
        (7, 100, 1000),
        (1, 8000, 16000),
        (640, 16000, 16000),
    ],
)
def test_resampling_equals_scipy(length: int, rate: int, target: int) -> None:
    """Up and down, odd and even lengths."""
    signal = np.random.default_rng(length).standard_normal(length).astype(np.float32)
    ours = resample(tf.constant(signal), rate, target)
    expected = scipy.signal.resample(signal, int(np.ceil(length * target / rate)))
    np.testing.assert_allclose(ours, expected, atol=1e-5)


def test_a_resampled_tone_is_the_tone_at_the_other_rate() -> None:
    """What both rates can represent is the same sound, to a few steps of 16 bits."""
    samples, _ = decode_audio(tf.constant([pcm(as_int16(tone(rate=44100)), 44100)]), RATE, 0.1)
    np.testing.assert_allclose(samples[0], as_int16(tone()), atol=3)


def header(
    data: bytes,
    *,
    tag: int = 1,
    channels: int = 1,
    rate: int = RATE,
    bits: int = 16,
    declared: int | None = None,
    before: bytes = b"",
) -> bytes:
    size = channels * bits // 8
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, tag, channels, rate, rate * size, size, bits)
    length = len(data) if declared is None else declared
    body = b"WAVE" + before + form + struct.pack("<4sI", b"data", length) + data
    return struct.pack("<4sI", b"RIFF", len(body)) + body


FOUR = struct.pack("<4h", 1, 2, 3, 4)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("declared too long", header(FOUR, declared=1000)),
        ("streamed, length unknown", header(FOUR, declared=0xFFFFFFFF)),
        ("streamed, length zero", header(FOUR, declared=0)),
        ("a chunk of odd length before", header(FOUR, before=b"LIST\x03\0\0\0abc\0")),
        ("half a sample at the end", header(FOUR + b"\x7f")),
    ],
)
def test_files_that_players_accept_are_accepted(name: str, data: bytes) -> None:
    """Streams and cut files hold sound as far as they go."""
    samples, valid = decode_audio(tf.constant([data]), RATE, 4 / RATE)
    assert valid.numpy()[0], name
    assert samples.numpy().tolist() == [[1, 2, 3, 4]]


def damaged() -> dict[str, bytes]:
    good = header(FOUR)
    return {
        "empty": b"",
        "text": b"not a sound",
        "riff": b"RIFF",
        "no chunks": good[:12],
        "no data": good[:36],
        "half a header": good[:20],
        "no samples": header(b""),
        "zero rate": header(FOUR, rate=0),
        "zero channels": header(FOUR, channels=0),
        "compressed": header(FOUR, tag=0x55),
        "odd bits": header(FOUR, bits=12),
        "mp3": b"ID3\x04" + bytes(100),
        "endless chunk": header(FOUR, before=b"LIST\xff\xff\xff\xff"),
        "data before format": b"RIFF\0\0\0\0WAVE" + struct.pack("<4sI", b"data", 8) + FOUR,
        "only chunks": b"RIFF\0\0\0\0WAVE" + b"LIST\0\0\0\0" * 1000,
    }


@pytest.mark.parametrize("kind", damaged())
def test_a_damaged_file_is_invalid_and_its_neighbours_are_not(kind: str) -> None:
    """One bad clip among good ones costs that clip alone."""
    data = tf.constant([header(FOUR), damaged()[kind], header(FOUR)])
    samples, valid = decode_audio(data, RATE, 4 / RATE)
    assert valid.numpy().tolist() == [True, False, True]
    assert samples.numpy().tolist() == [[1, 2, 3, 4], [0, 0, 0, 0], [1, 2, 3, 4]]


def test_not_a_number_is_silence() -> None:
    """A float file may hold NaN; it must not reach a model."""
    data = header(struct.pack("<3f", 0.5, np.nan, np.inf), tag=3, bits=32)
    samples, valid = decode_audio(tf.constant([data]), RATE, 3 / RATE)
    assert valid.numpy()[0] and samples.numpy().tolist() == [[16384, 0, 0]]


def test_a_session_as_in_a_server_gives_the_same_samples(tmp_path: Path) -> None:
    """The exported graph answers damage with a mask, with stock ops, as preprocessing does."""
    files = [pcm(as_int16(tone(rate=11025)), 11025), *damaged().values(), header(FOUR)]
    expected = decode_audio(tf.constant(files), RATE, 0.1)

    def signature(data: tf.Tensor) -> dict[str, tf.Tensor]:
        samples, valid = decode_audio(data, RATE, 0.1)
        return {"samples": samples, "valid": valid}

    answer = run_as_server(signature, [tf.TensorSpec([None], tf.string)], [files], tmp_path)
    np.testing.assert_array_equal(answer["samples"], expected[0])
    np.testing.assert_array_equal(answer["valid"], expected[1])
