"""From a handle to a frozen encoder."""

from __future__ import annotations

from tfrec.encoders.audio import AudioEncoder
from tfrec.encoders.encoder import Encoder
from tfrec.encoders.image import ImageEncoder, VideoEncoder
from tfrec.encoders.presets import find_preset
from tfrec.encoders.text import TextEncoder
from tfrec.errors import DescriptionError

__all__ = ["resolve"]


def resolve(handle: str, modality: str, *, max_length: int | None = None) -> Encoder:
    """Loads the frozen encoder that a dataset description names.

    Args:
        handle: `minilm`, `preset:NAME` or `NAME` (a folder on `TFREC_PRESETS`), `hf:PATH`, or a
            path.
        modality: `text`, `image`, `audio` or `video`.
        max_length: Text only: tokens kept; None takes the model's own limit.

    Returns:
        The encoder, its weights loaded.

    Raises:
        EncoderNotFoundError: The handle names nothing here; the message lists the remedies.
        DescriptionError: The folder can't be read, or holds a model of another modality.
    """
    preset = find_preset(handle)
    if modality == "text":
        return TextEncoder(preset, max_length)
    if modality == "image":
        return ImageEncoder(preset)
    if modality == "audio":
        return AudioEncoder(preset)
    if modality == "video":
        return VideoEncoder(preset)
    raise DescriptionError(
        f"encoder {handle}",
        "encoders read text, image, audio and video features",
        received=modality,
        remedy="Leave `encoder` out of this feature",
    )
