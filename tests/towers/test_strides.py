"""Pictures that shrink to a pixel: half precision must not read what nobody wrote."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tests import harness
from tfrec.towers import ImageCnnTower, ImageResnetTower


@pytest.mark.parametrize("make", [ImageCnnTower, ImageResnetTower])
@pytest.mark.parametrize("size", [(8, 8), (16, 4)])
def test_a_map_of_one_pixel_has_finite_gradients(make: type, size: tuple[int, int]) -> None:
    """Thirty times, with NaN left in the memory that is handed out next."""
    pictures = tf.constant(np.random.default_rng(0).integers(0, 256, (4, *size, 3)), tf.uint8)
    with harness.dtype_policy("mixed_bfloat16"):
        tower = harness.seeded(lambda: make(4, channels=(16, 32, 48)))
        tower(pictures)
        weights = [variable.value for variable in tower.trainable_variables]
        for _ in range(30):
            with tf.GradientTape() as tape:
                loss = tf.reduce_sum(tf.square(tf.cast(tower(pictures, training=True), tf.float32)))
            for gradient in tape.gradient(loss, weights):
                assert np.isfinite(tf.cast(gradient, tf.float32)).all()
            tf.fill([300, 1000], float("nan"))
