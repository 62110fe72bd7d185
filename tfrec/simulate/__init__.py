"""A small music service as real files, with a known truth behind it."""

from tfrec.simulate.catalogue import Song, new_song
from tfrec.simulate.config import MODALITIES, SimulationConfig
from tfrec.simulate.service import SimulationSummary, simulate
from tfrec.simulate.truth import Truth

__all__ = [
    "MODALITIES",
    "SimulationConfig",
    "SimulationSummary",
    "Song",
    "Truth",
    "new_song",
    "simulate",
]
