"""From a serving graph to a SavedModel's files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import keras
import tensorflow as tf

from tfrec.export.serving_graph import Endpoint, ServingGraph
from tfrec.export.variables import unwritable

__all__ = ["write_saved_model"]

# The catalogue's variables in the checkpoint are called CATALOGUE/i.
CATALOGUE = "catalogue"


def write_saved_model(
    graph: ServingGraph, path: Path, layers: Sequence[keras.layers.Layer] = ()
) -> None:
    """Writes every signature by `keras.export.ExportArchive`.

    `recommend` is also `serving_default`.

    Args:
        graph: The signatures.
        path: A folder, made here.
        layers: Keras layers that the graph calls; their lookup tables are written with it. Their
            weights are written as far as a signature reads them.

    Raises:
        ExportError: The folder can't be written.
    """
    archive = keras.export.ExportArchive()
    archive.track(_Resources(layers))
    archive.add_variable_collection(CATALOGUE, list(graph.variables))
    for name, endpoint in graph.endpoints.items():
        specs = [
            tf.TensorSpec(spec.shape, spec.dtype, input_name)
            for input_name, spec in endpoint.inputs.items()
        ]
        archive.add_endpoint(name, _traced(endpoint, specs), specs)
    try:
        archive.write_out(str(path), verbose=False)
    except tf.errors.OpError as error:
        raise unwritable(path, error) from error


class _Resources(tf.Module):
    """What layers hold beside weights: lookup tables, tokenisers.

    A Keras variable, reached through its layer, is one node of a SavedModel, and the TensorFlow
    variable in it, which signatures read, another: each weight would be written, and loaded, twice.
    """

    def __init__(self, layers: Sequence[keras.layers.Layer]) -> None:
        super().__init__()
        self.resources = [
            node
            for layer in layers
            for node in tf.train.TrackableView(layer).descendants()
            if isinstance(node, tf.saved_model.experimental.TrackableResource)
        ]


def _traced(
    endpoint: Endpoint, specs: Sequence[tf.TensorSpec]
) -> Callable[..., dict[str, tf.Tensor]]:
    """A signature, traced here once.

    Keras asks for its graph while listing variables, TensorFlow again while saving, and between the
    two nothing is remembered.
    """

    # The names of a signature's inputs come from its specs, so the function takes them in order.
    def answer(*tensors: tf.Tensor) -> dict[str, tf.Tensor]:
        return endpoint(**dict(zip(endpoint.inputs, tensors, strict=True)))

    graph = tf.function(answer, input_signature=specs, autograph=False).get_concrete_function()
    return lambda *tensors: graph(*tensors)
