"""Several interests of one user, instead of one taste."""

from __future__ import annotations

from typing import Any, Literal

import keras

from tfrec.registry import register
from tfrec.towers.history import HistoryTower

__all__ = ["InterestsHistory"]

ops = keras.ops


@register("history", "interests")
@keras.saving.register_keras_serializable("tfrec")
class InterestsHistory(HistoryTower):
    """So many interest vectors, from attention heads or capsules; the result sums them by share.

    `attention`: softmax over the history of W2 tanh(W1 x), a column for each interest (Cen et al.,
    "Controllable multi-interest framework for recommendation", ComiRec-SA, 2020). `capsule`:
    behaviour-to-interest dynamic routing with one shared map (Li et al., "Multi-interest network
    with dynamic routing for recommendation at Tmall", MIND, 2019), its routing logits starting at
    fixed pseudo-random numbers so that a user's vector is the same each time.

    One inner product asks for one vector: the result is Σ_k softmax_k(‖v_k‖ t) v_k, t learned.
    `interests` gives them apart, for a search of an index by each.

    Args:
        dimension: Width of the items' vectors and of the result.
        events: Size of the event types' vocabulary; 0 when there are no types.
        count: Interests.
        method: `attention` or `capsule`.
        iterations: Of the routing.
        **kwargs: Keras' own.
    """

    def __init__(
        self,
        dimension: int,
        *,
        events: int = 0,
        count: int = 4,
        method: Literal["attention", "capsule"] = "attention",
        iterations: int = 3,
        **kwargs: Any,
    ) -> None:
        super().__init__(dimension, events=events, **kwargs)
        if count < 1 or iterations < 1:
            raise ValueError(
                "`count` and `iterations` must be positive."
                f" Received: count={count}, iterations={iterations}"
            )
        self.count = count
        self.method = method
        self.iterations = iterations

    def build_encoder(self, ages: bool, events: bool) -> None:
        """Makes the maps."""
        policy, width = self.dtype_policy, self.dimension
        if self.method == "attention":
            self.hidden = keras.layers.Dense(width, activation="tanh", dtype=policy)
            self.hidden.build((None, width))
            self.score = keras.layers.Dense(self.count, use_bias=False, dtype=policy)
            self.score.build((None, width))
        else:
            self.shared = keras.layers.Dense(width, use_bias=False, dtype=policy)
            self.shared.build((None, width))
        self.sharpness = self.add_weight(
            shape=(), initializer="ones", name="sharpness", dtype="float32"
        )

    def interests(
        self,
        vectors: Any,
        present: Any,
        ages: Any = None,
        events: Any = None,
        training: bool | None = None,
    ) -> Any:
        """The interests apart; arguments as of a call.

        Returns:
            float [batch, count, dimension]; zeros for a user without history.
        """
        vectors, present, _ = self._read(vectors, present, ages, events)
        return self._interests(vectors, present)

    def _interests(self, vectors: Any, present: Any) -> Any:
        there = ops.cast(present, "float32")[:, :, None]
        if self.method == "attention":
            logits = ops.cast(self.score(self.hidden(vectors)), "float32")
            weights = ops.softmax(ops.where(there > 0, logits, -1e9), 1) * there
            return ops.einsum("blk,bld->bkd", ops.cast(weights, vectors.dtype), vectors)
        mapped = ops.cast(self.shared(vectors), "float32") * there
        return ops.cast(self._routed(mapped, there), vectors.dtype)

    def _routed(self, mapped: Any, there: Any) -> Any:
        # The routing itself is not differentiated, as in the paper's implementation.
        fixed = ops.stop_gradient(mapped)
        logits = ops.zeros_like(there) + self._beginning(ops.shape(mapped)[1])
        capsules = mapped[:, :0]
        for step in range(self.iterations):
            weights = ops.softmax(logits, 2) * there
            last = step == self.iterations - 1
            source = mapped if last else fixed
            capsules = _squash(ops.einsum("blk,bld->bkd", weights, source))
            if not last:
                logits = logits + ops.einsum("bld,bkd->blk", fixed, capsules)
        return capsules

    def _beginning(self, length: Any) -> Any:
        """Pseudo-random logits by place from the end, [1, length, count]."""
        place = ops.cast(ops.flip(ops.arange(length), 0), "float32")[:, None] + 1.0
        interest = ops.cast(ops.arange(self.count), "float32")[None, :] + 1.0
        return ops.sin(place * 12.9898 + interest * 78.233)[None]

    def encode(
        self, vectors: Any, present: Any, ages: Any, events: Any, training: bool | None
    ) -> Any:
        """Sums the interests by share."""
        found = self._interests(vectors, present)
        square = ops.sum(ops.square(ops.cast(found, "float32")), -1)
        shares = ops.softmax(ops.sqrt(square + 1e-12) * self.sharpness, -1)
        return ops.einsum("bk,bkd->bd", ops.cast(shares, found.dtype), found)

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {
            **super().get_config(),
            "count": self.count,
            "method": self.method,
            "iterations": self.iterations,
        }


def _squash(vectors: Any) -> Any:
    """Length s becomes s² / (1 + s²) (Sabour et al., 2017)."""
    square = ops.sum(ops.square(vectors), -1, keepdims=True)
    return vectors * (ops.sqrt(square + 1e-12) / (1.0 + square))
