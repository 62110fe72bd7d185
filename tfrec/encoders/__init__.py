"""Frozen pretrained encoders, by handle."""

from tfrec.encoders.audio import AudioEncoder
from tfrec.encoders.encoder import Encoder
from tfrec.encoders.image import ImageEncoder, VideoEncoder
from tfrec.encoders.presets import SEARCH_PATH, Preset, find_preset
from tfrec.encoders.resolving import resolve
from tfrec.encoders.text import TextEncoder

__all__ = [
    "SEARCH_PATH",
    "AudioEncoder",
    "Encoder",
    "ImageEncoder",
    "Preset",
    "TextEncoder",
    "VideoEncoder",
    "find_preset",
    "resolve",
]
