"""Decode media files to the tensors that records hold.

What the served graph can decode is decoded by its own functions (`tfrec.media`), so that training
and serving see equal tensors. Other formats (WebP, TIFF, odd PNGs by Pillow; FLAC, MP3, OGG and
video by PyAV) only exist here; they are resized and resampled by the same functions.
"""

from __future__ import annotations

import io
import struct
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from preprocessing.caching import ContentCache
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
        import av  # noqa: F401
    except ImportError as error:
        raise DescriptionError(
            f"feature {name}",
            "videos are decoded by PyAV",
            received="no module named `av`",
            remedy="Install `tfrec[video]`",
        ) from error


def decode_different(
    config: FeatureConfig, files: Sequence[bytes], hashes: Sequence[bytes], cache: Path | None
) -> tuple[Tensors, Mask]:
    """Decodes each different file once, and none that the cache knows.

    Args:
        config: An image, audio or video feature.
        files: Whole files.
        hashes: Of each.
        cache: Folder with what earlier runs decoded, if there is one.

    Returns:
        What `decode_media` does.
    """
    first = {value: place for place, value in reversed(list(enumerate(hashes)))}
    store = None if cache is None else _store(cache, config)
    known = {} if store is None else store.find(list(first))
    missing = [value for value in first if value not in known]
    tensors, valid = decode_media(config, [files[first[value]] for value in missing])
    fresh = {value: tensors[place] for place, value in enumerate(missing) if valid[place]}
    if store is not None:
        # What can't be decoded isn't kept: another decoder may be installed by the next run.
        store.add(fresh)
    known |= fresh
    output = np.zeros((len(hashes), *tensors.shape[1:]), tensors.dtype)
    for place, value in enumerate(hashes):
        if value in known:
            output[place] = known[value]
    return output, np.array([value in known for value in hashes], bool)


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
    config: FeatureConfig, files: Sequence[bytes], size: tuple[int, int] | None = None
) -> tuple[Tensors, Mask]:
    """Decodes files of one feature.

    Args:
        config: An image, audio or video feature.
        files: Whole files.
        size: Height and width, when an encoder wants others than the description says.

    Returns:
        uint8 or int16 [n, *media_shape]; bool [n], those that could be decoded.
    """
    if config.modality == "video":
        decoded = [_decode_video(data, config, size or config.size) for data in files]
    else:
        tensors, valid = _decode_in_graph(config, files, size or config.size)
        retry = [place for place in range(len(files)) if not valid[place] and files[place]]
        for place in retry:
            other = (
                _decode_picture(files[place], size or config.size)
                if config.modality == "image"
                else _decode_sound(files[place], config)
            )
            if other is not None:
                tensors[place], valid[place] = other, True
        return tensors, valid
    shape = media_shape(config, size)
    tensors = np.zeros((len(files), *shape), np.uint8)
    for place, frames in enumerate(decoded):
        if frames is not None:
            tensors[place] = frames
    return tensors, np.array([frames is not None for frames in decoded], bool)


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


def _decode_picture(data: bytes, size: tuple[int, int]) -> Tensors | None:
    """The first frame, upright, in RGB; `None` when Pillow can't read it either."""
    from PIL import Image, ImageOps

    try:
        with warnings.catch_warnings():
            # Pillow warns of odd but readable files; a bomb is refused below by its size.
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data)) as picture:
                if picture.width * picture.height > MAX_PIXELS:
                    return None
                upright = ImageOps.exif_transpose(picture)
                pixels = np.asarray(_rgb(upright))
    # Pillow documents none of its decoders' exceptions; these are what damaged files gave.
    except (OSError, ValueError, SyntaxError, EOFError, TypeError, IndexError, KeyError):
        return None
    except (Image.DecompressionBombError, MemoryError, OverflowError, struct.error):
        return None
    return _resize(pixels, size)


def _rgb(picture: Any) -> Any:
    from PIL import Image

    if picture.mode.startswith(("I", "F")):
        # 16 bits and more a channel: brought to 8 by their own range.
        values = np.asarray(picture, np.float64)
        top = 65535.0 if picture.mode.startswith("I;16") or values.max(initial=0) > 255 else 255.0
        return Image.fromarray(np.clip(values * 255 / top, 0, 255).astype(np.uint8)).convert("RGB")
    return picture.convert("RGB")


def _decode_sound(data: bytes, config: FeatureConfig) -> Tensors | None:
    try:
        import av
    except ImportError:
        return None
    samples = round(config.sample_rate * config.seconds)
    try:
        with av.open(io.BytesIO(data)) as container:
            if not container.streams.audio:
                return None
            stream = container.streams.audio[0]
            rate = stream.rate
            wanted = int(np.ceil(rate * config.seconds))
            parts: list[Tensors] = []
            for frame in container.decode(stream):
                parts.append(_mono(frame))
                if sum(map(len, parts)) >= wanted:
                    break
    except (av.FFmpegError, ValueError, OSError, OverflowError):
        return None
    wave = np.concatenate(parts)[:wanted] if parts else np.zeros(0, np.float32)
    if not len(wave):
        return None
    if rate != config.sample_rate:
        wave = resample(tf.constant(wave), rate, config.sample_rate).numpy()
    wave = np.pad(wave[:samples], (0, max(0, samples - len(wave))))
    return np.clip(np.round(wave * 32768.0), -32768, 32767).astype(np.int16)


def _mono(frame: Any) -> Tensors:
    values = frame.to_ndarray()
    channels = len(frame.layout.channels)
    if not frame.format.is_planar:
        values = values.reshape(-1, channels).T
    if values.dtype.kind == "f":
        scaled = values.astype(np.float32)
    elif values.dtype == np.uint8:
        scaled = (values.astype(np.float32) - 128) / 128
    else:
        scaled = values.astype(np.float32) / float(1 << (8 * values.dtype.itemsize - 1))
    return np.nan_to_num(scaled.mean(0), nan=0.0, posinf=0.0, neginf=0.0)


def _decode_video(data: bytes, config: FeatureConfig, size: tuple[int, int]) -> Tensors | None:
    """Frames spread evenly over the first seconds; the last one repeats in a shorter video."""
    import av

    pictures: list[Tensors] = []
    moments = [config.seconds * place / config.frames for place in range(config.frames)]
    try:
        with av.open(io.BytesIO(data)) as container:
            if not container.streams.video:
                return None
            latest: Any = None
            for frame in container.decode(video=0):
                latest = frame
                if frame.width * frame.height > MAX_PIXELS:
                    return None
                if frame.time is None or frame.time + 1e-6 >= moments[len(pictures)]:
                    pictures.append(_resize(frame.to_ndarray(format="rgb24"), size))
                if len(pictures) == config.frames:
                    break
            if latest is not None and len(pictures) < config.frames:
                last = _resize(latest.to_ndarray(format="rgb24"), size)
                pictures += [last] * (config.frames - len(pictures))
    except (av.FFmpegError, ValueError, OSError, OverflowError):
        return None
    return np.stack(pictures) if pictures else None
