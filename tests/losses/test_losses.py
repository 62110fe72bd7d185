"""Objectives against numbers worked by hand and against TensorFlow Recommenders.

`import tfrec.losses.retrieval_task` comes first: it has to choose Keras 2 for `tf.keras`.
"""

from __future__ import annotations

import math
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tfrec.losses import (
    StreamingFrequency,
    bce_loss,
    bpr_loss,
    full_softmax,
    in_batch_softmax,
    product_logsumexp,
    weighted_mean,
)
from tfrec.losses.retrieval_task import retrieval_task

RANDOM = np.random.default_rng(0)
QUERIES = RANDOM.normal(size=(6, 4)).astype(np.float32)
ITEMS = RANDOM.normal(size=(6, 4)).astype(np.float32)
IDS = np.array([3, 5, 3, 8, 9, 5], np.int32)
WEIGHTS = np.array([1, 2, 0.5, 1, 3, 1], np.float32)
LOG_Q = np.log(np.array([0.3, 0.2, 0.3, 0.1, 0.05, 0.2], np.float32))


def by_hand(mask: bool, log_q: bool, temperature: float) -> float:
    """Row by row in NumPy's double precision."""
    total = 0.0
    for row in range(6):
        scores = ITEMS.astype(float) @ QUERIES[row] / temperature
        if log_q:
            scores = scores - LOG_Q
        keep = [j for j in range(6) if not mask or j == row or IDS[j] != IDS[row]]
        total += WEIGHTS[row] * (math.log(sum(math.exp(scores[j]) for j in keep)) - scores[row])
    return total / float(WEIGHTS.sum())


@pytest.mark.parametrize("mask", [False, True])
@pytest.mark.parametrize("log_q", [False, True])
def test_in_batch_softmax_equals_the_sum_by_hand_and_tfrs(mask: bool, log_q: bool) -> None:
    ours = in_batch_softmax(
        tf.constant(QUERIES),
        tf.constant(ITEMS),
        item_ids=tf.constant(IDS) if mask else None,
        log_q=tf.constant(LOG_Q) if log_q else None,
        weights=tf.constant(WEIGHTS),
        temperature=0.5,
    )
    task = retrieval_task(temperature=0.5, remove_accidental_hits=mask)
    theirs = task(
        tf.constant(QUERIES),
        tf.constant(ITEMS),
        sample_weight=tf.constant(WEIGHTS),
        candidate_sampling_probability=tf.exp(LOG_Q) if log_q else None,
        candidate_ids=tf.constant(IDS),
        compute_metrics=False,
    )
    assert float(ours) == pytest.approx(by_hand(mask, log_q, 0.5), rel=1e-5)
    assert float(theirs) / WEIGHTS.sum() == pytest.approx(float(ours), rel=1e-5)


def test_the_diagonal_loss_equals_tfrs_own() -> None:
    import tensorflow_recommenders as tfrs

    default = tfrs.tasks.Retrieval()(tf.constant(QUERIES), tf.constant(ITEMS))
    diagonal = retrieval_task()(tf.constant(QUERIES), tf.constant(ITEMS))
    assert float(diagonal) == pytest.approx(float(default), rel=1e-5)


def test_an_accidental_hit_is_no_negative() -> None:
    """Two rows with one item: without the mask each would be pushed away from its own positive."""
    queries, items = tf.constant([[1.0], [1.0]]), tf.constant([[5.0], [5.0]])
    masked = in_batch_softmax(queries, items, item_ids=tf.constant([4, 4]))
    assert float(masked) == pytest.approx(0.0, abs=1e-6)
    assert float(in_batch_softmax(queries, items)) == pytest.approx(math.log(2), rel=1e-6)


