"""Towers: one feature in its prepared form to one vector of the model's width."""

from tfrec.towers.audio_cnn import AudioCnnTower, AudioTower
from tfrec.towers.building import DEFAULT_TOWERS, build_tower, prepared_kind
from tfrec.towers.categorical import CategoricalTower, TagsTower
from tfrec.towers.image_cnn import ImageCnnTower
from tfrec.towers.numeric import PeriodicTower, PiecewiseLinearTower
from tfrec.towers.projection import ProjectionTower
from tfrec.towers.text_bag import WordBagTower
from tfrec.towers.text_cnn import TextCnnTower
from tfrec.towers.tower import Tower
from tfrec.towers.video import VideoTower
from tfrec.towers.words import TextTower, hash_words

__all__ = [
    "DEFAULT_TOWERS",
    "AudioCnnTower",
    "AudioTower",
    "CategoricalTower",
    "ImageCnnTower",
    "PeriodicTower",
    "PiecewiseLinearTower",
    "ProjectionTower",
    "TagsTower",
    "TextCnnTower",
    "TextTower",
    "Tower",
    "VideoTower",
    "WordBagTower",
    "build_tower",
    "hash_words",
    "prepared_kind",
]
