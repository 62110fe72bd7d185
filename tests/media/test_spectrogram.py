"""The log-mel spectrogram is librosa's."""

from __future__ import annotations

import librosa
import numpy as np
import pytest
import tensorflow as tf

from tfrec.media import log_mel, mel_filters

SETTINGS = [
    {"sample_rate": 16_000},
    {"sample_rate": 16_000, "bands": 40, "window": 400, "hop": 160},
    {"sample_rate": 22_050, "bands": 128, "window": 2048, "hop": 512, "low": 20.0, "high": 8000.0},
    {"sample_rate": 8_000, "bands": 32, "window": 256, "hop": 100},
]


def reference(
    samples: np.ndarray,
    sample_rate: int,
    bands: int = 64,
    window: int = 512,
    hop: int = 256,
    low: float = 0.0,
    high: float | None = None,
) -> np.ndarray:
    power = librosa.feature.melspectrogram(
        y=samples, sr=sample_rate, n_fft=window, hop_length=hop, n_mels=bands, fmin=low, fmax=high
    )
    return librosa.power_to_db(power, top_db=None).T


@pytest.mark.slow
@pytest.mark.parametrize("settings", SETTINGS)
def test_it_equals_librosa(settings: dict) -> None:
    """Coloured noise with a chirp, both channels of a batch, to 1e-3 dB."""
    rng = np.random.default_rng(0)
    rate = settings["sample_rate"]
    time = np.arange(rate) / rate
    chirp = np.sin(2 * np.pi * (200 + 1500 * time) * time)
    waves = (0.3 * chirp + 0.05 * rng.standard_normal((2, rate))).astype(np.float32)
    ours = log_mel(tf.constant(waves), **settings).numpy()
    for wave, got in zip(waves, ours, strict=True):
        np.testing.assert_allclose(got, reference(wave, **settings), atol=1e-3)


@pytest.mark.parametrize("settings", SETTINGS)
def test_filters_equal_librosa(settings: dict) -> None:
    """Slaney's scale and normalisation, to float32."""
    low, high = settings.get("low", 0.0), settings.get("high")
    window, bands = settings.get("window", 512), settings.get("bands", 64)
    expected = librosa.filters.mel(
        sr=settings["sample_rate"], n_fft=window, n_mels=bands, fmin=low, fmax=high
    )
    ours = mel_filters(settings["sample_rate"], window, bands, low, high)
    np.testing.assert_allclose(ours.T, expected, atol=1e-7)


def test_frames_are_centred_on_multiples_of_the_hop() -> None:
    """The same by hand: zeros beyond the ends, periodic Hann, power, filters, decibels."""
    wave = np.random.default_rng(3).standard_normal(1000).astype(np.float32)
    padded = np.concatenate([np.zeros(256), wave, np.zeros(256)])
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(512) / 512)
    frames = [padded[at : at + 512] * hann for at in (0, 256, 512, 768)]
    power = np.abs(np.fft.rfft(frames)) ** 2 @ mel_filters(16_000, 512, 64)
    np.testing.assert_allclose(log_mel(wave, 16_000), 10 * np.log10(power), atol=1e-3)


def test_silence_is_the_floor_and_int16_is_scaled() -> None:
    """1e-10 is -100 dB; int16 samples mean the same as the floats they stand for."""
    silence = log_mel(tf.zeros([1, 4000], tf.int16), 16_000)
    np.testing.assert_allclose(silence, np.full(silence.shape, -100.0), rtol=1e-6)
    samples = np.random.default_rng(1).integers(-9000, 9000, (1, 4000)).astype(np.int16)
    np.testing.assert_allclose(
        log_mel(tf.constant(samples), 16_000),
        log_mel(tf.constant(samples / 32768.0), 16_000),
        atol=1e-4,
    )


def test_eager_graph_and_compiled_agree() -> None:
    """The tower that uses it trains under `jit_compile`."""
    wave = tf.constant(np.random.default_rng(2).standard_normal((2, 4000)), tf.float32)
    eager = log_mel(wave, 16_000)
    for compiled in (False, True):
        graph = tf.function(lambda x: log_mel(x, 16_000), jit_compile=compiled)
        np.testing.assert_allclose(graph(wave), eager, atol=2e-3)
