"""The base of views: one way to score a user and an item by an inner product."""

from __future__ import annotations

from typing import Any

import keras

from tfrec.model.parts import Parts, QueryParts

__all__ = ["NORMALISED_SUFFIX", "PLACED", "PLACED_PARTS", "PROPAGATED", "VECTOR_SUFFIX", "View"]

# Beside a feature NAME, `NAME/vector` may give what its tower would have made of it.
VECTOR_SUFFIX = "/vector"
# Likewise `NAME/normalised` what `ProjectionTower.normalised` made of it.
NORMALISED_SUFFIX = "/normalised"
# What one view has to say on another's vectors of items without behaviour, and its parts.
PLACED, PLACED_PARTS = "placed", "placed/parts"
# In training: what `GraphView.propagate` made of all ids, once for both sides of a step.
PROPAGATED = "propagated"


class View(keras.layers.Layer):
    """A query side and an item side, each to float32 [batch, dimension]; for subclasses.

    The towers put the views' vectors side by side, so that the score of several views is the sum
    of their inner products, and still one inner product of one vector each. A view may be learned
    or in closed form, and may read whatever inputs `docs/design.md` lists under "Two towers".

    Args:
        dimension: Width of its vectors.
        history_length: Latest events of a longer history that it reads; all unless given.
        **kwargs: Keras' own.
    """

    def __init__(self, dimension: int, *, history_length: int | None = None, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)
        if dimension < 1:
            raise ValueError(f"`dimension` must be positive. Received: dimension={dimension}")
        self.dimension = dimension
        self.history_length = history_length
        # Sub-layers build themselves when a side is first asked.
        self.built = True

    def _fixed(self, name: str, shape: tuple[int, ...], initializer: str = "zeros") -> Any:
        """A float32 weight that no gradient moves."""
        return self.add_weight(
            shape=shape,
            initializer=initializer,
            trainable=False,
            name=name,
            dtype="float32",
            autocast=False,
        )

    @property
    def random_items(self) -> bool:
        """Whether one item may have several vectors within a training step, as dropout makes it."""
        return True

    def query(self, inputs: dict[str, Any], training: bool | None = None) -> Any:
        """The vectors of queries; for subclasses."""
        raise NotImplementedError

    def query_at(self, inputs: dict[str, Any], training: bool | None = None) -> Any:
        """Vectors of queries after some positions of histories; for views that have such."""
        raise NotImplementedError

    def item(self, inputs: dict[str, Any], training: bool | None = None) -> Any:
        """The vectors of items; for subclasses."""
        raise NotImplementedError

    def placed(self, inputs: dict[str, Any]) -> Any | None:
        """What is added to another view's vectors of items without behaviour, or None."""
        return None

    def placed_parts(self, inputs: dict[str, Any]) -> Parts:
        """What `placed`, where there is any, is the sum of."""
        return {}

    def query_parts(self, inputs: dict[str, Any]) -> QueryParts:
        """What `query` is the sum of; for subclasses. See `tfrec.model.parts`."""
        raise NotImplementedError

    def item_parts(self, inputs: dict[str, Any]) -> Parts:
        """What `item` is the sum of, float32 [batch, dimension] each; for subclasses.

        By feature, and `behaviour` and `base`, as far as the view has them.
        """
        raise NotImplementedError

    def call(
        self, queries: dict[str, Any], items: dict[str, Any], training: bool | None = None
    ) -> Any:
        """Scores of rows' own query and item, float32 [batch]."""
        product = self.query(queries, training) * self.item(items, training)
        return keras.ops.sum(product, -1)

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {
            **super().get_config(),
            "dimension": self.dimension,
            "history_length": self.history_length,
        }
