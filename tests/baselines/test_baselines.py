"""Each baseline gives scores worked by hand, or those of an independent solver."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.kernel_ridge import KernelRidge

from tests.baselines.cases import item_table, timelines
from tfrec.baselines import (
    EASE,
    IALS,
    ContentKNN,
    ContentRidge,
    ItemKNN,
    Popularity,
    RecentPopularity,
    SegmentPopularity,
    content_matrix,
    interaction_matrix,
)
from tfrec.config import FeatureConfig
from tfrec.schema import FeatureSpec

# Users 0 and 1 like items 0 and 1; user 2 likes 0 and 2; nobody likes 3; a dislike counts nothing.
EVENTS = [(0, 0, 1), (0, 1, 2), (1, 0, 1), (1, 1, 9), (2, 0, 1), (2, 2, 3), (2, 1, 4, 0)]
TRAIN = timelines(EVENTS)
ITEMS = item_table(4, TRAIN)


def fitted(baseline, train=TRAIN, items=ITEMS):
    baseline.fit(train, items)
    return baseline


def random_train(users=40, items=25, seed=0):
    rng = np.random.default_rng(seed)
    pairs = np.argwhere(rng.random((users, items)) < 0.2)
    return timelines([(user, item, day) for day, (user, item) in enumerate(pairs)], users=users)


def dense(train, items):
    matrix = np.zeros((len(train), items))
    matrix[train.rows, train.item_index] = 1
    return matrix


def test_popularity_counts_users_and_not_dislikes_or_repeats():
    """User 0 likes item 1 twice more; it still has two users."""
    train = timelines([*EVENTS, (0, 1, 5), (0, 1, 6)])
    scores = fitted(Popularity(), train).score(train)
    np.testing.assert_array_equal(scores, [[3, 2, 1, 0]] * 3)


def test_recent_popularity_halves_with_every_half_life():
    """The train part ends on day 9; with 4 days: item 0 has three events of day 1, worth 1/4."""
    scores = fitted(RecentPopularity(half_life=4)).score(TRAIN)[0]
    expected = [3 * 2**-2, 2 ** (-7 / 4) + 1, 2 ** (-6 / 4), 0]
    np.testing.assert_allclose(scores, expected, rtol=1e-6)


def test_segment_popularity_leans_on_the_crowd():
    """Users 0 and 2 share a segment; the crowd's shares are 3/6, 2/6, 1/6."""
    train = timelines(EVENTS, profile={"country": np.array([2, 3, 2], np.int32)})
    baseline = fitted(SegmentPopularity(strength=6.0), train)
    scores = baseline.score(train)
    np.testing.assert_allclose(scores[0], [2 + 3, 1 + 2, 1 + 1, 0])
    np.testing.assert_allclose(scores[1], [1 + 3, 1 + 2, 1, 0])
    unknown = timelines([], users=1, profile={"country": np.array([9], np.int32)})
    np.testing.assert_allclose(baseline.score(unknown)[0], [3, 2, 1, 0])
    assert SegmentPopularity.applies(train, ITEMS) and not SegmentPopularity.applies(TRAIN, ITEMS)


def test_item_knn_is_the_cosine_when_nothing_is_held_back():
    """cos(0, 1) = 2 / sqrt(3·2), cos(0, 2) = 1 / sqrt(3·1); 1 and 2 share nobody."""
    baseline = fitted(ItemKNN(shrinkage=0, asymmetry=0.5, user_power=0))
    scores = baseline.score(timelines([(0, 0, 1), (1, 1, 1), (1, 2, 2)]))
    np.testing.assert_allclose(scores[0], [0, 2 / 6**0.5, 1 / 3**0.5, 0], rtol=1e-6)
    np.testing.assert_allclose(scores[1], [2 / 6**0.5 + 1 / 3**0.5, 0, 0, 0], rtol=1e-6)


