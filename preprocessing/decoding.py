"""Decode media files to the tensors that records hold.

What the served graph can decode is decoded by its own functions (`tfrec.media`), so that training
and serving see equal tensors. Other formats (WebP, TIFF, odd PNGs by Pillow; FLAC, MP3, OGG and
video by PyAV) only exist here, in a process of their own under limits of pixels, memory and wall
time; they are resized and resampled by the same functions.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from preprocessing.caching import ContentCache
from preprocessing.decoder_process import DecoderError, decoder_pool
from preprocessing.shapes import media_shape
from tfrec.config import FeatureConfig
from tfrec.errors import DescriptionError
from tfrec.media import MAX_PIXELS, decode_audio, decode_image, resample

__all__ = ["decode_different", "decode_media", "require_decoder"]

Tensors = npt.NDArray[Any]
Mask = npt.NDArray[np.bool_]
# Files decoded in one call of the graph's functions.
_BATCH = 64


def require_decoder(config: FeatureConfig, name: str) -> None:
    """Checks that videos can be decoded before anything is read.

    Raises:
        DescriptionError: PyAV isn't installed.
    """
    if config.modality != "video":
        return
    try:
        import av  # noqa: F401 (only asked whether it is there)
    except ImportError as error:
        raise DescriptionError(
            f"feature {name}",
            "videos are decoded by PyAV",
            received="no module named `av`",
            remedy="Install `tfrec[video]`",
        ) from error


def decode_different(
    config: FeatureConfig, files: Sequence[bytes], hashes: Sequence[bytes], cache: Path | None
) -> tuple[Tensors, Mask, dict[bytes, DecoderError]]:
    """Decodes each different file once, and none that the cache knows.

    Args:
        config: An image, audio or video feature.
        files: Whole files.
        hashes: Of each.
        cache: Folder with what earlier runs decoded, if there is one.

    Returns:
        What `decode_media` does; and by hash, what is known of files that cost a decoder its life.
    """
    first = {value: place for place, value in reversed(list(enumerate(hashes)))}
    store = None if cache is None else _store(cache, config)
    known = {} if store is None else store.find(list(first))
    missing = [value for value in first if value not in known]
    reasons: dict[int, DecoderError] = {}
    chosen = [files[first[value]] for value in missing]
    tensors, valid = decode_media(config, chosen, reasons=reasons)
    fresh = {value: tensors[place] for place, value in enumerate(missing) if valid[place]}
    if store is not None:
        # What can't be decoded isn't kept: another decoder may be installed by the next run.
        store.add(fresh)
    known |= fresh
    output = np.zeros((len(hashes), *tensors.shape[1:]), tensors.dtype)
    for place, value in enumerate(hashes):
        if value in known:
            output[place] = known[value]
    mask = np.array([value in known for value in hashes], bool)
    return output, mask, {missing[place]: error for place, error in reasons.items()}


def _store(cache: Path, config: FeatureConfig) -> ContentCache:
    options = {
        "image": ("size",),
        "audio": ("sample_rate", "seconds"),
        "video": ("size", "seconds", "frames"),
    }[config.modality]
    depends_on = {name: getattr(config, name) for name in options}
    depends_on |= {"modality": config.modality, "tensorflow": tf.__version__}
    kind = np.int16 if config.modality == "audio" else np.uint8
    return ContentCache(cache, "decoded", depends_on, media_shape(config), kind)


def decode_media(
    config: FeatureConfig,
    files: Sequence[bytes],
    size: tuple[int, int] | None = None,
    reasons: dict[int, DecoderError] | None = None,
) -> tuple[Tensors, Mask]:
    """Decodes files of one feature.

    Args:
        config: An image, audio or video feature.
        files: Whole files.
        size: Height and width, when an encoder wants others than the description says.
        reasons: Gets, by place, what is known of a file that cost its decoder the life.

    Returns:
        uint8 or int16 [n, *media_shape]; bool [n], those that could be decoded.
    """
    shape = media_shape(config, size)
    if config.modality == "video":
        tensors, valid = np.zeros((len(files), *shape), np.uint8), np.zeros(len(files), bool)
    else:
        tensors, valid = _decode_in_graph(config, files, size or config.size)
    for place in np.flatnonzero(~valid).tolist():
        if not files[place]:
            continue
        try:
            other = _decode_alone(config, files[place], size or config.size)
        except DecoderError as error:
            if reasons is not None:
                reasons[place] = error
            continue
        if other is not None:
            tensors[place], valid[place] = other, True
    return tensors, valid


def _decode_in_graph(
    config: FeatureConfig, files: Sequence[bytes], size: tuple[int, int]
) -> tuple[Tensors, Mask]:
    parts = []
    for start in range(0, len(files), _BATCH):
        data = tf.constant(list(files[start : start + _BATCH]), tf.string)
        if config.modality == "image":
            parts.append(_images(size)(data))
        else:
            parts.append(_sounds(config.sample_rate, config.seconds)(data))
    if not parts:
        kind = np.uint8 if config.modality == "image" else np.int16
        return np.zeros((0, *media_shape(config, size)), kind), np.zeros(0, bool)
    tensors = np.concatenate([part[0].numpy() for part in parts])
    return tensors, np.concatenate([part[1].numpy() for part in parts])


_FUNCTIONS: dict[object, Any] = {}


def _images(size: tuple[int, int]) -> Any:
    return _traced(("image", size), lambda data: decode_image(data, size))


def _sounds(rate: int, seconds: float) -> Any:
    return _traced(("audio", rate, seconds), lambda data: decode_audio(data, rate, seconds))


def _traced(key: object, function: Any) -> Any:
    if key not in _FUNCTIONS:
        signature = [tf.TensorSpec([None], tf.string)]
        _FUNCTIONS[key] = tf.function(function, input_signature=signature)
    return _FUNCTIONS[key]


def _resize(pixels: Tensors, size: tuple[int, int]) -> Tensors:
    """As `decode_image` resizes: [..., height, width, 3] to [..., *size, 3]."""
    resized = tf.image.resize(pixels, size, method="bilinear", antialias=True)
    return np.asarray(tf.cast(tf.clip_by_value(tf.round(resized), 0.0, 255.0), tf.uint8))


def _decode_alone(config: FeatureConfig, data: bytes, size: tuple[int, int]) -> Tensors | None:
    """Decodes one file in a process of its own; `None` when it can't be read there either.

    Raises:
        DecoderError: The file took too long or ended the process.
    """
    options: dict[str, Any] = {"max_pixels": MAX_PIXELS, "seconds": config.seconds}
    if config.modality == "image":
        pixels = decoder_pool().decode("picture", data, options)
        return None if pixels is None else _resize(pixels, size)
    if config.modality == "video":
        moments = [config.seconds * place / config.frames for place in range(config.frames)]
        frames = decoder_pool().decode("video", data, options | {"moments": moments})
        return None if frames is None else np.stack([_resize(frame, size) for frame in frames])
    sound = decoder_pool().decode("sound", data, options)
    if sound is None:
        return None
    wave, rate = sound
    samples = round(config.sample_rate * config.seconds)
    if rate != config.sample_rate:
        wave = resample(tf.constant(wave), rate, config.sample_rate).numpy()
    wave = np.pad(wave[:samples], (0, max(0, samples - len(wave))))
    return np.clip(np.round(wave * 32768.0), -32768, 32767).astype(np.int16)
