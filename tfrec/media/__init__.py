"""Decoding and normalising raw media in TensorFlow ops, for preprocessing and the served graph."""

from tfrec.media.audio import decode_audio, resample
from tfrec.media.image import MAX_PIXELS, decode_image
from tfrec.media.spectrogram import log_mel, mel_filters
from tfrec.media.text import normalize_text

__all__ = [
    "MAX_PIXELS",
    "decode_audio",
    "decode_image",
    "log_mel",
    "mel_filters",
    "normalize_text",
    "resample",
]
