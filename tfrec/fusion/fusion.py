"""The base of fusion layers: several modalities' vectors to one, whichever of them are present."""

from __future__ import annotations

from typing import Any

import keras

__all__ = ["Fusion"]

ops = keras.ops
Tensor = Any


class Fusion(keras.layers.Layer):
    """Joins one vector (or several tokens) of each modality into one vector.

    Subclasses write `fuse`, on vectors stacked in the modalities' alphabetical order. The base sees
    to what all have in common: a modality of another width is first brought to `dimension` by a
    dense layer; what is missing is replaced by zeros before anything reads it, whatever it holds
    (NaN too), and `present` tells `fuse` to leave it out of account; weights are by occlusion
    where a method has none of its own.

    Args:
        dimension: Width of the result.
        **kwargs: Keras' own: name, dtype.
    """

    # Whether `fuse` reads `self.tokens`, each modality's tokens before they are averaged.
    reads_tokens = False

    def __init__(self, dimension: int, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)
        if dimension < 1:
            raise ValueError(f"`dimension` must be positive. Received: dimension={dimension}")
        self.dimension = dimension
        self.names: tuple[str, ...] = ()
        self.widths: dict[str, int] = {}
        self._projections: dict[str, keras.layers.Dense] = {}

    def add_weight(self, *args: Any, **options: Any) -> Any:
        """A weight that stays in float32: Keras would read it in half precision, a table whole."""
        return super().add_weight(*args, **{"autocast": False, **options})

    def build(self, inputs_shape: dict[str, Any], masks_shape: Any = None) -> None:
        """Notes the modalities and their widths, and builds the weights."""
        self.names = tuple(sorted(inputs_shape))
        if not self.names:
            raise ValueError("a fusion needs at least one modality. Received: none")
        for name in self.names:
            width = int(inputs_shape[name][-1])
            self.widths[name] = width
            if width != self.dimension:
                layer = self.dense(self.dimension, name=f"project_{name}")
                layer.build((None, width))
                self._projections[name] = layer
        self.build_fusion(len(self.names))
        self.built = True

    def build_fusion(self, modalities: int) -> None:
        """Makes the weights of `fuse` for so many modalities; for subclasses."""

    def fuse(self, vectors: Tensor, present: Tensor, training: bool | None) -> Tensor:
        """Joins; for subclasses.

        Args:
            vectors: [batch, modalities, dimension] in the layer's precision, zeros for missing.
            present: The same type, [batch, modalities], 1 or 0.
            training: Whether this is a training step.

        Returns:
            [batch, dimension], and [batch, modalities] weights, or None where the method has none.
        """
        raise NotImplementedError

    def call(
        self,
        inputs: dict[str, Tensor],
        masks: dict[str, Tensor] | None = None,
        return_weights: bool = False,
        training: bool | None = None,
    ) -> Any:
        """Fuses a batch.

        Args:
            inputs: By modality, float [batch, width] or [batch, tokens, width].
            masks: By modality, bool [batch]; a modality without one is always present.
            return_weights: Whether to tell what share each modality had.
            training: Whether this is a training step.

        Returns:
            float [batch, dimension]; with `return_weights` also a dict of float32 [batch] by
            modality: shares that sum to 1, 0 for what is missing.

        Raises:
            ValueError: The modalities, or the width of one, are not those that the layer was built
                with.
        """
        if tuple(sorted(inputs)) != self.names:
            raise ValueError(
                f"the modalities must be those the layer was built with, {', '.join(self.names)}."
                f" Received: {', '.join(sorted(inputs))}"
            )
        tokens = {}
        flags = []
        for name in self.names:
            value = ops.cast(inputs[name], self.compute_dtype)
            if value.shape[-1] != self.widths[name]:
                raise ValueError(
                    f"vectors of `{name}` must be {self.widths[name]} wide, as those that the layer"
                    f" was built with. Received: {value.shape[-1]}"
                )
            mask = None if masks is None else masks.get(name)
            if mask is None:
                flag = ops.ones(ops.shape(value)[:1], "bool")
            else:
                flag = ops.cast(mask, "bool")
            shape = (-1,) + (1,) * (len(value.shape) - 1)
            value = ops.where(ops.reshape(flag, shape), value, ops.zeros_like(value))
            if name in self._projections:
                value = self._projections[name](value)
                # A bias would make a vector of nothing.
                value = ops.where(ops.reshape(flag, shape), value, ops.zeros_like(value))
            tokens[name] = value if len(value.shape) == 3 else value[:, None]
            flags.append(ops.cast(flag, self.compute_dtype))
        present = ops.stack(flags, 1)
        fused, weights = self._fuse(tokens, present, training)
        if not return_weights:
            return fused
        if weights is None:
            weights = self._occlusion(tokens, present, fused)
        weights = ops.cast(weights, "float32")
        return fused, {name: weights[:, place] for place, name in enumerate(self.names)}

    def fuse_tokens(
        self, tokens: list[Tensor], present: Tensor, training: bool | None
    ) -> tuple[Tensor, Tensor | None]:
        """As `fuse`, on [batch, tokens, dimension] each; for subclasses with `reads_tokens`."""
        raise NotImplementedError

    def _fuse(
        self, tokens: dict[str, Tensor], present: Tensor, training: bool | None
    ) -> tuple[Tensor, Tensor | None]:
        if self.reads_tokens:
            return self.fuse_tokens([tokens[name] for name in self.names], present, training)
        vectors = ops.stack([ops.mean(tokens[name], 1) for name in self.names], 1)
        result = self.fuse(vectors, present, training)
        return result if isinstance(result, tuple) else (result, None)

    def _occlusion(self, tokens: dict[str, Tensor], present: Tensor, fused: Tensor) -> Tensor:
        """How far the result moves when a modality is taken away (Zeiler & Fergus, 2014)."""
        moved = []
        for place, name in enumerate(self.names):
            without = {**tokens, name: ops.zeros_like(tokens[name])}
            keep = ops.cast([float(i != place) for i in range(len(self.names))], present.dtype)
            other, _ = self._fuse(without, present * keep, False)
            change = ops.cast(fused, "float32") - ops.cast(other, "float32")
            moved.append(ops.sqrt(ops.sum(ops.square(change), -1)))
        shares = ops.stack(moved, 1) * ops.cast(present, "float32")
        return shares / ops.maximum(ops.sum(shares, -1, keepdims=True), 1e-9)

    def dense(self, units: int, **options: Any) -> keras.layers.Dense:
        """A dense layer of this layer's precision; for subclasses."""
        return keras.layers.Dense(units, dtype=self.dtype_policy, **options)

    def built_dense(self, width: int, units: int, **options: Any) -> keras.layers.Dense:
        """A dense layer from `width` to `units`, built; for subclasses."""
        layer = self.dense(units, **options)
        layer.build((None, width))
        return layer

    def flat(self, vectors: Tensor, present: Tensor) -> Tensor:
        """[x_1; …; x_m; p_1; …; p_m], modalities * (dimension + 1) wide; for subclasses.

        The flags tell a layer a vector of zeros from a missing one.
        """
        joined = ops.reshape(vectors, (-1, len(self.names) * self.dimension))
        return ops.concatenate([joined, present], -1)

    def per_modality(self, modalities: int, units: int, name: str) -> Any:
        """A matrix for each modality, [modalities, dimension, units]; for subclasses."""
        # Keras counts the first axis into the fans; the scale takes that back.
        initializer = keras.initializers.VarianceScaling(modalities, "fan_avg", "uniform")
        return self.add_weight(
            shape=(modalities, self.dimension, units), initializer=initializer, name=name
        )

    def mapped(self, vectors: Tensor, matrices: Any) -> Tensor:
        """Each modality by its own matrix, [batch, modalities, units]; for subclasses."""
        return ops.einsum("bkd,kde->bke", vectors, ops.cast(matrices, vectors.dtype))

    def compute_output_shape(
        self, inputs_shape: dict[str, Any], masks_shape: Any = None
    ) -> tuple[Any, int]:
        """One vector for each row."""
        return (next(iter(inputs_shape.values()))[0], self.dimension)

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {**super().get_config(), "dimension": self.dimension}
