"""MP4 clips: a disc on its way across the frame, flickering. Needs PyAV.

The video latents as shown decide its speed and the strength of the flicker; direction, colours and
the place where it starts are chance.
"""

from __future__ import annotations

import io
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from tfrec.errors import DescriptionError

__all__ = ["encode_video", "require_pyav"]

WIDTH, HEIGHT, FRAMES, RATE = 96, 64, 16, 8
_ROW, _COLUMN = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)


def require_pyav() -> None:
    """Checks that MP4 can be written here.

    Raises:
        DescriptionError: PyAV is not installed.
    """
    try:
        import av  # noqa: F401
    except ImportError as error:
        raise DescriptionError(
            "--video",
            "MP4 clips are written by PyAV",
            received=str(error),
            remedy="Install it by `pip install 'tfrec[video]'`, or leave --video out",
        ) from error


def encode_video(shown: npt.NDArray[np.float32], rng: np.random.Generator) -> bytes:
    """Films a clip.

    Args:
        shown: float32 [2]: speed, flicker; of unit variance.
        rng: Decides what the latents don't.

    Returns:
        An MP4 file (H.264) of 96 x 64 pixels, 16 frames, 2 seconds.
    """
    import av

    speed, flicker = 1 / (1 + np.exp(-1.2 * shown))
    start, turn = rng.uniform(0, 1, 2) * (WIDTH, HEIGHT), rng.uniform(0, 2 * np.pi)
    step = (1 + 14 * speed) * np.array([np.cos(turn), np.sin(turn)])
    ground, disc = rng.integers(20, 120, 3), rng.integers(120, 256, 3)
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as file:
        # One thread, or the file's bytes would depend on the machine.
        options = {"crf": "28", "x264-params": "threads=1:lookahead-threads=1"}
        stream = file.add_stream("libx264", rate=RATE, options=options)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.codec_context.thread_count = 1
        for number in range(FRAMES):
            x, y = (start + number * step) % (WIDTH, HEIGHT)
            light = 1 - (0.9 * flicker if number % 2 else 0)
            inside = (_COLUMN - x) ** 2 + (_ROW - y) ** 2 < 12**2
            pixels = np.where(inside[..., None], light * disc, ground).astype(np.uint8)
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return buffer.getvalue()
