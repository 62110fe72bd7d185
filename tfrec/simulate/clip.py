"""Clips: a plucked tune over noise, by wavetable synthesis, WAV 16 kHz mono int16.

The audio latents as shown decide the brightness of the timbre (how slowly the harmonics fall off),
the tempo, and the level of the noise. The notes, their register, the loudness and the length are
chance.
"""

from __future__ import annotations

import io
import wave

import numpy as np
import numpy.typing as npt

__all__ = ["SAMPLE_RATE", "synthesise_clip", "write_wav"]

SAMPLE_RATE = 16_000
_HARMONICS = np.arange(1, 11)
_PERIOD = 2_048
_TABLE = np.sin(2 * np.pi * np.outer(_HARMONICS, np.arange(_PERIOD)) / _PERIOD).astype(np.float32)
# A pentatonic scale sounds agreeable in any order.
_SCALE = 2.0 ** (np.array([0, 2, 4, 7, 9, 12]) / 12)


def synthesise_clip(
    shown: npt.NDArray[np.float32], rng: np.random.Generator
) -> npt.NDArray[np.int16]:
    """Plays a clip.

    Args:
        shown: float32 [3]: brightness, tempo, noise; of unit variance.
        rng: Decides what the latents don't.

    Returns:
        int16 [samples] at 16 kHz, 2 to 4 seconds.
    """
    brightness, tempo, noise = np.clip(shown, -2.5, 2.5)
    samples = int(SAMPLE_RATE * rng.triangular(2.0, 2.0, 4.0))
    beat = SAMPLE_RATE * 60 / (110 * 2 ** (0.5 * tempo))
    place = np.arange(samples, dtype=np.float32) + np.float32(rng.uniform(0, beat))
    number = (place / np.float32(beat)).astype(np.int64)
    since = place - number * np.float32(beat)
    pitch = 130 * 2 ** rng.uniform(0, 1) * _SCALE[rng.integers(len(_SCALE), size=number[-1] + 1)]
    phase = np.cumsum(pitch[number]) * (_PERIOD / SAMPLE_RATE)
    strength = _HARMONICS ** -(2.0 - 0.6 * brightness)
    table = (strength / np.sqrt((strength**2).sum())).astype(np.float32) @ _TABLE
    tone = table[phase.astype(np.int64) % _PERIOD]
    tone *= np.exp(since * np.float32(-1 / (0.12 * SAMPLE_RATE)))
    hiss = rng.standard_normal(samples, dtype=np.float32)
    sound = tone + np.float32(10 ** ((-28 + 8 * noise) / 20)) * hiss
    loudness = 0.5 + 0.4 * rng.random()
    sound *= np.float32(loudness * 32_767 / max(1e-6, float(np.abs(sound).max())))
    return np.asarray(sound.astype(np.int16))


def write_wav(samples: npt.NDArray[np.int16]) -> bytes:
    """A mono WAV file of 16-bit samples at 16 kHz."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(samples.astype("<i2").tobytes())
    return buffer.getvalue()
