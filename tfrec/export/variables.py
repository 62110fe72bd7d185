"""The variables of a written SavedModel by name: read, and written anew beside the same graph.

A serving graph's variables have an open first dimension, so a catalogue can grow, shrink and change
without a node of the graph, or a weight of the towers, being touched: only `variables/` differs.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfrec.errors import ExportError

__all__ = ["Variables", "unwritable"]

_PREFIX = Path("variables") / "variables"
_OBJECTS = "_CHECKPOINTABLE_OBJECT_GRAPH"
# The catalogue's variables in the checkpoint are called catalogue/NUMBER/….
_COLLECTION = "catalogue/"


class Variables:
    """The catalogue's variables of a version.

    Args:
        version: Its folder.

    Raises:
        ExportError: The checkpoint is missing or damaged.
    """

    def __init__(self, version: Path) -> None:
        self._path = version / _PREFIX
        try:
            self._reader = tf.train.load_checkpoint(str(self._path))
            self._shapes = self._reader.get_variable_to_shape_map()
            self._keys = self._named()
        except (tf.errors.OpError, ValueError, KeyError) as error:
            raise self._damaged(error) from error

    @property
    def names(self) -> list[str]:
        """Names of the catalogue's variables, as they were made: `items/values`, `index/items`."""
        return sorted(self._keys)

    def rows(self, name: str) -> int:
        """How many rows a variable has; 0 for a scalar."""
        shape = self._shapes[self._keys[name]]
        return int(shape[0]) if shape else 0

    def read(self, name: str) -> np.ndarray:
        """The value of a variable.

        Raises:
            ExportError: It is damaged.
        """
        try:
            return np.asarray(self._reader.get_tensor(self._keys[name]))
        except (tf.errors.OpError, RuntimeError) as error:
            raise self._damaged(error) from error

    def write(self, version: Path, changed: Mapping[str, np.ndarray]) -> None:
        """Writes all variables of the model to another version's folder.

        Args:
            version: A folder that holds the same graph.
            changed: New values, by name; the others stay.
        """
        new = {self._keys[name]: value for name, value in changed.items()}
        keys = sorted(self._shapes)
        types = self._reader.get_variable_to_dtype_map()
        try:
            tensors = [
                tf.constant(new[key] if key in new else self._reader.get_tensor(key), types[key])
                for key in keys
            ]
        except (tf.errors.OpError, RuntimeError) as error:
            raise self._damaged(error) from error
        target = version / _PREFIX
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            tf.raw_ops.SaveV2(
                prefix=str(target),
                tensor_names=keys,
                shape_and_slices=[""] * len(keys),
                tensors=tensors,
            )
        except tf.errors.OpError as error:
            raise unwritable(version, error) from error

    def _named(self) -> dict[str, str]:
        from tensorflow.core.protobuf import trackable_object_graph_pb2

        graph = trackable_object_graph_pb2.TrackableObjectGraph()
        graph.ParseFromString(self._reader.get_tensor(_OBJECTS))
        return {
            attribute.full_name: attribute.checkpoint_key
            for node in graph.nodes
            for attribute in node.attributes
            if attribute.checkpoint_key.startswith(_COLLECTION)
        }

    def _damaged(self, error: Exception) -> ExportError:
        return ExportError(
            str(self._path),
            "a version's variables can be read",
            received=" ".join(str(error).split()) or type(error).__name__,
            remedy="Export the run again, or start from another version by --base",
        )


def unwritable(version: Path, error: tf.errors.OpError) -> ExportError:
    """What TensorFlow says when a disk is full or a folder may not be written."""
    return ExportError(
        str(version.parent),
        "a version can be written here",
        received=" ".join(error.message.split()),
        remedy="Free space or change the permissions; versions published before are untouched",
    )
