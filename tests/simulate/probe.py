"""Read latents out of what a modality shows, by simple features and a linear map."""

from __future__ import annotations

import csv
import io
import wave
from collections import Counter
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

Array = npt.NDArray[np.float64]


def explained(features: Array, targets: Array) -> float:
    """Mean R² over the targets, on rows that the ridge regression hasn't seen (five folds)."""
    fold = np.arange(len(features)) % 5
    predicted = np.zeros_like(targets)
    for number in range(5):
        learn = fold != number
        mean, deviation = features[learn].mean(0), features[learn].std(0) + 1e-9
        x = (features - mean) / deviation
        base = targets[learn].mean(0)
        gram = x[learn].T @ x[learn] + 20 * np.eye(x.shape[1])
        weights = np.linalg.solve(gram, x[learn].T @ (targets[learn] - base))
        predicted[~learn] = x[~learn] @ weights + base
    remaining = ((targets - predicted) ** 2).sum(0) / ((targets - targets.mean(0)) ** 2).sum(0)
    return float(1 - remaining.mean())


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def word_shares(texts: list[str], at_least: int = 10) -> Array:
    """Share of each frequent word in each text."""
    counts = [Counter(text.lower().replace("/", " ").replace(",", " ").split()) for text in texts]
    total = Counter(word for count in counts for word in count.elements())
    words = sorted(word for word, number in total.items() if number >= at_least)
    shares = np.array([[count[word] for word in words] for count in counts], float)
    return np.asarray(shares / np.maximum(1, shares.sum(1, keepdims=True)))


def cover_statistics(content: bytes) -> Array:
    """Mean colour of the corners and of the middle, with squares, and the middle's extent."""
    pixels = np.asarray(Image.open(io.BytesIO(content)), float) / 255
    corners = np.concatenate([pixels[:12, :12], pixels[:12, -12:], pixels[-12:, :12]]).mean((0, 1))
    # The ring in which pixels differ from the ground tells how large the shape is.
    differs = np.abs(pixels - corners).sum(2) > 0.35
    tone = corners[0] / (corners.sum() + 0.05)
    return np.array([*corners, tone, corners[2] / (corners.sum() + 0.05), np.sqrt(differs.mean())])


def clip_statistics(content: bytes) -> Array:
    """Mean log energies of bands, their spread over time, and how often the sound sets in."""
    with wave.open(io.BytesIO(content)) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32_768
    frames = samples[: len(samples) // 400 * 400].reshape(-1, 400)
    power = np.abs(np.fft.rfft(frames * np.hanning(400), axis=1)) ** 2
    edges = np.unique(np.geomspace(2, 200, 17).astype(int))
    bands = np.log(np.add.reduceat(power, edges[:-1], axis=1) + 1e-8)
    loud = np.log((frames**2).mean(1) + 1e-8)
    onsets = (np.diff(loud) > 0.5 * loud.std()).sum() / len(loud)
    relative = bands - bands.mean()
    return np.array([*relative.mean(0), *np.quantile(relative, 0.05, axis=0), loud.std(), onsets])
