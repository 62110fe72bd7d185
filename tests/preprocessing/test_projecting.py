"""PCA, whitening and LDA by merged moments are scikit-learn's, and reach records and the graph."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from preprocessing.projecting import Moments, fit_projection
from tests.preprocessing.service import Service, items_of
from tests.preprocessing.test_encoding import FakeEncoder, encoders
from tfrec.config.reduction import ReductionConfig
from tfrec.encoders import Encoder
from tfrec.encoders.projected import load_projection
from tfrec.errors import CorruptDataError, DataError

__all__ = ["encoders"]


def vectors_of(seed: int, rows: int = 400, width: int = 12) -> tuple[np.ndarray, list[str]]:
    """Correlated vectors in four classes, in single precision as encoders give them."""
    rng = np.random.default_rng(seed)
    labels = [f"c{n}" for n in rng.integers(0, 4, rows)]
    centres = {f"c{n}": rng.normal(0, 2, width) for n in range(4)}
    mixing = rng.normal(size=(width, width))
    values = rng.normal(size=(rows, width)) @ mixing + [centres[name] for name in labels] + 5.0
    return values.astype(np.float32), labels


def merged(values: np.ndarray, labels: list[str], parts: int) -> Moments:
    total = Moments.of(values[:0])
    for rows in np.array_split(np.arange(len(values)), parts):
        total.merge(Moments.of(values[rows], [labels[row] for row in rows]))
    return total


def aligned(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    return ours * np.sign((ours * theirs).sum(0))


@pytest.mark.parametrize("parts", [1, 9])
@pytest.mark.parametrize("method", ["pca", "whiten", "lda"])
def test_the_map_is_scikit_learns(method: str, parts: int) -> None:
    """To 1e-4 up to the sign, in one pass or merged from nine."""
    values, labels = vectors_of(0)
    width = 3 if method == "lda" else 5
    label = "genre" if method == "lda" else None
    config = ReductionConfig(method=method, dimension=width, label=label)
    mean, components = fit_projection(merged(values, labels, parts), config, "x")
    ours = (values - mean) @ components
    if method == "lda":
        theirs = LinearDiscriminantAnalysis(solver="eigen").fit(values, labels)
        expected = theirs.transform(values)[:, :width]
        expected = expected - expected.mean(0)
    else:
        theirs = PCA(width, whiten=method == "whiten", svd_solver="full").fit(values)
        expected = theirs.transform(values)
    np.testing.assert_allclose(aligned(ours, expected), expected, atol=1e-4)


def test_more_directions_than_there_are_is_told() -> None:
    values, labels = vectors_of(0, rows=4)
    with pytest.raises(DataError, match=r"pca to 8 dimensions .* 3 directions"):
        fit_projection(merged(values, labels, 1), ReductionConfig(dimension=8), "x")
    lda = ReductionConfig(method="lda", dimension=4, label="genre")
    with pytest.raises(DataError, match="4 classes: 3 directions"):
        fit_projection(merged(*vectors_of(0), 1), lda, "x")


class Wrapped(Encoder):
    """An encoder of given vectors."""

    def __init__(self) -> None:
        super().__init__("given", "text", 3, "f")

    def call(self, inputs: Any) -> Any:
        return inputs


def test_records_and_graph_hold_the_reduced_vectors(
    tmp_path: Path, encoders: dict[str, FakeEncoder]
) -> None:
    """The fit sees items with train events alone: d's long title decides nothing."""
    service = Service.of_three_users(tmp_path / "raw")
    service.items[0] = ("a", "x" * 2, "food", 1990)
    service.items[1] = ("b", "x" * 4, "food", 1990)
    service.items[2] = ("c", "x" * 9, "food", 1990)
    service.items[3] = ("d", "x" * 30, "food", 1990)
    title = {"modality": "text", "encoder": "reader", "reduce": {"dimension": 1}}
    service.description = {"items": {"features": {"title": title}}}
    manifest = service.prepare(tmp_path / "out")
    spec = manifest.item_feature("title")
    assert (spec.encoded_dim, spec.projection) == (1, "transforms/title.npz")
    encoded = [items_of(tmp_path / "out")[name]["title/encoded"] for name in "abcd"]
    # The encoder gives [length, 0, 1]: the one direction is length, its train mean 5.
    assert np.ravel(encoded).tolist() == pytest.approx([-3, -1, 4, 25])
    served = load_projection(tmp_path / "out" / "transforms" / "title.npz", Wrapped())
    graph = tf.function(served)(tf.constant([[2.0, 0, 1], [30.0, 0, 1]]))
    assert np.ravel(graph).tolist() == pytest.approx([-3, 25])
    (tmp_path / "out" / "transforms" / "title.npz").write_bytes(b"")
    with pytest.raises(CorruptDataError, match="projections are needed"):
        load_projection(tmp_path / "out" / "transforms" / "title.npz", Wrapped())
