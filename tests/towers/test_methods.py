"""What the towers compute, by hand."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.stats import norm

from tfrec.media import log_mel
from tfrec.towers import (
    AudioCnnTower,
    ImageTransformerTower,
    PeriodicTower,
    PiecewiseLinearTower,
    ProjectionTower,
    TagsTower,
    TextRnnTower,
    WordBagTower,
    hash_words,
)


def test_bins_are_the_normal_distributions_quantiles() -> None:
    """Four bins: edges -4, -0.674, 0, 0.674, 4. At 0 two are full; far out all or none."""
    tower = PiecewiseLinearTower(4, bins=4)
    tower(tf.zeros([1]))
    filled = tower.features(tf.constant([0.0, 9.0, -9.0, norm.ppf(0.75) / 2]), None)
    expected = [[1, 1, 0, 0], [1, 1, 1, 1], [0, 0, 0, 0], [1, 1, 0.5, 0]]
    np.testing.assert_allclose(filled, expected, atol=1e-6)


def test_waves_have_the_learned_frequencies() -> None:
    tower = PeriodicTower(4, frequencies=2)
    tower(tf.zeros([1]))
    tower.coefficients.assign([0.25, 0.5])
    kernel, bias = tower.hidden.get_weights()
    waves = [np.tanh(1.0), np.sin(np.pi / 2), np.sin(np.pi), np.cos(np.pi / 2), np.cos(np.pi)]
    expected = np.maximum(np.array(waves) @ kernel + bias, 0)
    np.testing.assert_allclose(tower.features(tf.constant([1.0]), None)[0], expected, atol=1e-6)


def test_tags_are_weighed_and_padding_is_not_read() -> None:
    """Tags 2 and 3 with weights 3 and 4: (3 e_2 + 4 e_3) / 5; no tag at all is zero."""
    tower = TagsTower(4, vocabulary_size=5, width=2)
    tower(tf.zeros([1, 3], tf.int32))
    tower.embeddings.assign([[9, 9], [9, 9], [1, 0], [0, 1], [9, 9]])
    tower.weights_table.assign([[7], [7], [3], [4], [7]])
    features = tower.features(tf.constant([[2, 3, 0], [0, 0, 0]]), None)
    np.testing.assert_allclose(features, [[0.6, 0.8], [0, 0]], atol=1e-4)


def test_words_are_split_at_what_is_no_letter_or_digit() -> None:
    """Case, punctuation and repeated spaces don't count; accents, scripts and digits do."""
    one = hash_words(tf.constant(["\u00c9t\u00e9: 1984, \u590f!"]), 10_000, 4).numpy()[0]
    two = hash_words(tf.constant(["  \u00e9t\u00e9 (1984) \u590f"]), 10_000, 4).numpy()[0]
    assert one.tolist() == two.tolist() and (one[:3] > 0).all() and one[3] == 0
    other = hash_words(tf.constant(["ete 1984 \u590f"]), 10_000, 4).numpy()[0]
    assert other[0] != one[0] and (other[1:] == one[1:]).all()


def test_the_bag_is_the_mean_and_the_maximum_of_its_words() -> None:
    tower = WordBagTower(4, buckets=4, width=2, max_length=3)
    tower(tf.constant(["a"]))
    tower.embeddings.assign([[9, 9], [1, -4], [3, -2], [9, 9]])
    features = tower.features(tf.constant([[1, 2, 0], [0, 0, 0]]), None)
    np.testing.assert_allclose(features, [[2, -3, 3, -2], [0, 0, 0, 0]])


def test_an_lstm_equals_its_equations_unrolled() -> None:
    """Gates i, f, c, o in Keras' order; the second text stops at its last word."""
    keras.utils.set_random_seed(3)
    tower = TextRnnTower(
        4, cell="lstm", bidirectional=False, units=3, buckets=6, width=2, max_length=3
    )
    tower(tf.constant(["a"]))
    indices = np.array([[1, 5, 2], [4, 3, 0]])
    answer = tower.features(tf.constant(indices), None)
    kernel, recurrent, bias = tower.networks[0].get_weights()
    table = tower.embeddings.numpy()
    for row, words in enumerate(indices):
        h = c = np.zeros(3)
        for word in words[words > 0]:
            i, f, g, o = np.split(table[word] @ kernel + h @ recurrent + bias, 4)
            i, f, o = (1 / (1 + np.exp(-gate)) for gate in (i, f, o))
            c = f * c + i * np.tanh(g)
            h = o * np.tanh(c)
        np.testing.assert_allclose(answer[row], h, atol=1e-5)


def test_a_sound_is_prepared_to_its_spectrogram() -> None:
    """32 ms at 8 kHz are 256 samples, 16 ms are 128."""
    samples = np.random.default_rng(0).integers(-9000, 9000, (2, 1000)).astype(np.int16)
    prepared = AudioCnnTower(4, sample_rate=8000, bands=20).prepare(tf.constant(samples))
    expected = log_mel(samples, 8000, bands=20, window=256, hop=128)
    np.testing.assert_allclose(prepared, (expected + 40) / 40, atol=1e-5)


def test_patches_must_fit_the_picture() -> None:
    with pytest.raises(ValueError, match=r"sides, 20 and 16\. Received: patch=8"):
        ImageTransformerTower(4)(tf.zeros((1, 20, 16, 3), tf.uint8))


def test_vectors_of_another_width_are_one_line() -> None:
    """A tower that was built on an encoder of 12 numbers says so when it is given 9."""
    tower = ProjectionTower(4, name="cover")
    tower(tf.zeros([1, 12]))
    with pytest.raises(ValueError, match=r"vectors of `cover` must be 12 wide.*Received: 9"):
        tower.features(tf.zeros([1, 9]), None)