@pytest.mark.parametrize("scale", [1.0, 40.0])
@pytest.mark.parametrize("compiled", [False, True])
def test_taking_equal_items_off_the_sum_equals_masking_them(scale: float, compiled: bool) -> None:
    """Loss and gradients, by item; also where exp(score) is no float32; one row is filler."""
    random = np.random.default_rng(2)
    rows = np.array([3, 5, 3, 8, 3, 5, 8, 8], np.int32)
    table = tf.constant(scale * random.normal(size=(9, 4)), tf.float32)
    queries = tf.constant(random.normal(size=(8, 4)), tf.float32)
    weights = tf.constant([1.0, 2.0, 0.5, 1.0, 0.0, 1.0, 0.3, 1.0])
    log_q = tf.gather(tf.constant(random.normal(size=9), tf.float32), rows)

    def loss(queries: Any, table: Any, equal: bool) -> Any:
        return in_batch_softmax(
            queries,
            tf.gather(table, rows),
            item_ids=tf.constant(rows),
            equal_vectors=equal,
            log_q=log_q,
            weights=weights,
        )

    found = []
    for equal in (False, True):
        function = tf.function(loss, jit_compile=True) if compiled else loss
        with tf.GradientTape() as tape:
            tape.watch([queries, table])
            value = function(queries, table, equal)
        gradients = tape.gradient(value, [queries, table])
        found.append([value, *(tf.convert_to_tensor(gradient) for gradient in gradients)])
    for masked, taken in zip(*found, strict=True):
        np.testing.assert_allclose(taken, masked, rtol=1e-4, atol=1e-5)
    unmasked = in_batch_softmax(queries, tf.gather(table, rows), log_q=log_q, weights=weights)
    assert abs(float(unmasked) - float(found[0][0])) > 1e-3


@pytest.mark.parametrize("equal_vectors", [False, True])
def test_rows_of_one_group_are_no_negatives_of_each_other(equal_vectors: bool) -> None:
    """Unit scores of 0 but for the own 1: a row of group 0 has one rival row and one other."""
    eye = tf.eye(4)
    loss = in_batch_softmax(
        eye[:3],
        eye[:3],
        item_ids=tf.constant([1, 2, 3]),
        equal_vectors=equal_vectors,
        groups=tf.constant([0, 0, 5]),
        others=eye[3:],
        other_ids=tf.constant([4]),
        other_groups=tf.constant([-1]),
    )
    first, last = math.log(math.e + 2) - 1, math.log(math.e + 3) - 1
    assert float(loss) == pytest.approx((2 * first + last) / 3, rel=1e-6)
    alone = in_batch_softmax(
        eye[:3], eye[:3], groups=tf.constant([0, 0, 5]), equal_vectors=equal_vectors
    )
    first, last = math.log(math.e + 1) - 1, math.log(math.e + 2) - 1
    assert float(alone) == pytest.approx((2 * first + last) / 3, rel=1e-6)


def test_a_filler_row_neither_learns_nor_repels() -> None:
    queries, items = tf.constant([[1.0], [9.0]]), tf.constant([[1.0], [7.0]])
    loss = in_batch_softmax(queries, items, weights=tf.constant([1.0, 0.0]))
    assert float(loss) == pytest.approx(0.0, abs=1e-6)


def test_more_negatives_count_and_collide_by_id() -> None:
    """One row, score 0 for everything: log(1 + negatives that aren't its own item)."""
    zero = tf.zeros([1, 1])
    loss = in_batch_softmax(
        zero,
        zero,
        item_ids=tf.constant([7]),
        others=tf.zeros([3, 1]),
        other_ids=tf.constant([7, 8, 9]),
    )
    assert float(loss) == pytest.approx(math.log(3), rel=1e-6)


def test_a_rows_own_negatives_by_hand() -> None:
    """Scores 0; of a row's three one is its own item and one is none: log(1 + 1 / expected)."""
    zero = tf.zeros([1, 1])
    loss = in_batch_softmax(
        zero,
        zero,
        item_ids=tf.constant([7]),
        log_q=tf.zeros([1]),
        own_others=tf.zeros([1, 3, 1]),
        own_ids=tf.constant([[7, -1, 9]]),
        own_log_q=tf.math.log(tf.constant([[0.5, 0.5, 0.25]])),
    )
    assert float(loss) == pytest.approx(math.log(1 + 4), rel=1e-6)


