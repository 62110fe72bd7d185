"""Image and video encoders scale pixels as the preset was trained, and average what they see."""

from __future__ import annotations

from pathlib import Path

import keras_hub
import numpy as np
import pytest

from tests.encoders.presets import write_huggingface_bert, write_keras_hub_image
from tfrec.encoders import Encoder, resolve
from tfrec.errors import DescriptionError

pytestmark = pytest.mark.filterwarnings(
    # h5py copies Keras variables by a protocol of NumPy 1.
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_keras_hub_image(tmp_path_factory.mktemp("presets") / "tiny")


@pytest.fixture(scope="module")
def encoder(folder: Path) -> Encoder:
    return resolve(str(folder), "image")


def test_vectors_are_the_backbone_on_scaled_pixels(encoder: Encoder, folder: Path) -> None:
    """Loaded apart by keras-hub, fed (x / 127.5) - 1 by hand, averaged over positions."""
    pixels = RNG.integers(0, 256, (5, 16, 16, 3), dtype=np.uint8)
    backbone = keras_hub.models.Backbone.from_preset(str(folder))
    expected = backbone.predict(pixels / 127.5 - 1.0, verbose=0).mean((1, 2))
    np.testing.assert_allclose(encoder.encode(pixels, batch_size=2), expected, atol=1e-4)
    assert encoder.image_size == (16, 16) and encoder.dimension == expected.shape[1]


def test_pictures_of_another_size_are_resized(encoder: Encoder) -> None:
    """A uniform picture is the same at every size."""
    small = encoder.encode(np.full((1, 16, 16, 3), 77, np.uint8))
    large = encoder.encode(np.full((1, 40, 24, 3), 77, np.uint8))
    np.testing.assert_allclose(small, large, atol=1e-4)


def test_a_video_is_the_mean_of_its_frames(encoder: Encoder, folder: Path) -> None:
    video = resolve(str(folder), "video")
    frames = RNG.integers(0, 256, (2, 3, 16, 16, 3), dtype=np.uint8)
    expected = encoder.encode(frames.reshape(6, 16, 16, 3)).reshape(2, 3, -1).mean(1)
    np.testing.assert_allclose(video.encode(frames), expected, atol=1e-4)
    assert video.fingerprint != encoder.fingerprint


def test_an_empty_batch_has_the_right_width(encoder: Encoder) -> None:
    assert encoder.encode(np.zeros((0, 16, 16, 3), np.uint8)).shape == (0, encoder.dimension)


def test_a_text_model_is_refused(tmp_path: Path) -> None:
    folder = write_huggingface_bert(tmp_path / "text")
    with pytest.raises(DescriptionError, match=r"needs an image model.*reads text"):
        resolve(str(folder), "image")
