"""Covers: a polygon on a striped ground, JPEG.

The image latents as shown decide the ground's warmth, its lightness, and the size of the shape.
Everything else (corners, place, colour of the shape, direction and width of the stripes, grain) is
chance, so that a model has to learn what matters.
"""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

__all__ = ["SIDE", "draw_cover", "draw_picture", "encode_jpeg"]

SIDE = 96
_COOL = np.array([30.0, 90.0, 215.0], np.float32)
_WARM = np.array([235.0, 110.0, 25.0], np.float32)
_ROW, _COLUMN = np.mgrid[0:SIDE, 0:SIDE].astype(np.float32) / SIDE


def draw_cover(shown: npt.NDArray[np.float32], rng: np.random.Generator) -> bytes:
    """Draws a cover.

    Args:
        shown: float32 [3]: warmth, lightness, size of the shape; of unit variance.
        rng: Decides what the latents don't.

    Returns:
        A JPEG file of 96 x 96 pixels.
    """
    return encode_jpeg(draw_picture(shown, rng))


def draw_picture(shown: npt.NDArray[np.float32], rng: np.random.Generator) -> Image.Image:
    """The picture of a cover, before compression."""
    warmth, lightness, size = 1 / (1 + np.exp(-1.2 * shown))
    colour = (_COOL + np.float32(warmth) * (_WARM - _COOL)) * np.float32(0.4 + 0.8 * lightness)
    turn = rng.uniform(0, np.pi)
    across = np.float32(np.cos(turn)) * _ROW + np.float32(np.sin(turn)) * _COLUMN
    stripes = np.sin(across * np.float32(2 * np.pi * rng.uniform(3, 12)))
    ground = colour * (1 + np.float32(rng.uniform(0, 0.2)) * stripes[..., None])
    ground += rng.standard_normal((SIDE, SIDE, 1), dtype=np.float32) * 6
    picture = Image.fromarray(np.clip(ground, 0, 255).astype(np.uint8))
    corners, radius = int(rng.integers(3, 9)), SIDE * (0.06 + 0.34 * size)
    centre = SIDE * rng.uniform(0.4, 0.6, 2)
    angles = rng.uniform(0, 2 * np.pi) + 2 * np.pi * np.arange(corners) / corners
    points = [(centre[0] + radius * np.cos(a), centre[1] + radius * np.sin(a)) for a in angles]
    fill = tuple(int(value) for value in rng.integers(90, 256, 3))
    ImageDraw.Draw(picture).polygon(points, fill=fill)
    return picture


def encode_jpeg(picture: Image.Image) -> bytes:
    """The picture as a JPEG file."""
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=85)
    return buffer.getvalue()
