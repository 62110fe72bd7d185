"""Catalogues whose signal is known, and a small trainer: does a fusion find it?

Users have a taste t, items a latent z; a user likes items by softmax of 3 t·z. Models are a table
of users against a fusion of items' ids and content vectors, trained by the full softmax, all users
and items in each step. A seventh of the items has no behaviour: there an id can only guess.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf

from tfrec.config.model import Component
from tfrec.registry import create
from tfrec.towers import ProjectionTower

USERS, ITEMS, NEW = 400, 700, 100
LATENT, CONTENT, WIDTH = 6, 12, 16
LIKED, HELD_OUT = 28, 4
STEPS, RATE, DECAY = 120, 0.03, 1.0
Kind = Literal["signal", "product"]


@dataclass(frozen=True)
class World:
    """A seed's catalogue: content by modality, likes, and what is held out."""

    content: dict[str, np.ndarray]
    liked: np.ndarray
    warm_test: np.ndarray
    new_test: np.ndarray


def world(kind: Kind, seed: int, noise: bool = True) -> World:
    """`signal`: text alone tells z; `product`: z is a cover's sign times a text's."""
    random = np.random.default_rng([seed, kind == "product"])
    text = random.choice([-1.0, 1.0], (ITEMS, LATENT))
    cover = random.choice([-1.0, 1.0], (ITEMS, LATENT))
    latent = text if kind == "signal" else text * cover
    taste = random.standard_normal((USERS, LATENT))
    taste *= 3 / np.linalg.norm(taste, axis=1, keepdims=True)
    drawn = taste @ latent.T + random.gumbel(size=(USERS, ITEMS))
    old = np.arange(ITEMS) >= NEW
    order = np.argsort(np.where(old, -drawn, np.inf), 1)[:, :LIKED]
    held = random.permuted(order, axis=1)
    liked, warm_test = np.zeros((USERS, ITEMS), bool), np.zeros((USERS, ITEMS), bool)
    np.put_along_axis(liked, held[:, HELD_OUT:], True, 1)
    np.put_along_axis(warm_test, held[:, :HELD_OUT], True, 1)
    new_test = np.zeros((USERS, ITEMS), bool)
    best = np.argsort(np.where(old, np.inf, -drawn), 1)[:, :HELD_OUT]
    np.put_along_axis(new_test, best, True, 1)
    sources = {"text": text}
    if kind == "product":
        sources["cover"] = cover
    elif noise:
        sources["noise"] = random.choice([-1.0, 1.0], (ITEMS, LATENT))
    content = {
        name: (value @ random.standard_normal((LATENT, CONTENT))).astype(np.float32)
        for name, value in sources.items()
    }
    return World(content, liked, warm_test, new_test)


class Model(keras.Model):
    """A table of users, a table of items' ids, towers of content, a fusion."""

    def __init__(self, modalities: tuple[str, ...], fusion: str | None, use_id: bool) -> None:
        super().__init__()
        self.use_id = use_id
        self.users = self.add_weight(shape=(USERS, WIDTH), initializer="normal", name="users")
        self.ids = self.add_weight(shape=(ITEMS, WIDTH), initializer="normal", name="ids")
        self.towers = {name: ProjectionTower(WIDTH) for name in modalities}
        self.fusion = None
        if fusion is not None:
            component = Component(type=fusion)
            self.fusion = create("fusion", component, where="fusion", dimension=WIDTH)
        self.built = True

    def call(self, content: dict[str, Any], known: Any, training: bool = False) -> Any:
        """Scores [users, items]; an item that isn't known has no id."""
        ids = tf.convert_to_tensor(self.ids)
        if self.fusion is None:
            items = tf.where(known[:, None], ids, 0.0)
        else:
            vectors = {name: tower(content[name]) for name, tower in self.towers.items()}
            masks = {name: tf.ones([ITEMS], tf.bool) for name in vectors}
            if self.use_id:
                vectors["id"], masks["id"] = ids, known
            items = self.fusion(vectors, masks, training=training)
        return tf.matmul(tf.convert_to_tensor(self.users), items, transpose_b=True)


class Study:
    """One kind of model on several worlds; its graph is traced once."""

    def __init__(
        self, modalities: tuple[str, ...], fusion: str | None, use_id: bool = True
    ) -> None:
        self._arguments = modalities, fusion, use_id
        self.model = Model(*self._arguments)
        self._learn = tf.function(self._train)

    def run(self, found: World, seed: int) -> tuple[float, float]:
        """Recall at 10 of held-out likes: on items with behaviour, and on new ones."""
        content = {name: tf.constant(value) for name, value in found.content.items()}
        known = tf.constant(np.arange(ITEMS) >= NEW)
        keras.utils.set_random_seed(seed)
        fresh = Model(*self._arguments)
        fresh(content, known)
        self.model(content, known)
        self.model.set_weights(fresh.get_weights())
        self._learn(content, tf.constant(found.liked, tf.float32), tf.constant(seed))
        scores = self.model(content, known).numpy()
        old = np.arange(ITEMS) >= NEW
        warm = np.where(old & ~found.liked, scores, -np.inf)
        return _recall(warm, found.warm_test), _recall(
            np.where(old, -np.inf, scores), found.new_test
        )

    def _train(self, content: dict[str, Any], liked: Any, seed: Any) -> None:
        variables = [v.value for v in self.model.trainable_variables]
        first = [tf.zeros_like(v) for v in variables]
        second = [tf.zeros_like(v) for v in variables]
        old = tf.range(ITEMS) >= NEW
        share = liked / tf.reduce_sum(liked)
        for step in tf.range(STEPS):
            kept = tf.random.stateless_uniform([ITEMS], [seed, step]) >= 0.3
            with tf.GradientTape() as tape:
                scores = self.model(content, old & kept, training=True)
                scores = tf.where(old[None], scores, -1e9)
                loss = -tf.reduce_sum(share * tf.nn.log_softmax(scores))
                loss += tf.add_n([tf.zeros([]), *self.model.losses])
            gradients = tape.gradient(loss, variables)
            time = tf.cast(step + 1, tf.float32)
            fall = 1 - time / (STEPS + 1)
            rate = RATE * fall * tf.sqrt(1 - 0.999**time) / (1 - 0.9**time)
            first = [0.9 * m + 0.1 * g for m, g in zip(first, gradients, strict=True)]
            second = [0.999 * s + 0.001 * g * g for s, g in zip(second, gradients, strict=True)]
            for v, m, s in zip(variables, first, second, strict=True):
                v.assign_sub(rate * m / (tf.sqrt(s) + 1e-8) + RATE * fall * DECAY * v)


def _recall(scores: np.ndarray, relevant: np.ndarray, k: int = 10) -> float:
    lists = np.argsort(-scores, 1)[:, :k]
    return float(np.take_along_axis(relevant, lists, 1).sum() / relevant.sum())
