"""Each fusion against its paper's equation, worked another way."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from scipy.special import expit, log_softmax

from tests import harness
from tests.fusion.test_harness import DIMENSION, batch, make
from tfrec.errors import DescriptionError
from tfrec.fusion.signed_root import unit_signed_root

NAMES = ("audio", "image", "text")


def equal_widths(
    rows: int = 6,
) -> tuple[dict[str, tf.Tensor], dict[str, tf.Tensor], np.ndarray, np.ndarray]:
    """Inputs and masks, and the same stacked, with zeros for what is missing."""
    rng = np.random.default_rng(5)
    x = rng.standard_normal((rows, 3, DIMENSION)).astype(np.float32)
    flags = rng.random((rows, 3)) < 0.6
    flags[0], flags[1] = True, False
    inputs = {name: tf.constant(x[:, k]) for k, name in enumerate(NAMES)}
    masks = {name: tf.constant(flags[:, k]) for k, name in enumerate(NAMES)}
    return inputs, masks, x * flags[:, :, None], flags.astype(np.float64)


def built(**variant: Any) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """A layer with random weights, its input stacked, its answer and its shares."""
    inputs, masks, x, flags = equal_widths()
    layer = harness.seeded(lambda: make(variant))
    layer(inputs, masks)
    rng = np.random.default_rng(9)
    for weight in layer.weights:
        if weight.dtype == "float32":
            weight.assign(rng.standard_normal(weight.shape) * 0.5)
    fused, shares = layer(inputs, masks, return_weights=True)
    return layer, x, flags, fused.numpy(), {k: v.numpy() for k, v in shares.items()}


def values(*weights: Any) -> list[np.ndarray]:
    return [np.asarray(weight.numpy(), np.float64) for weight in weights]


def test_fixed_weights_are_normalised_over_what_is_present() -> None:
    """Weights 1, 0, 3: with all present f = x_audio / 4 + 3 x_text / 4."""
    weights = {"audio": 1.0, "image": 0.0, "text": 3.0}
    _, x, flags, fused, shares = built(type="weighted", mode="fixed", weights=weights)
    np.testing.assert_allclose(fused[0], x[0, 0] / 4 + 3 * x[0, 2] / 4, rtol=1e-5)
    for row in range(2, 6):
        kept = np.array([1, 0, 3]) * flags[row]
        expected = kept @ x[row] / max(kept.sum(), 1e-9)
        np.testing.assert_allclose(fused[row], expected, atol=1e-6)
    np.testing.assert_allclose([v[0] for v in shares.values()], [0.25, 0, 0.75])


def test_learned_weights_are_one_softmax() -> None:
    layer, x, flags, fused, shares = built(type="weighted")
    (logits,) = values(layer.logits)
    weights = np.exp(logits) * flags
    weights /= np.maximum(weights.sum(1, keepdims=True), 1e-9)
    np.testing.assert_allclose(np.stack(list(shares.values()), 1), weights, atol=1e-6)
    np.testing.assert_allclose(fused, np.einsum("bk,bkd->bd", weights, x), atol=1e-5)


def test_the_matrix_sum_is_the_sum_of_each_modalitys_matrix() -> None:
    """F = Σ_k W_k x_k, and a share is that of ‖W_k x_k‖."""
    layer, x, _, fused, shares = built(type="matrix")
    (kernel,) = values(layer.matrix.kernel)
    terms = np.stack([x[:, k] @ kernel[8 * k : 8 * k + 8] for k in range(3)], 1)
    np.testing.assert_allclose(fused, terms.sum(1), atol=1e-5)
    lengths = np.linalg.norm(terms, axis=2)
    lengths /= np.maximum(lengths.sum(1, keepdims=True), 1e-9)
    np.testing.assert_allclose(np.stack(list(shares.values()), 1), lengths, atol=1e-4)


def test_the_gated_unit_of_two_is_the_papers_sigmoid() -> None:
    """Arevalo et al., equation 3: z = σ(·), f = z tanh(W x) + (1 - z) tanh(V y)."""
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal((2, 4, DIMENSION)).astype(np.float32)
    layer = harness.seeded(lambda: make({"type": "gated"}))
    fused = harness.call(layer, ({"a": tf.constant(x), "b": tf.constant(y)},))
    maps, kernel, bias = values(layer.maps, layer.gates.kernel, layer.gates.bias)
    logits = np.concatenate([x, y, np.ones((4, 2))], 1) @ kernel + bias
    z = expit(logits[:, :8] - logits[:, 8:])
    expected = z * np.tanh(x @ maps[0]) + (1 - z) * np.tanh(y @ maps[1])
    np.testing.assert_allclose(fused, expected, atol=1e-5)


def test_low_rank_fusion_is_the_full_tensor_product() -> None:
    """Liu et al.: Σ_r w_r ⊗_k W_k^(r) applied to the outer product of all [x_k; 1]."""
    layer, x, _, fused, _ = built(type="low_rank", rank=3, normalize=False)
    factors, constants, weights, bias = values(
        layer.factors, layer.constants, layer.output_weights, layer.bias
    )
    # Factors with their constant as a ninth row: [modalities, 9, rank, dimension].
    whole = np.concatenate([factors, constants[:, None]], 1).reshape(3, 9, 3, 8)
    tensor = np.einsum("r,ard,brd,crd->abcd", weights, *whole)
    ones = np.concatenate([x, np.ones((6, 3, 1))], 2)
    outer = np.einsum("na,nb,nc->nabc", ones[:, 0], ones[:, 1], ones[:, 2])
    expected = np.einsum("nabc,abcd->nd", outer, tensor) + bias
    np.testing.assert_allclose(fused, expected, atol=1e-4, rtol=1e-4)


def test_bilinear_fusion_is_the_sum_over_pairs() -> None:
    layer, x, flags, fused, _ = built(type="bilinear", inner=3, normalize=False)
    left, right, products = values(layer.left, layer.right, layer.products.kernel)
    kernel, bias = values(layer.linear.kernel, layer.linear.bias)
    expected = np.concatenate([x.reshape(6, -1), flags], 1) @ kernel + bias
    for one, two in itertools.combinations(range(3), 2):
        outer = np.einsum("ni,nj->nij", x[:, one] @ left[one], x[:, two] @ right[two])
        expected = expected + outer.reshape(6, -1) @ products
    np.testing.assert_allclose(fused, expected, atol=1e-4)


def test_hadamard_pooling_leaves_out_what_is_missing() -> None:
    """P ∘_k tanh(U_k x_k + b_k) over those present, plus the shortcut."""
    layer, x, flags, fused, _ = built(type="mlb", normalize=False)
    maps, biases, products = values(layer.maps, layer.biases, layer.products.kernel)
    kernel, bias = values(layer.shortcut.kernel, layer.shortcut.bias)
    for row in range(6):
        there = np.flatnonzero(flags[row])
        product = np.prod([np.tanh(x[row, k] @ maps[k] + biases[k]) for k in there], 0)
        shortcut = np.concatenate([x[row].ravel(), flags[row]]) @ kernel + bias
        expected = np.ones(8) * product @ products + shortcut
        np.testing.assert_allclose(fused[row], expected, atol=1e-4)


def test_factorised_pooling_is_pooled_rooted_and_of_unit_length() -> None:
    layer, x, flags, fused, _ = built(type="mfb", factors=2)
    maps, biases = values(layer.maps, layer.biases)
    kernel, bias = values(layer.output_layer.kernel, layer.output_layer.bias)
    for row in range(6):
        there = np.flatnonzero(flags[row])
        product = np.ones(16) * np.prod([x[row, k] @ maps[k] + biases[k] for k in there], 0)
        pooled = product.reshape(8, 2).sum(1)
        rooted = np.sign(pooled) * np.sqrt(np.abs(pooled))
        expected = rooted / np.linalg.norm(rooted) @ kernel + bias
        np.testing.assert_allclose(fused[row], expected, atol=1e-3)


def test_a_product_of_gaussians_has_the_precision_weighted_mean() -> None:
    """Wu & Goodman; with nothing present the prior's mean of 0 remains."""
    layer, x, flags, fused, shares = built(type="product_of_experts")
    maps, biases = values(layer.maps, layer.biases)
    both = np.einsum("bkd,kde->bke", x, maps) + biases
    mean, precision = both[..., :8], np.log1p(np.exp(both[..., 8:])) * flags[:, :, None]
    expected = (precision * mean).sum(1) / (1 + precision.sum(1))
    np.testing.assert_allclose(fused, expected, atol=1e-5)
    assert not fused[1].any()
    assert shares["text"][1] == 0