def test_a_rows_own_negatives_count_in_pairwise_losses() -> None:
    query, item = tf.constant([[1.0]]), tf.constant([[2.0]])
    own, hits = tf.constant([[[0.0], [5.0]]]), tf.constant([[False, True]])
    more = {"own_negatives": own, "own_collides": hits, "collides": tf.constant([[False]])}
    expected = (math.log1p(math.exp(1 - 2)) + math.log1p(math.exp(-2))) / 2
    found = bpr_loss(query, item, tf.constant([[1.0]]), **more)
    assert float(found) == pytest.approx(expected, rel=1e-6)
    expected = math.log1p(math.exp(-2)) + (math.log1p(math.e) + math.log(2)) / 2
    found = bce_loss(query, item, tf.constant([[1.0]]), **more)
    assert float(found) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("block", [None, 1, 3, 7])
def test_full_softmax_in_blocks_equals_one_block_with_its_gradient(block: int | None) -> None:
    targets = tf.constant([0, 4, 6, 2, 2, 5])
    allowed = tf.constant([True, True, False, True, True, True, False])
    catalogue = tf.constant(RANDOM.normal(size=(7, 4)).astype(np.float32))
    queries = tf.constant(QUERIES)

    def loss_of(size: int | None) -> tuple[Any, list[Any]]:
        with tf.GradientTape() as tape:
            tape.watch([queries, catalogue])
            loss = full_softmax(
                queries,
                targets,
                catalogue,
                allowed=allowed,
                weights=tf.constant(WEIGHTS),
                temperature=0.5,
                block=size,
            )
        return loss, tape.gradient(loss, [queries, catalogue])

    loss, gradient = loss_of(block)
    total = 0.0
    for row in range(6):
        scores = catalogue.numpy().astype(float) @ QUERIES[row] / 0.5
        compete = allowed.numpy() | (np.arange(7) == targets.numpy()[row])
        total += WEIGHTS[row] * (
            math.log(np.exp(scores[compete]).sum()) - scores[targets.numpy()[row]]
        )
    assert float(loss) == pytest.approx(total / WEIGHTS.sum(), rel=1e-5)
    for ours, whole in zip(gradient, loss_of(100)[1], strict=True):
        np.testing.assert_allclose(ours, whole, atol=1e-5)


def test_log_q_makes_the_sampled_softmax_rank_as_the_full_one() -> None:
    """Without the correction, sampling by popularity takes popularity out of the learned scores.

    One query whose targets follow `frequency`, as the batch's items do. The full softmax is
    minimal at scores log(frequency); so is the corrected one; the uncorrected one is at 0.
    """
    frequency = np.array([0.4, 0.25, 0.15, 0.1, 0.06, 0.04])
    random = np.random.default_rng(1)
    log_q = tf.constant(np.log(frequency), tf.float32)

    def learned(corrected: bool) -> Any:
        scores = tf.Variable(tf.zeros([6, 1]))
        average = np.zeros(6)

        @tf.function
        def step(rows: Any) -> None:
            with tf.GradientTape() as tape:
                loss = in_batch_softmax(
                    tf.ones([256, 1]),
                    tf.gather(scores, rows),
                    log_q=tf.gather(log_q, rows) if corrected else None,
                )
            scores.assign_sub(tf.convert_to_tensor(tape.gradient(loss, scores)))

        for number in range(300):
            step(tf.constant(random.choice(6, 256, p=frequency)))
            if number >= 200:
                average += scores.numpy()[:, 0] / 100
        return average - average.mean()

    wanted = np.log(frequency) - np.log(frequency).mean()
    np.testing.assert_allclose(learned(True), wanted, atol=0.1)
    np.testing.assert_allclose(learned(False), 0.0, atol=0.1)


def test_pairwise_losses_by_hand() -> None:
    query, item = tf.constant([[2.0]]), tf.constant([[1.0]])
    negatives = tf.constant([[0.5], [3.0]])

    def softplus(x: float) -> float:
        return math.log1p(math.exp(x))

    bpr = (softplus(1 - 2) + softplus(6 - 2)) / 2
    assert float(bpr_loss(query, item, negatives)) == pytest.approx(bpr, rel=1e-5)
    bce = softplus(-2) + (softplus(1) + softplus(6)) / 2
    assert float(bce_loss(query, item, negatives)) == pytest.approx(bce, rel=1e-5)


