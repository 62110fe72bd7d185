"""A tiny two-tower with every modality, seen by `tfrec.export` exactly as a trained one is."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from tfrec.config import FeatureConfig
from tfrec.export import ServingSource, UserRecords
from tfrec.export.item_texts import TITLE
from tfrec.export.source import Explanation, ItemColumns, ItemTexts
from tfrec.model.parts import BASE, BEHAVIOUR, QueryParts
from tfrec.schema import FeatureSpec

DIMENSION = 4
ITEMS, USERS = 12, 5
GENRES = ["rock", "jazz", "folk"]
COUNTRIES = ["de", "fr"]
DEVICES = ["phone", "tv"]
# Of so many buckets no two digits share one, wherever they stand.
LETTERS, LENGTH = 136, 12


def spec(name: str, modality: str, **options: object) -> FeatureSpec:
    resolved = {
        key: options.pop(key)
        for key in ("vocabulary_size", "mean", "deviation", "encoded_dim")
        if key in options
    }
    return FeatureSpec(
        name=name, modality=modality, config=FeatureConfig(modality=modality, **options), **resolved
    )


ITEM_FEATURES = (
    spec("title", "text", max_length=4),
    spec("blurb", "text", encoder="toy", encoded_dim=LETTERS),
    spec("cover", "image", size=(8, 8)),
    spec("clip", "audio", sample_rate=1000, seconds=0.01),
    spec("film", "video", size=(8, 8), frames=2),
    spec("country", "categorical", vocabulary_size=4),
    spec("genres", "tags", vocabulary_size=5, max_length=3),
    spec("price", "numeric", transform="log1p", mean=1.0, deviation=2.0),
    spec("vector", "embedding", dimension=2),
)
PROFILE_FEATURES = (
    spec("home", "categorical", vocabulary_size=4),
    spec("likes", "tags", vocabulary_size=5, max_length=3),
    spec("years", "numeric", mean=30.0, deviation=10.0),
    spec("about", "text", max_length=4),
)
CONTEXT_FEATURES = (
    spec("device", "categorical", vocabulary_size=4),
    spec("hour", "numeric", mean=12.0, deviation=6.0),
)


class ToyEncoder(keras.layers.Layer):
    """Texts to 136 numbers: how many of the first letters, with their places, fell on each."""

    def __init__(self) -> None:
        super().__init__(autocast=False)
        self.built = True

    def call(self, texts: tf.Tensor) -> tf.Tensor:
        padded = tf.strings.join([tf.strings.lower(texts), " " * LENGTH])
        letters = [tf.strings.substr(padded, place, 1) for place in range(LENGTH)]
        placed = tf.stack([tf.strings.join([one, str(at)]) for at, one in enumerate(letters)], 1)
        there = tf.cast(tf.stack(letters, 1) != b" ", tf.float32)
        hashed = tf.one_hot(tf.strings.to_hash_bucket_fast(placed, LETTERS), LETTERS)
        return tf.einsum("bp,bpl->bl", there, hashed) / 4.0


class FakeTower(keras.layers.Layer):
    """Sum over features of a fixed random map of each, masked where it is missing."""

    def __init__(self, features: tuple[FeatureSpec, ...], rows: int, key: str, seed: int) -> None:
        super().__init__(autocast=False)
        self.features, self.key = features, key
        random = np.random.default_rng(seed)
        widths = {"numeric": 1, "embedding": 2}
        self.maps = {}
        for name, feature in [("id", None), *((f.name, f) for f in features)]:
            modality = feature.modality if feature else "id"
            height = {"id": rows, "categorical": 4, "tags": 5}.get(modality) or (
                (feature.encoded_dim if feature else None) or widths.get(modality, 4)
            )
            self.maps[name] = self.add_weight(
                shape=(height, DIMENSION),
                initializer=keras.initializers.Constant(random.normal(size=(height, DIMENSION))),
                name=f"map_{name}",
            )
        self.built = True

    def looked_up(self, name: str, index: tf.Tensor) -> tf.Tensor:
        table = self.maps[name].value
        rows = tf.gather(table, tf.maximum(index, 0))
        return tf.where((index >= 0)[..., None], rows, 0.0)

    def of_features(self, inputs: dict[str, tf.Tensor]) -> tf.Tensor:
        return sum(self.by_feature(inputs).values())

    def by_feature(self, inputs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        parts = {}
        for feature in self.features:
            name = feature.name
            full = name if name in inputs else f"context/{name}"
            value, present = inputs[full], inputs[f"{full}/present"]
            if feature.encoded_dim or feature.modality == "embedding":
                part = tf.matmul(value, self.maps[name].value)
            elif feature.modality == "numeric":
                part = value[:, None] * self.maps[name].value
            elif feature.modality == "categorical":
                part = self.looked_up(name, value)
            elif feature.modality == "tags":
                part = tf.reduce_sum(
                    tf.where((value > 0)[..., None], self.looked_up(name, value), 0.0), 1
                )
            elif feature.modality == "text":
                part = self.looked_up(name, tf.strings.to_hash_bucket_fast(value, 4))
            else:
                scaled = tf.cast(value, tf.float32) / (32768 if value.dtype == tf.int16 else 255)
                mean = tf.reduce_mean(scaled, list(range(1, scaled.shape.rank)))
                part = mean[:, None] * self.maps[name].value[0]
            parts[full] = tf.where(present[:, None], part, 0.0)
        return parts


class FakeItemTower(FakeTower):
    def call(self, inputs: dict[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        vector = self.looked_up("id", inputs["item_index"]) + self.of_features(inputs)
        return tf.math.l2_normalize(vector, -1)

    def parts(self, inputs: dict[str, tf.Tensor]) -> tf.Tensor:
        """[b, parts, D], in the order of ITEM_PARTS; the base is nothing."""
        own = self.looked_up("id", inputs["item_index"])
        parts = [own, *self.by_feature(inputs).values(), tf.zeros_like(own)]
        stacked = tf.stack(parts, 1)
        return stacked / tf.norm(tf.reduce_sum(stacked, 1), axis=-1)[:, None, None]


ITEM_PARTS = (BEHAVIOUR, *(feature.name for feature in ITEM_FEATURES), BASE)


class FakeQueryTower(FakeTower):
    """Weighs a history by age and event, so that a wrong one of either shows."""

    def __init__(self, items: FakeItemTower, seed: int) -> None:
        super().__init__((*PROFILE_FEATURES, *CONTEXT_FEATURES), USERS, "user_index", seed)
        self.items = items

    def call(self, inputs: dict[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        vector = tf.reduce_sum(self.events(inputs), 1)
        return vector + self.looked_up("id", inputs["user_index"]) + self.of_features(inputs)

    def parts(self, inputs: dict[str, tf.Tensor]) -> QueryParts:
        user = self.looked_up("id", inputs["user_index"])
        return QueryParts(self.events(inputs), {"user": user, **self.by_feature(inputs)})

    def events(self, inputs: dict[str, tf.Tensor]) -> tf.Tensor:
        history = self.items.looked_up("id", inputs["history"])
        weight = tf.exp(-inputs["history_age"] / 10.0) * (
            1.0 + tf.cast(inputs["history_event"], tf.float32)
        )
        order = 1.0 + tf.range(tf.shape(weight)[1], dtype=tf.float32) / 8.0
        return history * (weight * order)[..., None]


def prepared_items(random: np.random.Generator) -> dict[str, np.ndarray]:
    """The whole catalogue in prepared form; each feature misses in some items."""
    blurbs = np.array([f"blurb a{'ab' * i} {i}" for i in range(ITEMS)], object)
    values = {
        "title": np.array([f"Título {i}" for i in range(ITEMS)], object),
        "blurb": blurbs,
        "cover": random.integers(0, 256, (ITEMS, 8, 8, 3), np.uint8),
        "clip": random.integers(-(2**15), 2**15, (ITEMS, 10), np.int16),
        "film": random.integers(0, 256, (ITEMS, 2, 8, 8, 3), np.uint8),
        "country": random.integers(1, 4, ITEMS).astype(np.int32),
        "genres": np.array([[2 + i % 3, 1, 0][:3] for i in range(ITEMS)], np.int32),
        "price": random.normal(size=ITEMS).astype(np.float32),
        "vector": random.normal(size=(ITEMS, 2)).astype(np.float32),
    }
    for place, name in enumerate(list(values)):
        present = np.arange(ITEMS) % 9 != place
        empty = "" if values[name].dtype == object else 0
        shape = (-1, *[1] * (values[name].ndim - 1))
        values[name] = np.where(present.reshape(shape), values[name], empty)
        if values[name].dtype.kind == "U":
            values[name] = values[name].astype(object)
        values[f"{name}/present"] = present
    return values


def prepared_profile() -> dict[str, np.ndarray]:
    return {
        "home": np.array([2, 3, 1, 0, 2], np.int32),
        "home/present": np.array([True, True, True, False, True]),
        "likes": np.array([[2, 0, 0], [3, 4, 0], [0, 0, 0], [1, 0, 0], [2, 3, 4]], np.int32),
        "likes/present": np.array([True, True, False, True, True]),
        "years": np.array([0.5, -1.0, 0.0, 2.0, 0.1], np.float32),
        "years/present": np.array([True, True, False, True, True]),
        "about": np.array(["a b", "", "c", "d", "e"], object),
        "about/present": np.array([True, False, True, True, True]),
    }


def user_records() -> UserRecords:
    """Five users: of 3, 0, 7 (longer than the towers read), 1 and 2 events."""
    histories = [[0, 1, 2], [], [3, 4, 5, 6, 7, 8, 9], [10], [11, 0]]
    offsets = np.cumsum([0, *map(len, histories)])
    flat = np.array([item for history in histories for item in history], np.int32)
    # User 1 has seen two items that are in no history (skipped ones); user 0 one more than that.
    seen = [[0, 1, 2, 5], [3, 4], [3, 4, 5, 6, 7, 8, 9], [10], [0, 11]]
    return UserRecords(
        ids=np.array([f"u{i}" for i in range(USERS)], object),
        offsets=offsets.astype(np.int64),
        item_index=flat,
        age=np.linspace(5, 0, len(flat)).astype(np.float32),
        event=(np.arange(len(flat)) % 3).astype(np.int32),
        seen_offsets=np.cumsum([0, *map(len, seen)]).astype(np.int64),
        seen=np.array([item for row in seen for item in row], np.int32),
        profile=prepared_profile(),
    )


PLAIN = ("title", "country", "genres", "price", "vector")
"""Features whose graphs load fast: no media, no encoder."""


def fake_source(*names: str, explained: bool = True) -> ServingSource:
    """The model, of all item features or of some, with or without what it is the sum of."""
    random = np.random.default_rng(0)
    features = tuple(feature for feature in ITEM_FEATURES if not names or feature.name in names)
    item_tower = FakeItemTower(features, ITEMS, "item_index", seed=1)
    encoder = ToyEncoder()
    items = prepared_items(random)
    inputs = {
        name: tf.constant(value, tf.string) if value.dtype == object else tf.constant(value)
        for name, value in items.items()
    }
    inputs["blurb"] = tf.where(inputs["blurb/present"][:, None], encoder(inputs["blurb"]), 0.0)
    inputs["item_index"] = tf.range(ITEMS)
    query_tower = FakeQueryTower(item_tower, seed=2)
    kinds = (BEHAVIOUR, *(feature.name for feature in features), BASE)
    explanation = Explanation(
        kinds, item_tower.parts(inputs).numpy(), item_tower.parts, query_tower.parts
    )
    return ServingSource(
        name="fake",
        query_tower=query_tower,
        item_tower=item_tower,
        item_ids=np.array([f"i{i}" for i in range(ITEMS)], object),
        item_vectors=item_tower(inputs).numpy(),
        users=user_records(),
        item_features=features,
        profile_features=PROFILE_FEATURES,
        context_features=CONTEXT_FEATURES,
        vocabularies={
            "country": COUNTRIES,
            "genres": GENRES,
            "home": COUNTRIES,
            "likes": GENRES,
            "context/device": DEVICES,
        },
        encoders={"blurb": encoder} if "blurb" in kinds else {},
        history_length=5,
        default_event=1,
        item_samples=items,
        columns=item_columns(items),
        explanation=explanation if explained else None,
        texts=item_texts(items, encoder) if {"title", "blurb"} <= {*kinds} else None,
    )


def item_texts(items: dict[str, np.ndarray], encoder: ToyEncoder) -> ItemTexts:
    """The title, which has no encoder of its own, and the blurb."""
    names = ("title", "blurb")
    vectors = np.stack([encoder(tf.constant(items[n], tf.string)).numpy() for n in names], 1)
    lengths = np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)
    return ItemTexts("blurb", (TITLE, "blurb"), vectors / lengths)


def item_columns(items: dict[str, np.ndarray]) -> ItemColumns:
    return ItemColumns(
        titles=items["title"],
        labels={name: items[name] - 2 for name in ("country", "genres")},
        values={"country": COUNTRIES, "genres": GENRES},
        numbers={"year": np.where(np.arange(ITEMS) == 4, np.nan, 1990.0 + np.arange(ITEMS))},
    )
