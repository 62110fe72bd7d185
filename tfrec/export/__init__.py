"""From a trained run to a SavedModel version that an unmodified TensorFlow Serving answers."""

from tfrec.export.archive import write_saved_model
from tfrec.export.serving_graph import ServingGraph
from tfrec.export.session import ServedModel
from tfrec.export.source import ServingSource, UserRecords

__all__ = ["ServedModel", "ServingGraph", "ServingSource", "UserRecords", "write_saved_model"]
