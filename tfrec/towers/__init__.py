"""Towers: one feature in its prepared form to one vector of the model's width."""

from tfrec.towers.audio_cnn import AudioCnnTower, AudioTower
from tfrec.towers.building import DEFAULT_TOWERS, build_history, build_tower, prepared_kind
from tfrec.towers.categorical import CategoricalTower, TagsTower
from tfrec.towers.history import HistoryTower
from tfrec.towers.history_attention import AttentionHistory
from tfrec.towers.history_gru import GruHistory
from tfrec.towers.history_mean import MeanHistory
from tfrec.towers.history_time import TimeAndEvent, age_buckets
from tfrec.towers.history_transformer import TransformerHistory
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
    "AttentionHistory",
    "AudioCnnTower",
    "AudioTower",
    "CategoricalTower",
    "GruHistory",
    "HistoryTower",
    "ImageCnnTower",
    "MeanHistory",
    "PeriodicTower",
    "PiecewiseLinearTower",
    "ProjectionTower",
    "TagsTower",
    "TextCnnTower",
    "TextTower",
    "TimeAndEvent",
    "Tower",
    "TransformerHistory",
    "VideoTower",
    "WordBagTower",
    "age_buckets",
    "build_history",
    "build_tower",
    "hash_words",
    "prepared_kind",
]
