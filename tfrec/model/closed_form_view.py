"""The teachers' tables and content map as a view: nothing in it is trained by gradients."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfrec import schema
from tfrec.model.descriptors import Descriptor
from tfrec.model.parts import BASE, BEHAVIOUR, Parts, QueryParts, shapley
from tfrec.model.view import View
from tfrec.teachers import ColdView, WarmView
from tfrec.teachers.closed_form import SMOOTHING

__all__ = ["ClosedFormView"]


@keras.saving.register_keras_serializable("tfrec")
class ClosedFormView(View):
    """A recency-weighted bag of the history against item vectors in closed form.

    The vectors have two parts, for items with behaviour and for items placed by content
    (`tfrec.teachers`); an item has one of them and 0 in the other, so that one inner product serves
    both. A query is, in each part, the mean of the history's `in` vectors weighted by
    `(1 + age) ** -decay`, where age counts the events after it.

    Args:
        items: N.
        warm_rank: Width of the first part.
        cold_rank: Width of the second; 0 when nothing is placed by content.
        warm_decay: γ of the first part.
        cold_decay: γ of the second.
        learned_rank: Width of the learned view's vectors, on which it has a say where content
            places an item; 0 for none.
        landmarks: Items that the content kernel compares with.
        blocks: Width of each described feature, by name, in the order of the content vector.
        descriptors: By feature name.
        **kwargs: Keras' own.
    """

    def __init__(
        self,
        *,
        items: int,
        warm_rank: int,
        cold_rank: int,
        warm_decay: float,
        cold_decay: float,
        landmarks: int,
        blocks: Mapping[str, int],
        descriptors: Mapping[str, Descriptor],
        learned_rank: int = 0,
        **kwargs: Any,
    ) -> None:
        kwargs.pop("dimension", None)
        super().__init__(warm_rank + cold_rank, **kwargs)
        self.items = items
        self.warm_rank = warm_rank
        self.cold_rank = cold_rank
        self.warm_decay = warm_decay
        self.cold_decay = cold_decay
        self.landmarks = landmarks
        self.learned_rank = learned_rank if cold_rank else 0
        self.blocks = dict(blocks)
        self.descriptors = dict(descriptors)
        self.in_table = self._fixed("in_table", (items, self.dimension))
        self.out_table = self._fixed("out_table", (items, self.dimension))
        if cold_rank:
            width = sum(self.blocks.values())
            self.mean = self._fixed("mean", (width,))
            self.scale = self._fixed("scale", (width,))
            self.block_weight = self._fixed("block_weight", (len(self.blocks) + 1,))
            self.landmark_content = self._fixed(
                "landmark_content", (landmarks, width + len(self.blocks))
            )
            self.coefficients = self._fixed("coefficients", (landmarks, cold_rank))
            self.bias = self._fixed("bias", (cold_rank,))
        if self.learned_rank:
            self.learned_coefficients = self._fixed(
                "learned_coefficients", (landmarks, learned_rank)
            )

    @classmethod
    def from_teachers(
        cls,
        warm: WarmView,
        cold: ColdView | None,
        descriptors: Mapping[str, Descriptor],
        vectors: npt.NDArray[np.float32] | None,
        cold_items: npt.NDArray[np.bool_],
        cold_scale: float,
        **kwargs: Any,
    ) -> ClosedFormView:
        """Builds the view from fitted teachers.

        Args:
            warm: The warm view.
            cold: The cold view, if there is one.
            descriptors: By feature name.
            vectors: float32 [N, cold rank], content vectors of the catalogue, if there are any.
            cold_items: bool [N], items whose row of the table is their content vector.
            cold_scale: What content vectors are multiplied by, so that both kinds of items can
                stand in one list.
            **kwargs: Keras' own.
        """
        items, warm_rank = warm.out_table.shape
        cold_rank = 0 if cold is None else cold.in_table.shape[1]
        blocks = {} if cold is None else {n: len(fit.mean) for n, fit in cold.standardizers.items()}
        view = cls(
            items=items,
            warm_rank=warm_rank,
            cold_rank=cold_rank,
            warm_decay=warm.decay,
            cold_decay=0.0 if cold is None else cold.decay,
            landmarks=0 if cold is None else len(cold.landmarks),
            blocks=blocks,
            descriptors={name: descriptors[name] for name in blocks},
            **kwargs,
        )
        in_table, out_table = warm.in_table, warm.out_table * ~cold_items[:, None]
        if cold is not None and vectors is not None:
            in_table = np.hstack([in_table, cold.in_table])
            placed = np.float32(cold_scale) * vectors * cold_items[:, None]
            out_table = np.hstack([out_table, placed])
            fits = list(cold.standardizers.values())
            view.mean.assign(np.concatenate([fit.mean for fit in fits]))
            view.scale.assign(np.concatenate([fit.scale for fit in fits]))
            view.block_weight.assign(
                np.sqrt([*(cold.weights[n] for n in blocks), cold.weights["presence"]]).astype(
                    np.float32
                )
            )
            view.landmark_content.assign(cold.landmark_content)
            view.coefficients.assign(np.float32(cold_scale) * cold.coefficients)
            view.bias.assign(np.float32(cold_scale) * cold.bias)
        view.in_table.assign(in_table)
        view.out_table.assign(out_table)
        return view

    def set_learned(self, coefficients: npt.NDArray[np.float32]) -> None:
        """Sets what the kernel says of the learned vectors, float32 [landmarks, learned rank]."""
        self.learned_coefficients.assign(coefficients)

    def query(self, inputs: dict[str, Any], training: bool | None = None) -> Any:
        """float32 [batch, dimension] from `history` int32 [batch, L]; 0 without any history."""
        means = [tf.einsum("bl,bld->bd", weight, part) for weight, part in self._weighed(inputs)]
        return tf.concat(means, -1)

    def query_parts(self, inputs: dict[str, Any]) -> QueryParts:
        """The events' terms of the mean; nothing else is read."""
        terms = [part * weight[..., None] for weight, part in self._weighed(inputs)]
        return QueryParts(tf.concat(terms, -1), {})

    def _weighed(self, inputs: dict[str, Any]) -> list[tuple[tf.Tensor, tf.Tensor]]:
        """Of each part, weights [batch, L] of the events, which sum to 1, and their vectors."""
        history = tf.cast(inputs["history"], tf.int32)
        valid = tf.cast(history >= 0, tf.float32)
        after = tf.cumsum(valid, axis=1, reverse=True, exclusive=True)
        vectors = tf.gather(self.in_table.value, tf.maximum(history, 0))
        parts = [(self.warm_decay, vectors[..., : self.warm_rank])]
        if self.cold_rank:
            parts.append((self.cold_decay, vectors[..., self.warm_rank :]))
        weighed = []
        for decay, part in parts:
            weight = valid * tf.pow(1.0 + after, -decay)
            total = tf.maximum(tf.reduce_sum(weight, 1, keepdims=True), 1e-9)
            weighed.append((weight / total, part))
        return weighed

    def item(self, inputs: dict[str, Any], training: bool | None = None) -> Any:
        """float32 [batch, dimension]: a row of the table, or a new item from its content."""
        index = tf.cast(inputs[schema.ITEM_INDEX], tf.int32)
        known = (index >= 0)[:, None]
        rows = tf.gather(self.out_table.value, tf.maximum(index, 0))
        if not self.cold_rank:
            return tf.where(known, rows, 0.0)
        fresh = tf.pad(self.content_vector(inputs), [[0, 0], [self.warm_rank, 0]])
        return tf.where(known, rows, fresh)

    def item_parts(self, inputs: dict[str, Any]) -> Parts:
        """What `item` is the sum of.

        An item with behaviour has a vector that only its id picks; of one that content placed,
        Shapley values of the content vector.
        """
        vectors = self.item(inputs)
        by_content = tf.reduce_all(vectors[:, : self.warm_rank] == 0.0, 1)
        if not self.cold_rank:
            return {BEHAVIOUR: vectors}
        parts: Parts = {BEHAVIOUR: tf.where(by_content[:, None], 0.0, vectors)}
        for name, part in self._content_parts(inputs, by_content, self._own).items():
            parts[name] = tf.pad(part, [[0, 0], [self.warm_rank, 0]])
        # A row of the table may be another than what content says now, by rounding or by a refit.
        parts[BASE] += tf.where(by_content[:, None], vectors - sum(parts.values()), 0.0)
        return parts

    def content_vector(self, inputs: dict[str, Any]) -> tf.Tensor:
        """float32 [batch, cold rank] from the features alone."""
        return self._own(self._kernel(self._described(inputs), self._present(inputs)))

    def placed(self, inputs: dict[str, Any]) -> tf.Tensor | None:
        """float32 [batch, learned rank]; None when it has no say on the learned vectors."""
        if not self.learned_rank:
            return None
        return self._learned(self._kernel(self._described(inputs), self._present(inputs)))

    def placed_parts(self, inputs: dict[str, Any]) -> Parts:
        """Shapley values of `placed`, of items without behaviour; 0 for others."""
        if not self.learned_rank:
            return {}
        return self._content_parts(inputs, inputs[schema.ITEM_INDEX] < 0, self._learned)

    def _content_parts(
        self, inputs: dict[str, Any], chosen: tf.Tensor, place: Callable[[Any], Any]
    ) -> Parts:
        """Shapley values of what the kernel leads to, of the chosen rows; 0 for others."""
        rows = tf.where(chosen)[:, 0]
        read = [key for name in self.blocks for key in (name, schema.present(name))]
        some = {key: tf.gather(inputs[key], rows) for key in read}
        described = self._described(some)

        def placed(masks: Mapping[str, Any], copies: int) -> tf.Tensor:
            several = {name: tf.tile(block, [copies, 1]) for name, block in described.items()}
            return place(self._kernel(several, masks))

        found = shapley(placed, self._present(some))
        count = tf.shape(chosen, tf.int64)[0]
        return {
            name: tf.scatter_nd(rows[:, None], part, [count, part.shape[1]])
            for name, part in found.items()
        }

    def _present(self, inputs: dict[str, Any]) -> dict[str, tf.Tensor]:
        return {name: tf.cast(inputs[schema.present(name)], tf.bool) for name in self.blocks}

    def _described(self, inputs: dict[str, Any]) -> dict[str, tf.Tensor]:
        """Each described feature at unit length times its weight, as if present."""
        parts, start = {}, 0
        for place, (name, width) in enumerate(self.blocks.items()):
            block = self.descriptors[name](inputs[name])
            block = (block - self.mean[start : start + width]) * self.scale[start : start + width]
            norm = tf.maximum(tf.norm(block, axis=-1, keepdims=True), 1e-9)
            parts[name] = block / norm * self.block_weight[place]
            start += width
        return parts

    def _kernel(self, described: dict[str, tf.Tensor], masks: Mapping[str, Any]) -> tf.Tensor:
        """float32 [batch, landmarks] from what is present of the described features."""
        flags = [tf.cast(masks[name], tf.float32) for name in self.blocks]
        parts = [
            tf.where(flag[:, None] > 0, described[name], 0.0)
            for name, flag in zip(self.blocks, flags, strict=True)
        ]
        content = tf.concat([*parts, tf.stack(flags, -1) * self.block_weight[-1]], -1)
        marks = self.landmark_content.value
        distance = (
            tf.reduce_sum(content**2, -1, keepdims=True)
            + tf.reduce_sum(marks**2, -1)[None]
            - 2 * tf.matmul(content, marks, transpose_b=True)
        )
        return tf.exp(-tf.sqrt(tf.maximum(distance, 0.0) + SMOOTHING))

    def _own(self, kernel: tf.Tensor) -> tf.Tensor:
        """float32 [batch, cold rank]."""
        return tf.matmul(kernel, self.coefficients.value) + self.bias.value

    def _learned(self, kernel: tf.Tensor) -> tf.Tensor:
        """float32 [batch, learned rank]."""
        return tf.matmul(kernel, self.learned_coefficients.value)

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        save = keras.saving.serialize_keras_object
        return {
            **super().get_config(),
            "items": self.items,
            "warm_rank": self.warm_rank,
            "cold_rank": self.cold_rank,
            "warm_decay": self.warm_decay,
            "cold_decay": self.cold_decay,
            "learned_rank": self.learned_rank,
            "landmarks": self.landmarks,
            "blocks": self.blocks,
            "descriptors": {name: save(layer) for name, layer in self.descriptors.items()},
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> ClosedFormView:
        """Builds the view that a config describes."""
        load = keras.saving.deserialize_keras_object
        layers = {name: load(layer) for name, layer in config["descriptors"].items()}
        return cls(**{**config, "descriptors": layers})
