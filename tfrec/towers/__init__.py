"""Towers: one feature, or a user's history, to one vector of the model's width."""

from tfrec.towers.audio_cnn import AudioCnnTower, AudioTower
from tfrec.towers.audio_crnn import AudioCrnnTower
from tfrec.towers.audio_transformer import AudioTransformerTower
from tfrec.towers.building import DEFAULT_TOWERS, build_history, build_tower, prepared_kind
from tfrec.towers.categorical import CategoricalTower, TagsTower
from tfrec.towers.history import HistoryTower
from tfrec.towers.history_attention import AttentionHistory
from tfrec.towers.history_causal import CausalHistory
from tfrec.towers.history_gru import GruHistory
from tfrec.towers.history_interests import InterestsHistory
from tfrec.towers.history_mean import MeanHistory
from tfrec.towers.history_time import TimeAndEvent, age_buckets
from tfrec.towers.history_transformer import TransformerHistory
from tfrec.towers.image_cnn import ImageCnnTower
from tfrec.towers.image_resnet import ImageResnetTower
from tfrec.towers.image_transformer import ImageTransformerTower
from tfrec.towers.neighbours import NeighboursTower
from tfrec.towers.numeric import PeriodicTower, PiecewiseLinearTower
from tfrec.towers.pooling import TokenPooling
from tfrec.towers.pretrained_audio import PretrainedAudioTower
from tfrec.towers.pretrained_image import PretrainedImageTower
from tfrec.towers.pretrained_text import PretrainedTextTower
from tfrec.towers.projection import ProjectionTower
from tfrec.towers.sentiment import SentimentTower
from tfrec.towers.target_attention import TargetAttention
from tfrec.towers.text_bag import WordBagTower
from tfrec.towers.text_cnn import TextCnnTower
from tfrec.towers.text_rnn import TextRnnTower
from tfrec.towers.text_transformer import TextTransformerTower
from tfrec.towers.tower import Tower
from tfrec.towers.vector_file import read_word_vectors
from tfrec.towers.video import VideoTower
from tfrec.towers.word_vectors import Coverage, WordVectorsTower
from tfrec.towers.words import TextTower, hash_words

__all__ = [
    "DEFAULT_TOWERS",
    "AttentionHistory",
    "AudioCnnTower",
    "AudioCrnnTower",
    "AudioTower",
    "AudioTransformerTower",
    "CategoricalTower",
    "CausalHistory",
    "Coverage",
    "GruHistory",
    "HistoryTower",
    "ImageCnnTower",
    "ImageResnetTower",
    "ImageTransformerTower",
    "InterestsHistory",
    "MeanHistory",
    "NeighboursTower",
    "PeriodicTower",
    "PiecewiseLinearTower",
    "PretrainedAudioTower",
    "PretrainedImageTower",
    "PretrainedTextTower",
    "ProjectionTower",
    "SentimentTower",
    "TagsTower",
    "TargetAttention",
    "TextCnnTower",
    "TextRnnTower",
    "TextTower",
    "TextTransformerTower",
    "TimeAndEvent",
    "TokenPooling",
    "Tower",
    "TransformerHistory",
    "VideoTower",
    "WordBagTower",
    "WordVectorsTower",
    "age_buckets",
    "build_history",
    "build_tower",
    "hash_words",
    "prepared_kind",
    "read_word_vectors",
]
