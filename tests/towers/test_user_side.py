"""Sentiment, several interests, attention given the candidate: by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tests import harness
from tfrec.towers import InterestsHistory, SentimentTower, TargetAttention, hash_words

pytestmark = pytest.mark.filterwarnings(harness.H5PY_WARNING)

DIMENSION = 4
RNG = np.random.default_rng(0)
HISTORY = tf.constant(RNG.standard_normal((3, 5, DIMENSION)), tf.float32)
PRESENT = tf.constant(np.arange(5) >= np.array([0, 2, 5])[:, None])
CANDIDATE = tf.constant(RNG.standard_normal((3, DIMENSION)), tf.float32)


def test_a_negation_turns_three_words_around() -> None:
    """A good word counts 0.5 as it is and -0.5 after "not", at most three words later."""
    tower = SentimentTower(4, aspects=1, buckets=5000, max_length=6)
    texts = ["good", "not good", "not a very good", "not a very very good", "never not good"]
    tower(tf.constant(texts))
    table = np.zeros((5000, 1), np.float32)
    table[hash_words(tf.constant(["good"]), 5000, 1).numpy()[0, 0]] = np.arctanh(0.5)
    tower.embeddings.assign(table)
    mean_positive, mean_negative, most, least = np.split(
        tower.features(tower.prepare(tf.constant(texts)), None).numpy(), 4, axis=1
    )
    np.testing.assert_allclose(most[:, 0], [0.5, 0, 0, 0.5, 0.5], atol=1e-5)
    np.testing.assert_allclose(least[:, 0], [0, 0.5, 0.5, 0, 0], atol=1e-5)
    np.testing.assert_allclose(mean_positive[:, 0], [0.5, 0, 0, 0.1, 0.5 / 3], atol=1e-5)
    np.testing.assert_allclose(mean_negative[:, 0], [0, 0.25, 0.125, 0, 0], atol=1e-5)


def test_interests_by_attention_are_the_papers() -> None:
    """Cen et al., equation 8: A = softmax(W2ᵀ tanh(W1 H)), V = H A, padding left out."""
    layer = harness.seeded(lambda: InterestsHistory(DIMENSION, count=2))
    fused = harness.call(layer, (HISTORY, PRESENT))
    kernel, bias = layer.hidden.get_weights()
    (score,) = layer.score.get_weights()
    found = layer.interests(HISTORY, PRESENT).numpy()
    for row, start in ((0, 0), (1, 2)):
        x = HISTORY[row, start:].numpy()
        logits = np.tanh(x @ kernel + bias) @ score
        weights = np.exp(logits) / np.exp(logits).sum(0)
        np.testing.assert_allclose(found[row], weights.T @ x, atol=1e-5)
        share = np.exp(np.linalg.norm(found[row], axis=1))
        np.testing.assert_allclose(fused[row], share / share.sum() @ found[row], atol=1e-5)
    assert not found[2].any()


def test_interests_by_capsules_are_the_routing_of_the_paper() -> None:
    """Li et al., algorithm 1, with a loop over the iterations in NumPy."""
    layer = harness.seeded(
        lambda: InterestsHistory(DIMENSION, count=2, method="capsule", iterations=3)
    )
    layer(HISTORY, PRESENT)
    found = layer.interests(HISTORY, PRESENT).numpy()
    (shared,) = layer.shared.get_weights()
    beginning = np.asarray(layer._beginning(5))[0]
    for row, start in ((0, 0), (1, 2)):
        mapped = HISTORY[row, start:].numpy() @ shared
        logits = beginning[start:].copy()
        for _ in range(3):
            weights = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
            raw = weights.T @ mapped
            square = (raw**2).sum(1, keepdims=True)
            capsules = square / (1 + square) * raw / np.sqrt(square)
            logits += mapped @ capsules.T
        np.testing.assert_allclose(found[row], capsules, atol=1e-4)


def test_the_capsules_read_two_tastes_apart() -> None:
    """A history of two orthogonal kinds gives interests that each lie near one kind."""
    kinds = np.eye(DIMENSION, dtype=np.float32)[[0, 1, 0, 1, 0, 1]]
    layer = harness.seeded(
        lambda: InterestsHistory(DIMENSION, count=2, method="capsule", iterations=20)
    )
    inputs = tf.constant(kinds[None] * 3), tf.ones((1, 6), tf.bool)
    layer(*inputs)
    layer.shared.set_weights([np.eye(DIMENSION)])
    found = layer.interests(*inputs).numpy()[0]
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    assert sorted(np.abs(found).argmax(1)) == [0, 1] and np.abs(found).max(1).min() > 0.95


def test_the_target_attention_keeps_the_common_promises(tmp_path: Path) -> None:
    harness.check_basics(
        lambda: TargetAttention(DIMENSION, hidden=6), (HISTORY, PRESENT, CANDIDATE), DIMENSION
    )


@pytest.mark.slow
def test_the_target_attention_is_saved_and_exported(tmp_path: Path) -> None:
    """Files, modes, precision, TF1 session."""
    harness.check_layer(
        lambda: TargetAttention(DIMENSION, hidden=6),
        (HISTORY, PRESENT, CANDIDATE),
        tmp_path,
    )


def test_the_target_attention_depends_on_the_candidate_and_has_no_softmax() -> None:
    """With a constant weight of 2 the result is twice the sum: DIN keeps the intensity."""
    layer = harness.seeded(lambda: TargetAttention(DIMENSION, hidden=6))
    one = harness.call(layer, (HISTORY, PRESENT, CANDIDATE))
    other = harness.call(layer, (HISTORY, PRESENT, -CANDIDATE))
    assert np.abs(one - other)[:2].max() > 1e-3
    assert not one[2].any()
    layer.score.set_weights([np.zeros((6, 1)), np.array([2.0])])
    expected = 2 * (HISTORY.numpy() * PRESENT.numpy()[:, :, None]).sum(1)
    np.testing.assert_allclose(
        harness.call(layer, (HISTORY, PRESENT, CANDIDATE)), expected, atol=1e-5
    )


def test_padding_may_hold_anything() -> None:
    layer = harness.seeded(lambda: TargetAttention(DIMENSION))
    expected = harness.call(layer, (HISTORY, PRESENT, CANDIDATE))
    dirty = tf.where(PRESENT[:, :, None], HISTORY, np.nan)
    np.testing.assert_array_equal(harness.call(layer, (dirty, PRESENT, CANDIDATE)), expected)


def test_widths_that_differ_are_refused() -> None:
    with pytest.raises(ValueError, match=r"must be 4 wide\. Received: 4 and 3"):
        TargetAttention(4)(HISTORY, PRESENT, tf.zeros((3, 3)))