def test_modulation_reads_the_mean_of_the_others() -> None:
    layer, x, flags, fused, _ = built(type="film")
    maps = values(layer.maps)[0]
    kernel, bias = values(layer.context.kernel, layer.context.bias)
    into, offset = values(layer.modulation.kernel, layer.modulation.bias)
    for row in (0, 2, 3, 4, 5):
        parts = []
        for k in np.flatnonzero(flags[row]):
            others = [o for o in np.flatnonzero(flags[row]) if o != k]
            mean = x[row, others].mean(0) if others else np.zeros(8)
            gamma, beta = np.split(np.maximum(mean @ kernel + bias, 0) @ into + offset, 2)
            parts.append((1 + gamma) * (x[row, k] @ maps[k]) + beta)
        expected = np.mean(parts, 0) if parts else np.zeros(8)
        np.testing.assert_allclose(fused[row], expected, atol=1e-4)


def test_the_mixture_weighs_each_modalitys_expert() -> None:
    _, _, flags, fused, shares = built(type="mixture")
    weights = np.stack(list(shares.values()), 1)
    np.testing.assert_allclose(weights.sum(1), flags.any(1), atol=1e-6)
    assert not fused[1].any()


def test_alignment_is_the_contrastive_loss_of_items_that_have_both() -> None:
    """CLIP's, by log-softmax in SciPy, rows and columns, over each pair of modalities."""
    layer, x, flags, _, _ = built(type="aligned", temperature=0.5)
    (maps,) = values(layer.maps)
    mapped = np.einsum("bkd,kde->bke", x, maps)
    ours = layer.alignment(tf.constant(mapped, tf.float32), tf.constant(flags, tf.float32))
    losses = []
    for one, two in itertools.combinations(range(3), 2):
        rows = np.flatnonzero(flags[:, one] * flags[:, two])
        a, b = (mapped[rows, k] for k in (one, two))
        a, b = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in (a, b))
        scores = a @ b.T / 0.5
        losses += [-np.diag(log_softmax(s, 1)).mean() for s in (scores, scores.T)]
    np.testing.assert_allclose(ours, np.mean(losses), rtol=1e-4)


