"""Apply a configuration of augmentation to what item towers read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

from tfrec.config.augmentation import AugmentationConfig
from tfrec.errors import DescriptionError
from tfrec.input.augmentation.pictures import flip_pictures, jitter_colours, resize_crops
from tfrec.input.augmentation.rand_augment import rand_augment
from tfrec.input.augmentation.sounds import mask_spectrogram
from tfrec.input.augmentation.videos import flip_videos, jitter_frames

__all__ = ["Augmenter"]

Change = Callable[[Any, Any], Any]


class Augmenter:
    """Changes raw features of a batch at random; equal seeds give equal batches.

    Args:
        config: What is changed, and how much.
        kinds: By feature, what its tower reads: `image`, `video`, `audio` (spectrograms), `text`
            (word indices), or another kind, which is left alone.

    Raises:
        DescriptionError: It would do nothing: no feature is of a kind that it names.
    """

    def __init__(self, config: AugmentationConfig, kinds: Mapping[str, str]) -> None:
        named = {name for name, part in config if part is not None}
        for kind in sorted(named - set(kinds.values())) or ([] if named else [""]):
            told = ", ".join(f"{name} ({what})" for name, what in kinds.items()) or "none"
            raise DescriptionError(
                f"augmentation.{kind}".rstrip("."),
                f"augmentation changes raw {kind or 'media'} that the model reads",
                received=f"the features {told}",
                remedy="Leave it out, or preprocess with --no-encode to train on raw media",
            )
        changes = _changes(config)
        self._changes = {name: changes[what] for name, what in kinds.items() if what in named}

    @property
    def features(self) -> tuple[str, ...]:
        """The features that are changed."""
        return tuple(self._changes)

    def one(self, name: str, value: Any, seed: Any) -> Any:
        """Changes one feature.

        Args:
            name: The feature.
            value: What its tower reads.
            seed: int32 [2].
        """
        change = self._changes.get(name)
        return value if change is None else change(value, seed)

    def __call__(self, inputs: Mapping[str, Any], seed: Any) -> dict[str, Any]:
        """Changes the features of a batch.

        Args:
            inputs: Inputs of the item tower.
            seed: int32 [2].

        Returns:
            The same, of the same shapes and types.
        """
        changed = dict(inputs)
        names = [name for name in self._changes if name in changed]
        for own, name in zip(
            tf.unstack(tf.random.split(seed, max(len(names), 1))), names, strict=False
        ):
            changed[name] = self.one(name, changed[name], own)
        return changed


def _changes(config: AugmentationConfig) -> dict[str, Change]:
    def image(value: Any, seed: Any) -> Any:
        part = config.image
        assert part is not None
        seeds = tf.unstack(tf.random.split(seed, 4))
        if part.least_area < 1:
            value = resize_crops(value, seeds[0], least_area=part.least_area)
        if part.flip:
            value = flip_pictures(value, seeds[1], share=part.flip)
        if part.colour:
            spread = part.colour
            value = jitter_colours(
                value, seeds[2], brightness=spread, contrast=spread, saturation=spread
            )
        if part.operations:
            value = rand_augment(
                value, seeds[3], operations=part.operations, magnitude=part.magnitude
            )
        return value

    def video(value: Any, seed: Any) -> Any:
        part = config.video
        assert part is not None
        seeds = tf.unstack(tf.random.split(seed, 2))
        value = jitter_frames(value, seeds[0], most=part.jitter)
        return flip_videos(value, seeds[1], share=part.flip)

    def audio(value: Any, seed: Any) -> Any:
        part = config.audio
        assert part is not None
        return mask_spectrogram(
            value, seed, most_time=part.time_mask, most_frequency=part.frequency_mask
        )

    def text(value: Any, seed: Any) -> Any:
        part = config.text
        assert part is not None
        draws = tf.random.stateless_uniform(tf.shape(value), seed)
        # The word with the highest draw of each text stays; 0 is padding.
        best = tf.reduce_max(tf.where(value > 0, draws, -1.0), -1, keepdims=True)
        return tf.where((draws >= part.drop) | (draws == best), value, tf.zeros_like(value))

    return {"image": image, "video": video, "audio": audio, "text": text}