def test_item_knn_options_enter_as_its_equation_says():
    """Asymmetry 1: over n_j alone. Shrinkage 2: added to the denominator. One neighbour: item 1."""
    history = timelines([(0, 0, 1)])
    plain = {"shrinkage": 0.0, "asymmetry": 0.5, "user_power": 0.0}
    one_sided = fitted(ItemKNN(**(plain | {"asymmetry": 1.0}))).score(history)[0]
    np.testing.assert_allclose(one_sided, [0, 2 / 3, 1 / 3, 0], rtol=1e-6)
    shrunk = fitted(ItemKNN(**(plain | {"shrinkage": 2.0}))).score(history)[0]
    np.testing.assert_allclose(shrunk[:3], [0, 2 / (6**0.5 + 2), 1 / (3**0.5 + 2)], rtol=1e-6)
    nearest = fitted(ItemKNN(neighbours=1, **plain)).score(history)[0]
    np.testing.assert_allclose(nearest, [0, 2 / 6**0.5, 0, 0], rtol=1e-6)


def test_item_knn_holds_back_users_with_long_histories():
    """Sizes 2, 2 and 4, power 1: worths 1/2, 1/2, 1/4 over their mean 5/12: 6/5, 6/5, 3/5."""
    events = [(0, 0, 1), (0, 1, 2), (1, 0, 1), (1, 1, 2), *((2, item, item) for item in range(4))]
    train = timelines(events)
    baseline = ItemKNN(shrinkage=0, asymmetry=1, user_power=1)
    scores = fitted(baseline, train, item_table(4, train)).score(timelines([(0, 0, 1)]))[0]
    np.testing.assert_allclose(scores, [0, 1, 0.6 / 3, 0.6 / 3], rtol=1e-6)


def test_ease_solves_its_constrained_regression():
    """By the paper's objective, one item at a time: regress it on the others."""
    train = random_train()
    matrix = dense(train, 25)
    scores = fitted(EASE(ridge=3.0), train, item_table(25, train)).score(train)
    for item in range(25):
        others = np.delete(matrix, item, axis=1)
        left = others.T @ others + 3.0 * np.eye(24)
        expected = others @ np.linalg.solve(left, others.T @ matrix[:, item])
        np.testing.assert_allclose(scores[:, item], expected, atol=1e-5)


def test_ease_leaves_items_without_behaviour_at_zero():
    """It knows nothing of item 3."""
    assert (fitted(EASE()).score(TRAIN)[:, 3] == 0).all()


def test_ials_reaches_a_stationary_point_of_its_objective():
    """Gradients of Hu's objective, worked from the dense definition, vanish."""
    train = random_train()
    matrix = dense(train, 25)
    baseline = fitted(
        IALS(factors=4, ridge=2.0, confidence=3.0, iterations=200), train, item_table(25, train)
    )
    items = baseline.item_factors.astype(np.float64)
    confidence = 1 + 3.0 * matrix
    users = np.stack(
        [
            np.linalg.solve(
                items.T @ (confidence[user][:, None] * items) + 2.0 * np.eye(4),
                items.T @ (confidence[user] * matrix[user]),
            )
            for user in range(len(matrix))
        ]
    )
    np.testing.assert_allclose(baseline.score(train), users @ items.T, atol=1e-4)
    error = confidence * (users @ items.T - matrix)
    gradient = error.T @ users + 2.0 * items
    assert np.abs(gradient).max() < 0.02


def test_a_history_without_events_scores_nothing_and_does_not_fail():
    """New users exist."""
    nobody = timelines([], users=1)
    for baseline in (Popularity(), RecentPopularity(), ItemKNN(), EASE(), IALS(factors=2)):
        scores = fitted(baseline).score(nobody)
        assert scores.shape == (1, 4) and np.isfinite(scores).all()


def content_catalogue(train, count=30, seed=1):
    """Two kinds of items, told apart by an encoded text."""
    kind = np.arange(count) % 2
    rng = np.random.default_rng(seed)
    vectors = np.where(kind[:, None] == 1, [1.0, 0, 0], [0, 1.0, 0])
    vectors = vectors + rng.normal(0, 0.05, (count, 3))
    spec = FeatureSpec(
        name="title", modality="text", config=FeatureConfig(modality="text"), encoded_dim=3
    )
    encoded = {"title": vectors.astype(np.float32)}
    return item_table(count, train, encoded=encoded, specs={"title": spec}), kind


