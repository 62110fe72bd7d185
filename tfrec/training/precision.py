"""The type of activations while layers are made."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import keras

__all__ = ["precision"]


@contextmanager
def precision(name: str) -> Iterator[None]:
    """Makes layers within the block compute in a mixed precision.

    Args:
        name: `none`, `mixed_bfloat16` or `mixed_float16`.
    """
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32" if name == "none" else name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
