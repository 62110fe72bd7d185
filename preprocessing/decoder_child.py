"""Decode odd media in a process of its own, which can be killed: `python -m` this module.

It reads requests from standard input and answers on standard output, each a length of eight bytes
and a pickle, until its input ends. Its address space is bounded, so a bomb that no header announces
ends in a MemoryError or in the process' own death, never in the parent's.

    (picture, data, options)  ─▶  uint8 [height, width, 3]
    (sound, …)                ─▶  (float32 [samples], rate)
    (video, …)                ─▶  list of uint8 [height, width, 3]
"""

from __future__ import annotations

import io
import pickle
import struct
import sys
import warnings
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["LENGTH", "decode", "read_message", "write_message"]

Tensors = npt.NDArray[Any]
LENGTH = struct.Struct("<Q")


def decode(kind: str, data: bytes, options: dict[str, Any]) -> Any:
    """Decodes one file.

    Args:
        kind: `picture`, `sound` or `video`.
        data: The whole file.
        options: `max_pixels`; `seconds` of a sound; `moments` of a video's frames, in seconds.

    Returns:
        As the module says; `None` for a file that can't be read.
    """
    return {"picture": _picture, "sound": _sound, "video": _video}[kind](data, options)


def read_message(stream: Any) -> Any:
    """Reads a message; raises EOFError at the end of the stream."""
    head = stream.read(LENGTH.size)
    if len(head) < LENGTH.size:
        raise EOFError
    (length,) = LENGTH.unpack(head)
    data = stream.read(length)
    if len(data) < length:
        raise EOFError
    return pickle.loads(data)


def write_message(stream: Any, message: Any) -> None:
    """Writes a message."""
    data = pickle.dumps(message, protocol=5)
    stream.write(LENGTH.pack(len(data)) + data)
    stream.flush()


def _picture(data: bytes, options: dict[str, Any]) -> Tensors | None:
    """The first frame, upright, in RGB."""
    from PIL import Image, ImageOps

    try:
        with warnings.catch_warnings():
            # Pillow warns of odd but readable files; a bomb is refused below by its size.
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data)) as picture:
                if picture.width * picture.height > options["max_pixels"]:
                    return None
                return np.asarray(_rgb(ImageOps.exif_transpose(picture)))
    # Pillow documents none of its decoders' exceptions; these are what damaged files gave.
    except (OSError, ValueError, SyntaxError, EOFError, TypeError, IndexError, KeyError):
        return None
    except (Image.DecompressionBombError, MemoryError, OverflowError, struct.error):
        return None


def _rgb(picture: Any) -> Any:
    from PIL import Image

    if picture.mode.startswith(("I", "F")):
        # 16 bits and more a channel: brought to 8 by their own range.
        values = np.asarray(picture, np.float64)
        top = 65535.0 if picture.mode.startswith("I;16") or values.max(initial=0) > 255 else 255.0
        return Image.fromarray(np.clip(values * 255 / top, 0, 255).astype(np.uint8)).convert("RGB")
    return picture.convert("RGB")


def _sound(data: bytes, options: dict[str, Any]) -> tuple[Tensors, int] | None:
    try:
        import av
    except ImportError:
        return None
    try:
        with av.open(io.BytesIO(data)) as container:
            if not container.streams.audio:
                return None
            stream = container.streams.audio[0]
            rate = stream.rate
            wanted = int(np.ceil(rate * options["seconds"]))
            parts: list[Tensors] = []
            length = 0
            for frame in container.decode(stream):
                parts.append(_mono(frame))
                length += len(parts[-1])
                if length >= wanted:
                    break
    except (av.FFmpegError, ValueError, OSError, OverflowError, MemoryError):
        return None
    return (np.concatenate(parts)[:wanted], rate) if length else None


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


def _video(data: bytes, options: dict[str, Any]) -> list[Tensors] | None:
    """Frames at or after the moments; the last one repeats in a shorter video."""
    import av

    moments = options["moments"]
    pictures: list[Tensors] = []
    try:
        with av.open(io.BytesIO(data)) as container:
            if not container.streams.video:
                return None
            latest: Any = None
            for frame in container.decode(video=0):
                latest = frame
                if frame.width * frame.height > options["max_pixels"]:
                    return None
                if frame.time is None or frame.time + 1e-6 >= moments[len(pictures)]:
                    pictures.append(frame.to_ndarray(format="rgb24"))
                if len(pictures) == len(moments):
                    break
            if latest is not None and len(pictures) < len(moments):
                last = latest.to_ndarray(format="rgb24")
                pictures += [last] * (len(moments) - len(pictures))
    except (av.FFmpegError, ValueError, OSError, OverflowError, MemoryError):
        return None
    return pictures or None


def _bound(address_space: int) -> None:
    """Bounds this process' memory, and lets it die with its parent, where the system can."""
    try:
        import ctypes
        import resource
        import signal

        resource.setrlimit(resource.RLIMIT_AS, (address_space, address_space))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        ctypes.CDLL(None).prctl(1, int(signal.SIGKILL))
    except (ImportError, OSError, ValueError, AttributeError):
        return


def main() -> None:
    """Answers requests until the input ends."""
    _bound(int(sys.argv[1]))
    answers = sys.stdout.buffer
    while True:
        try:
            kind, data, options = read_message(sys.stdin.buffer)
        except EOFError:
            return
        try:
            result = decode(kind, data, options)
        except MemoryError:
            result = None
        write_message(answers, result)


if __name__ == "__main__":
    main()
