"""Text is normalised as Python's own library does it."""

from __future__ import annotations

import unicodedata

import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tfrec.media import normalize_text


def normal(text: bytes) -> str:
    return normalize_text(tf.constant([text])).numpy()[0].decode("utf-8")


def test_spaces_and_controls_of_every_alphabet_become_one_space() -> None:
    """No-break, ideographic and zero-width line separators, tabs, NUL."""
    assert normal("\u00a0a\u3000\t b\x00\u2028c\r\n".encode()) == "a b c"


def test_bytes_that_are_not_utf8_are_replaced() -> None:
    """Latin-1 bytes don't raise in a server."""
    assert normal("caf\u00e9".encode("latin-1")) == "caf\ufffd"


@settings(deadline=None, max_examples=100)
@given(st.text(max_size=30))
def test_the_form_is_nfc_and_stable(text: str) -> None:
    """NFC by `unicodedata`; normalising twice is normalising once."""
    once = normal(text.encode())
    assert unicodedata.is_normalized("NFC", once)
    assert normal(once.encode()) == once
    kept = [c for c in unicodedata.normalize("NFC", text) if unicodedata.category(c)[0] not in "ZC"]
    got = [c for c in once if unicodedata.category(c)[0] not in "ZC"]
    assert got == kept