@pytest.mark.parametrize("name", ["aligned", "disentangled"])
def test_losses_are_added_in_training_only(name: str) -> None:
    layer = harness.seeded(lambda: make({"type": name}))
    inputs, masks = batch()
    layer(inputs, masks)
    assert layer.losses == []
    layer(inputs, masks, training=True)
    assert len(layer.losses) == 1 and float(layer.losses[0]) > 0


def test_shared_and_private_parts_are_measured_by_hand() -> None:
    """Two modalities, one item: the distance to their mean, and squared cosines of 1 and 0."""
    layer = harness.seeded(lambda: make({"type": "disentangled"}))
    shared = np.zeros((1, 2, 8), np.float32)
    private = np.zeros((1, 2, 8), np.float32)
    shared[0, 0, 0], shared[0, 1, 0] = 1, 3
    private[0, 0, 0], private[0, 1, 1] = 5, 5
    centre = shared.mean(1)
    apart, angle = layer.losses_of(shared, private, centre, np.ones((1, 2, 1), np.float32))
    np.testing.assert_allclose([apart, angle], [(1 + 1) / (2 * 8), (1 + 0) / 2], rtol=1e-5)


@pytest.mark.parametrize("name", ["self_attention", "cross_attention", "bottleneck"])
def test_attention_reads_every_token_of_what_is_present(name: str) -> None:
    """Changing one token of one modality moves exactly the rows that have it."""
    layer = harness.seeded(lambda: make({"type": name}))
    inputs, masks = batch()
    tokens = {k: tf.stack([v, v * 0.5, -v], 1) for k, v in inputs.items()}
    before = harness.call(layer, (tokens, masks))
    changed = tokens["audio"].numpy()
    changed[:, 1, 0] += 1.0
    after = harness.call(layer, ({**tokens, "audio": tf.constant(changed)}, masks))
    moved = np.abs(after - before).max(1) > 1e-6
    assert moved.tolist() == masks["audio"].numpy().tolist()


