"""What `search` finds new items by, from their raw cells and an export's own `embed_text`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfrec.export.session import ServedModel

__all__ = ["EMBED_TEXT", "text_vectors"]

EMBED_TEXT = "embed_text"


def text_vectors(
    served: ServedModel, names: Sequence[str], cells: Mapping[str, list[Any]], rows: int
) -> np.ndarray:
    """Vectors of items' texts.

    Args:
        served: A version with `embed_text`.
        names: The texts, as its catalogue file has them.
        cells: By name; `None` and a column that isn't there are missing.
        rows: How many items.

    Returns:
        float32 [rows, texts, E] of length 1; zeros for a missing or blank text.
    """
    definition = served.signatures[EMBED_TEXT].outputs["embedding"]
    width = definition.tensor_shape.dim[-1].size
    vectors = np.zeros((rows, len(names), width), np.float32)
    for place, name in enumerate(names):
        texts = [cell or "" for cell in cells.get(name, [])]
        there = [row for row, text in enumerate(texts) if text]
        if there:
            column = np.array([texts[row].encode() for row in there], object)
            vectors[there, place] = served.run(EMBED_TEXT, {"text": column})["embedding"]
    return vectors
