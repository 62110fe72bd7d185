"""Normalise columns of text by the served graph's own function."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from tfrec.config import FeatureConfig

__all__ = ["normalize_texts"]

# As the served graph: bytes of a text that are read, for each token that is kept.
_BYTES_PER_TOKEN = 64
_DEFAULT_TOKENS = 128
_BATCH = 4096


def normalize_texts(column: Any, config: FeatureConfig) -> Any:
    """Normalises texts: NFC, single spaces, no control characters, of bounded length.

    Args:
        column: Strings, null where missing.
        config: The text feature.

    Returns:
        Strings, null where nothing is left.
    """
    import tensorflow as tf

    from tfrec.media import normalize_text

    limit = _BYTES_PER_TOKEN * (config.max_length or _DEFAULT_TOKENS)
    output: list[str | None] = []
    for start in range(0, len(column), _BATCH):
        texts = column.slice(start, _BATCH).to_pylist()
        data = [b"" if text is None else text.encode() for text in texts]
        normal = normalize_text(tf.strings.substr(tf.constant(data, tf.string), 0, limit)).numpy()
        output += [text.decode("utf-8") or None for text in normal.tolist()]
    return pa.array(output, pa.string())