def test_a_negative_that_is_the_positive_does_not_count() -> None:
    query, item = tf.constant([[2.0]]), tf.constant([[1.0]])
    hit = tf.constant([[True, False]])
    negatives = tf.constant([[1.0], [0.5]])
    expected = math.log1p(math.exp(1 - 2))
    found = bpr_loss(query, item, negatives, collides=hit)
    assert float(found) == pytest.approx(expected, rel=1e-5)
    found = bce_loss(query, item, negatives, collides=hit)
    assert float(found) == pytest.approx(math.log1p(math.exp(-2)) + math.log1p(math.e), rel=1e-5)


def test_weighted_mean_ignores_what_has_no_weight() -> None:
    losses = tf.constant([1.0, float("inf"), 4.0])
    assert float(weighted_mean(losses, tf.constant([1.0, 0.0, 2.0]))) == 3.0
    assert float(weighted_mean(losses, tf.zeros([3]))) == 0.0


def test_streaming_frequency_finds_the_chance_of_an_item() -> None:
    """Item 1 is in every second batch and item 2 in every tenth."""
    frequency = StreamingFrequency(4, rate=0.05, start=5.0)
    call = tf.function(lambda ids: frequency(ids, training=True))
    for number in range(1, 1200):
        ids = [0, 1 if number % 2 == 0 else 0, 2 if number % 10 == 0 else 0]
        call(tf.constant(ids))
    chance = np.exp(frequency(tf.constant([0, 1, 2])).numpy())
    np.testing.assert_allclose(chance, [1.0, 0.5, 0.1], rtol=0.05)


@pytest.mark.slow
def test_a_late_import_of_tfrs_is_one_clear_line() -> None:
    code = (
        "import os; os.environ['TF_USE_LEGACY_KERAS'] = '0'\n"
        "from tfrec.losses.retrieval_task import retrieval_task\n"
        "from tfrec.errors import RunError\n"
        "try: retrieval_task()\n"
        "except RunError as error: print('told:', error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "told: tensorflow_recommenders: it works with" in done.stdout
    assert "TF_USE_LEGACY_KERAS=1" in done.stdout


@pytest.mark.parametrize("greatest", [2.0, 500.0])
def test_product_logsumexp_is_the_plain_formula_with_its_gradients(greatest: float) -> None:
    """Value and every gradient equal TensorFlow's own operations, what isn't kept being gone.

    With small scores and with such as `exp` overflows by.
    """
    random = np.random.default_rng(0)
    queries, candidates, own = (
        tf.constant(random.normal(size=shape), tf.float32) for shape in ((5, 3), (7, 3), (5, 2))
    )
    weights = tf.constant([1.0, 0.0, 2.0, 0.5, 1.0])
    keep = np.ones((5, 7), bool)
    keep[0, 2] = keep[3, :6] = False
    # So great that all else would be lost beside it, had it a part in anything.
    candidates = tf.tensor_scatter_nd_update(candidates, [[2]], [queries[0] * greatest])
    keep[:, 2] = False

    bias = tf.constant([0.5, -2.0, 1.0, 0.0, -1e9, 3.0, -0.5])
    times = tf.constant([[1.0, 2.0]] * 5)

    def plain(queries: Any, candidates: Any, own: Any) -> Any:
        scores = tf.matmul(queries, candidates, transpose_b=True) + bias
        own = own + tf.math.log(times)
        return tf.reduce_logsumexp(tf.concat([tf.where(keep, scores, -1e9), own], 1), 1)

    def fused(queries: Any, candidates: Any, own: Any) -> Any:
        return product_logsumexp(
            queries, candidates, bias=bias, own=own, own_times=times, keep=tf.constant(keep)
        )

    found = []
    for function in (plain, fused, tf.function(fused, jit_compile=True)):
        with tf.GradientTape() as tape:
            tape.watch([queries, candidates, own])
            totals = function(queries, candidates, own)
            loss = tf.reduce_sum(weights * totals)
        found.append([totals, *tape.gradient(loss, [queries, candidates, own])])
    for values in found[1:]:
        for expected, got in zip(found[0], values, strict=True):
            np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)
