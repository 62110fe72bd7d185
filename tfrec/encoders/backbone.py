"""Load a keras-hub backbone from a preset's folder, frozen, with errors that name the folder."""

from __future__ import annotations

from typing import Any

import keras

from tfrec.encoders.presets import Preset
from tfrec.errors import DescriptionError

__all__ = ["TOKEN_INPUTS", "check_modality", "load_backbone", "load_part", "modality_of"]

TOKEN_INPUTS = ("token_ids", "padding_mask", "segment_ids")


def load_backbone(preset: Preset) -> keras.Model:
    """Loads the pretrained model of a preset without its task head.

    Args:
        preset: The folder, in keras-hub's format or Hugging Face's.

    Returns:
        The backbone in float32, not trainable.

    Raises:
        DescriptionError: keras-hub can't read it.
    """
    import keras_hub

    backbone = load_part(keras_hub.models.Backbone, preset, "model", dtype="float32")
    if not preset.is_keras_hub and preset.config.get("hidden_act") == "gelu":
        # keras-hub builds BERT and ELECTRA with the tanh approximation, as Google's first release
        # had it; Hugging Face's "gelu" is the exact one. MiniLM's vectors would be 2.5e-4 off.
        for layer in backbone.layers:
            if isinstance(layer, keras_hub.layers.TransformerEncoder):
                layer._feedforward_intermediate_dense.activation = _exact_gelu
    backbone.trainable = False
    return backbone


def _exact_gelu(x: Any) -> Any:
    return keras.activations.gelu(x, approximate=False)


def load_part(kind: Any, preset: Preset, what: str, **options: Any) -> Any:
    """Calls `kind.from_preset(folder)`.

    Args:
        kind: A keras-hub class: Backbone, Tokenizer, ImageConverter and the like.
        preset: The folder.
        what: What to call it in an error.
        **options: Keyword arguments of `from_preset`.

    Raises:
        DescriptionError: keras-hub can't read it.
    """
    try:
        return kind.from_preset(str(preset.folder), **options)
    # keras-hub documents no exceptions; these are what damaged and unknown folders gave.
    except (ValueError, KeyError, OSError, TypeError, AttributeError, ImportError) as error:
        raise DescriptionError(
            f"encoder {preset.handle}",
            f"keras-hub must be able to load its {what} from {preset.folder}",
            received=str(error).strip().splitlines()[0] if str(error).strip() else repr(error),
            remedy="Name a complete preset of a model that keras-hub knows",
        ) from error


def modality_of(backbone: keras.Model) -> str:
    """The modality that a backbone reads, by the names and shapes of its inputs."""
    inputs = backbone.input
    if isinstance(inputs, dict):
        if "encoder_features" in inputs or "encoder_input_values" in inputs:
            return "audio"
        if "token_ids" in inputs or "encoder_token_ids" in inputs:
            return "text"
        inputs = next(iter(inputs.values()))
    return "image" if len(inputs.shape) == 4 else "unknown"


def check_modality(backbone: keras.Model, modality: str, where: str, reader: str) -> None:
    """Refuses a model that reads another modality than it is to.

    Args:
        backbone: The model.
        modality: What it must read: `text`, `image` or `audio`.
        where: For the error: `encoder NAME`.
        reader: For the error, who needs the model: `a text feature`.

    Raises:
        DescriptionError: It reads something else.
    """
    found = modality_of(backbone)
    if found != modality:
        raise DescriptionError(
            where,
            f"{reader} needs {'a' if modality == 'text' else 'an'} {modality} model",
            received=f"{type(backbone).__name__}, which reads {found}",
            remedy="Name another" + (", such as `minilm`" if modality == "text" else ""),
        )
