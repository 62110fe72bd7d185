"""The length of products, brought under control."""

from __future__ import annotations

from typing import Any

import keras

__all__ = ["unit_signed_root"]

ops = keras.ops


def unit_signed_root(products: Any) -> Any:
    """sign(z) √|z|, brought to length 1: a product of two large coordinates drowns no other.

    Lin, RoyChowdhury & Maji, "Bilinear CNN models for fine-grained visual recognition", 2015,
    section 3; Yu et al. 2017 (MFB), section 3.2.

    Args:
        products: float [batch, width].

    Returns:
        float32 [batch, width].

    Example:
        >>> unit_signed_root(keras.ops.convert_to_tensor([[-9.0, 16.0]])).numpy().round(2)
        array([[-0.6,  0.8]], dtype=float32)
    """
    products = ops.cast(products, "float32")
    # The root has no derivative at 0.
    rooted = ops.sign(products) * ops.sqrt(ops.abs(products) + 1e-6)
    return rooted * ops.rsqrt(ops.sum(ops.square(rooted), -1, keepdims=True) + 1e-6)
