"""Augmentation on the fly, for training only: graph functions of a batch and a seed.

Each function is pure: equal input and seed give equal output, on every machine with the same
TensorFlow, so a resumed training goes on with the batches that it would have had. A seed is int32
[2], for example (seed, step); derive one for each function by `tf.random.split`.
"""

from tfrec.input.augmentation.augmenter import Augmenter
from tfrec.input.augmentation.histories import crop_history, mask_history, reorder_history
from tfrec.input.augmentation.modalities import drop_modalities
from tfrec.input.augmentation.pictures import flip_pictures, jitter_colours, resize_crops
from tfrec.input.augmentation.rand_augment import rand_augment
from tfrec.input.augmentation.sounds import add_noise, mask_spectrogram, shift_sounds
from tfrec.input.augmentation.videos import flip_videos, jitter_frames
from tfrec.input.augmentation.words import Synonyms, drop_words, mask_spans

__all__ = [
    "Augmenter",
    "Synonyms",
    "add_noise",
    "crop_history",
    "drop_modalities",
    "drop_words",
    "flip_pictures",
    "flip_videos",
    "jitter_colours",
    "jitter_frames",
    "mask_history",
    "mask_spans",
    "mask_spectrogram",
    "rand_augment",
    "reorder_history",
    "resize_crops",
    "shift_sounds",
]
