"""Towers: one feature, or a user's history, to one vector of the model's width."""

from tfrec.towers.audio_cnn import AudioCnnTower, AudioTower
from tfrec.towers.audio_crnn import AudioCrnnTower
from tfrec.towers.audio_transformer import AudioTransformerTower
from tfrec.towers.building import DEFAULT_TOWERS, build_history, build_tower, prepared_kind
from tfrec.towers.categorical import CategoricalTower, TagsTower
from tfrec.towers.history import HistoryTower
from tfrec.towers.history_attention import AttentionHistory
from tfrec.towers.history_gru import GruHistory
from tfrec.towers.history_mean import MeanHistory
from tfrec.towers.history_time import TimeAndEvent, age_buckets
from tfrec.towers.history_transformer import TransformerHistory
from tfrec.towers.image_cnn import ImageCnnTower
from tfrec.towers.image_resnet import ImageResnetTower
from tfrec.towers.image_transformer import ImageTransformerTower
from tfrec.towers.numeric import PeriodicTower, PiecewiseLinearTower
from tfrec.towers.projection import ProjectionTower
from tfrec.towers.text_bag import WordBagTower
from tfrec.towers.text_cnn import TextCnnTower
from tfrec.towers.text_rnn import TextRnnTower
from tfrec.towers.text_transformer import TextTransformerTower
from tfrec.towers.tower import Tower
from tfrec.towers.video import VideoTower
from tfrec.towers.words import TextTower, hash_words

__all__ = [
    "DEFAULT_TOWERS",
    "AttentionHistory",
    "AudioCnnTower",
    "AudioCrnnTower",
    "AudioTower",
    "AudioTransformerTower",
    "CategoricalTower",
    "GruHistory",
    "HistoryTower",
    "ImageCnnTower",
    "ImageResnetTower",
    "ImageTransformerTower",
    "MeanHistory",
    "PeriodicTower",
    "PiecewiseLinearTower",
    "ProjectionTower",
    "TagsTower",
    "TextCnnTower",
    "TextRnnTower",
    "TextTower",
    "TextTransformerTower",
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
