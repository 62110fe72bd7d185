"""Normalise text: the same strings in preprocessing and in the served graph."""

from __future__ import annotations

import tensorflow as tf
import tensorflow_text as tf_text

__all__ = ["normalize_text"]


def normalize_text(strings: tf.Tensor) -> tf.Tensor:
    r"""Brings text to valid UTF-8 in NFC, with single spaces and no control characters.

    Bytes that are not UTF-8 become U+FFFD, so that no input raises. Runs of white space of any
    alphabet (no-break and ideographic spaces, line ends, tabs) and of control characters become one
    space; the ends are cut. Case and punctuation stay.

    Args:
        strings: string, any shape.

    Returns:
        string of the same shape.

    Example:
        >>> normalize_text(tf.constant([" Cafe\u0301\u00a0\n noir "])).numpy()[0].decode()
        'Café noir'
    """
    valid = tf.strings.unicode_transcode(strings, "UTF-8", "UTF-8", errors="replace")
    composed = tf_text.normalize_utf8(valid, "NFC")
    return tf.strings.strip(tf.strings.regex_replace(composed, r"[\s\pZ\p{Cc}]+", " "))
