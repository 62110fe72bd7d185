"""Vectors that don't change are normalised once: what a training step then does is the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tfrec.towers import ProjectionTower

VECTORS = tf.constant(np.random.default_rng(0).normal(1, 0.1, (5, 12)), tf.float32)


def tower(**options: Any) -> ProjectionTower:
    """Built, its layer norm moved from where it starts."""
    made = ProjectionTower(4, **options)
    made(VECTORS)
    norm = made.stack.layers[0]
    norm.gamma.assign(np.linspace(0.5, 2, 12))
    norm.beta.assign(np.linspace(-1, 1, 12))
    made.projection.bias.assign([0.1, 0.2, 0.3, 0.4])
    return made


@pytest.mark.parametrize(
    "options", [{}, {"hidden": (6, 5)}, {"normalize": False}, {"dropout": 0.5}, {"hidden": (6,)}]
)
@pytest.mark.parametrize("training", [False, True])
def test_normalised_vectors_give_the_tower_s_vectors_and_gradients(
    options: dict[str, Any], training: bool
) -> None:
    """What trains is what is exported: the exported tower reads raw vectors."""
    own = tower(**options)
    if training and own.dropout:
        # Both must drop the same: so the share of zeros is what is compared, elsewhere.
        own.stack.layers[1].rate = 0.0
    found = []
    for call in (own, lambda v, training: own.of_normalised(own.normalised(v), training)):
        with tf.GradientTape() as tape:
            result = call(VECTORS, training=training)
            loss = tf.reduce_sum(result * tf.reshape(tf.range(20.0), (5, 4)))
        weights = [variable.value for variable in own.trainable_variables]
        found.append([result, *tape.gradient(loss, weights)])
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)


def test_a_training_step_drops_of_normalised_vectors_too() -> None:
    own = tower(dropout=0.5)
    normalised = own.normalised(VECTORS)
    assert np.array_equal(own.of_normalised(normalised), own.of_normalised(normalised))
    drawn = [own.of_normalised(normalised, True).numpy() for _ in range(2)]
    assert not np.array_equal(*drawn)
