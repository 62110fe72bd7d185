"""What is changed at random in training, and only there."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

__all__ = [
    "AudioAugmentation",
    "AugmentationConfig",
    "ImageAugmentation",
    "TextAugmentation",
    "VideoAugmentation",
]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ImageAugmentation(_Frozen):
    """Of pictures.

    Attributes:
        least_area: Smallest share of a picture that a random resized crop keeps; 1 is no crop.
        flip: Share that is mirrored.
        colour: Largest change of brightness, contrast and saturation.
        operations: RandAugment's operations on each picture.
        magnitude: How strong these are, 0 to 1.
    """

    least_area: float = Field(0.5, gt=0, le=1)
    flip: float = Field(0.5, ge=0, le=1)
    colour: float = Field(0.2, ge=0, lt=1)
    operations: int = Field(0, ge=0, le=8)
    magnitude: float = Field(0.3, gt=0, le=1)


class VideoAugmentation(_Frozen):
    """Of videos.

    Attributes:
        jitter: Each frame is exchanged for one up to so many places away, in order.
        flip: Share that is mirrored, all frames alike.
    """

    jitter: int = Field(1, ge=0)
    flip: float = Field(0.5, ge=0, le=1)


class AudioAugmentation(_Frozen):
    """Of log-mel spectrograms (SpecAugment).

    Attributes:
        time_mask: Longest span of frames that is masked.
        frequency_mask: Longest span of bands that is masked.
    """

    time_mask: int = Field(10, ge=0)
    frequency_mask: int = Field(8, ge=0)


class TextAugmentation(_Frozen):
    """Of word indices.

    Attributes:
        drop: Chance that a word is left out.
    """

    drop: float = Field(0.1, gt=0, lt=1)


class AugmentationConfig(_Frozen):
    """One part for each modality that the model reads in its raw form; none unless given."""

    image: ImageAugmentation | None = None
    video: VideoAugmentation | None = None
    audio: AudioAugmentation | None = None
    text: TextAugmentation | None = None
