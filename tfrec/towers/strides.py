"""Strides of convolutions that halve a map."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["halving"]


def halving(shape: Sequence[int | None]) -> tuple[int, int]:
    """Strides for a map [batch, height, width, channels]: 2, and 1 along a side of one pixel.

    There both give the same. But with a stride of 2 over a width of 1, in bfloat16 on a CPU,
    TensorFlow 2.21 (oneDNN) returns a kernel's gradient from memory that nobody wrote.

    Example:
        >>> halving((None, 4, 1, 32))
        (2, 1)
    """
    height, width = (1 if side == 1 else 2 for side in shape[1:3])
    return height, width