@pytest.mark.parametrize(
    ("variant", "message"),
    [
        ({"type": "self_attention", "heads": 3}, r"`heads` must divide 8\. Received: heads=3"),
        ({"type": "multi_gate", "parts": 3}, r"`parts` divide 8"),
        ({"type": "low_rank", "rank": 0}, r"`rank` must be positive\. Received: rank=0"),
        ({"type": "aligned", "temperature": 0}, r"`temperature` be positive"),
        ({"type": "weighted", "weights": {"a": 1.0}}, r"belong to the mode `fixed`"),
        ({"type": "gatd"}, r"Received: gatd\. Perhaps `gated` is meant"),
    ],
)
def test_a_wrong_option_is_one_line(variant: dict[str, Any], message: str) -> None:
    with pytest.raises(DescriptionError, match=message):
        make(variant)


def test_weights_and_queries_name_modalities() -> None:
    inputs, masks = batch()
    with pytest.raises(ValueError, match=r"audio, image, text\. Received: text"):
        make({"type": "weighted", "mode": "fixed", "weights": {"text": 1.0}})(inputs, masks)
    with pytest.raises(ValueError, match=r"audio, image, text\. Received: query=video"):
        make({"type": "cross_attention", "query": "video"})(inputs, masks)


def test_vectors_of_another_width_are_one_line() -> None:
    """A fusion that was built with 8 numbers a modality says so when it is given 9."""
    layer = make({"type": "gated"})
    inputs, masks = batch()
    layer(inputs, masks)
    wide = {**inputs, "audio": tf.pad(inputs["audio"], [[0, 0], [0, 1]])}
    with pytest.raises(ValueError, match=r"vectors of `audio` must be 8 wide.*Received: 9"):
        layer(wide, masks)


def test_a_signed_root_has_length_one_and_nothing_stays_nothing() -> None:
    """By hand: roots of 9 and 16 are 3 and 4, of length 5; a pair that isn't there adds nothing."""
    found = unit_signed_root(tf.constant([[-9.0, 16.0], [0.0, 0.0]]))
    np.testing.assert_allclose(found, [[-0.6, 0.8], [0, 0]], atol=1e-4)


@pytest.mark.parametrize("name", ["bilinear", "low_rank", "mlb"])
def test_products_are_normalised_unless_asked_otherwise(name: str) -> None:
    """The same weights give another vector; a thousand times the input isn't a million times it.

    What `mlb` multiplies is bounded already.
    """
    layer = harness.seeded(lambda: make({"type": name}))
    bare = harness.seeded(lambda: make({"type": name, "normalize": False}))
    inputs, masks = batch()
    with_root, without = (harness.call(each, (inputs, masks)) for each in (layer, bare))
    bare.set_weights(layer.get_weights())
    assert np.abs(with_root - without).max() > 1e-3
    if name == "mlb":
        return
    loud = {key: 1e3 * value for key, value in inputs.items()}
    grown = np.abs(harness.call(layer, (loud, masks))).max()
    assert grown < 0.01 * np.abs(harness.call(bare, (loud, masks))).max()