@pytest.mark.parametrize("baseline", [ContentKNN(), ContentRidge(factors=4, als_ridge=0.1)])
def test_content_places_items_that_nobody_has_met(baseline):
    """Users of one kind get the new items of that kind first."""
    rng = np.random.default_rng(0)
    events = [
        (user, item, 1)
        for user in range(30)
        for item in rng.permutation(20)[:14]
        if item % 2 == user % 2
    ]
    train = timelines(events, users=30)
    items, kind = content_catalogue(train)
    assert type(baseline).applies(train, items)
    scores = fitted(baseline, train, items).score(train)
    for user in range(30):
        mine = scores[user, 20:][kind[20:] == user % 2]
        other = scores[user, 20:][kind[20:] != user % 2]
        assert mine.min() > other.max()


def kinds_train(seed=0):
    rng = np.random.default_rng(seed)
    return timelines(
        [
            (user, item, 1)
            for user in range(30)
            for item in rng.permutation(20)[:14]
            if item % 2 == user % 2
        ],
        users=30,
    )


def test_content_ridge_is_the_kernel_ridge_regression_of_scikit_learn():
    """Factors of new items, by an independent solver of the same kernel."""
    train = kinds_train()
    items, _ = content_catalogue(train)
    baseline = ContentRidge(ridges=(0.3,), scales=(0.5,), factors=4, als_ridge=0.1)
    scores = fitted(baseline, train, items).score(train)
    als = IALS(factors=4, ridge=0.1, confidence=10.0)
    als.fit(train, items)
    content = content_matrix(items).astype(np.float64)
    distance = np.square(content[:, None] - content[None]).sum(axis=2)
    kernel = np.exp(-np.sqrt(0.25 * distance + 1e-4))
    known = als.item_factors[:20].astype(np.float64)
    theirs = KernelRidge(alpha=0.3, kernel="precomputed").fit(
        kernel[:20, :20], known - known.mean(axis=0)
    )
    expected = theirs.predict(kernel[20:, :20]) + known.mean(axis=0)
    users = als.solve(interaction_matrix(train, 30), als.item_factors)
    np.testing.assert_allclose(scores[:, 20:], users @ expected.T, atol=2e-3)
    np.testing.assert_allclose(scores[:, :20], users @ als.item_factors[:20].T, atol=1e-4)


def test_content_ridge_chooses_on_items_whose_events_are_hidden(monkeypatch):
    """Of the factorisations, those that choose see no event of a hidden item; the last sees all."""
    met, whole = [], IALS.fit

    def fit(self, train, items):
        met.append(len(np.unique(train.item_index)))
        whole(self, train, items)

    monkeypatch.setattr(IALS, "fit", fit)
    train = kinds_train()
    items, _ = content_catalogue(train)
    baseline = ContentRidge(factors=4, als_ridge=0.1, ridges=(0.1, 1e6), share=0.25, draws=3)
    fitted(baseline, train, items)
    assert met == [15, 15, 15, 20]
    # A ridge of a million gives every hidden item the mean, which tells nothing apart.
    assert baseline.chosen[0] == 0.1


def test_content_of_every_plain_kind_is_read():
    """Words, categories, tags and numbers, with missing values at zero."""

    def spec(name, modality, **keywords):
        config = FeatureConfig(modality=modality)
        return FeatureSpec(name=name, modality=modality, config=config, **keywords)

    train = timelines([(0, item, 1) for item in range(4)])
    items = item_table(
        4,
        train,
        features={
            "lyrics": np.array(["red river", "blue sky", "red river", ""], object),
            "genre": np.array([2, 3, 2, 0], np.int32),
            "tags": np.array([[2, 3], [4, 0], [2, 3], [0, 0]], np.int32),
            "year": np.array([1.0, -1, 1, 0], np.float32),
            "cover": np.zeros((4, 8, 8, 3), np.uint8),
        },
        specs={
            "lyrics": spec("lyrics", "text"),
            "genre": spec("genre", "categorical", vocabulary_size=4),
            "tags": spec("tags", "tags", vocabulary_size=5),
            "year": spec("year", "numeric"),
            "cover": spec("cover", "image"),
        },
        present={
            name: np.array([True, True, True, False])
            for name in ("lyrics", "genre", "tags", "year", "cover")
        },
    )
    scores = fitted(ContentKNN(), train, items).score(timelines([(0, 0, 1)]))[0]
    # Item 2 is described as item 0 is; item 1 is the opposite; nothing is known of item 3.
    assert scores[2] == pytest.approx(scores[0]) and scores[0] == pytest.approx(1, abs=1e-5)
    assert scores[1] < 0 and scores[3] == 0
