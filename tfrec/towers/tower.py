"""The base of towers: one prepared feature to one vector of the model's width."""

from __future__ import annotations

from typing import Any, ClassVar

import keras
import tensorflow as tf

from tfrec.schema import FeatureSpec

__all__ = ["Tower"]

ops = keras.ops
Tensor = Any


class Tower(keras.layers.Layer):
    """Turns a feature in its prepared form into [batch, dimension].

    Subclasses write `features`, of any width; the base projects to `dimension` and brings the
    result to length 1 times a learned scale, so that no modality drowns another in the fusion by
    its length alone (on MovieLens small, text of its own length beside ids cost a quarter of NDCG).

    Args:
        dimension: Width of the result.
        normalize: Whether to bring the result to unit length times the learned scale.
        **kwargs: Keras' own: name, dtype.

    Attributes:
        modalities: What it reads: modalities of `FeatureSpec`, and `vector` for embeddings and for
            encodings that preprocessing made.
    """

    modalities: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, dimension: int, *, normalize: bool = True, **kwargs: Any) -> None:
        # Casts are explicit: in half precision a number's or an age's digits would be lost first.
        super().__init__(autocast=False, **kwargs)
        if dimension < 1:
            raise ValueError(f"`dimension` must be positive. Received: dimension={dimension}")
        self.dimension = dimension
        self.normalize = normalize

    def add_weight(self, *args: Any, **options: Any) -> Any:
        """A weight that stays in float32: Keras would read it in half precision, a table whole."""
        return super().add_weight(*args, **{"autocast": False, **options})

    @classmethod
    def arguments(cls, spec: FeatureSpec) -> dict[str, Any]:
        """What the constructor needs to know of a feature; for subclasses."""
        return {}

    def prepare(self, inputs: Tensor) -> Tensor:
        """The part of the work that learns nothing: words to indices, sounds to spectrograms.

        `call` does it too, when it hasn't been done. A training loop that does it once, before the
        first epoch, saves it in every step, and may compile the steps, since no strings are left.
        """
        return inputs

    def build(self, inputs_shape: Any) -> None:
        """Builds the weights."""
        width = self.build_features(inputs_shape)
        self.projection = self.dense(self.dimension, name="projection")
        self.projection.build((None, width))
        if self.normalize:
            self.scale = self.add_weight(
                shape=(), initializer="ones", name="scale", dtype="float32"
            )
        self.built = True

    def build_features(self, inputs_shape: Any) -> int:
        """Makes the weights of `features`, and tells its width; for subclasses."""
        raise NotImplementedError

    def features(self, inputs: Tensor, training: bool | None) -> Tensor:
        """From prepared input to float [batch, width]; for subclasses."""
        raise NotImplementedError

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        """Embeds a batch.

        Args:
            inputs: The feature in its prepared form (see `tfrec.schema`), or what `prepare` gave.
            training: Whether this is a training step.

        Returns:
            float [batch, dimension] in the layer's precision.
        """
        return self.scaled(self.projection(self.features(self.prepare(inputs), training)))

    def check_width(self, vectors: Tensor, width: int) -> None:
        """Refuses vectors that are not as wide as those that the tower was built with.

        Raises:
            ValueError: They are of another width.
        """
        if vectors.shape[-1] != width:
            raise ValueError(
                f"the vectors of `{self.name}` must be {width} wide, as those that it was built"
                f" with. Received: {vectors.shape[-1]}. Encode with the same encoder"
            )

    def scaled(self, output: Tensor) -> Tensor:
        """The projected vector at its final length; for subclasses that project by themselves."""
        if not self.normalize:
            return output
        # In float16 a square of 256 overflows.
        output = ops.cast(output, "float32")
        length = ops.sqrt(ops.sum(ops.square(output), -1, keepdims=True) + 1e-12)
        return ops.cast(output / length * self.scale, self.compute_dtype)

    def dense(self, units: int, **options: Any) -> keras.layers.Dense:
        """A dense layer of this layer's precision; for subclasses."""
        return keras.layers.Dense(units, dtype=self.dtype_policy, **options)

    def table(self, rows: int, width: int, name: str = "table") -> Any:
        """An embedding table in float32; for subclasses, to be read by `rows_of`."""
        return self.add_weight(
            shape=(rows, width),
            initializer=keras.initializers.RandomNormal(stddev=width**-0.5),
            name=name,
            dtype="float32",
        )

    def rows_of(self, table: Any, indices: Tensor) -> Tensor:
        """Gathers rows of a table, in the layer's precision, with a sparse gradient.

        Reads the variable itself: a gather from its value would first copy the whole table.

        Args:
            table: What `table` gave.
            indices: int, any shape; those beyond the table are read as its last row.
        """
        indices = tf.clip_by_value(indices, 0, table.shape[0] - 1)
        return ops.cast(tf.gather(table.value, indices), self.compute_dtype)

    def compute_output_shape(self, inputs_shape: Any) -> tuple[Any, int]:
        """One vector for each row."""
        return (inputs_shape[0], self.dimension)

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {
            **super().get_config(),
            "dimension": self.dimension,
            "normalize": self.normalize,
        }
