"""Tiny presets, made by the tests themselves."""

from __future__ import annotations

import json
from pathlib import Path

import keras
import keras_hub
import numpy as np
import safetensors.numpy

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "song", "of", "cafe", "##s", "!", "b"]


def bert_weights(seed: int = 0, width: int = 8, layers: int = 2) -> dict[str, np.ndarray]:
    """Hugging Face's names and shapes for a small BERT."""
    rng = np.random.default_rng(seed)
    shapes = {
        "embeddings.word_embeddings.weight": (len(WORDS), width),
        "embeddings.position_embeddings.weight": (32, width),
        "embeddings.token_type_embeddings.weight": (2, width),
        "embeddings.LayerNorm.weight": (width,),
        "embeddings.LayerNorm.bias": (width,),
        "pooler.dense.weight": (width, width),
        "pooler.dense.bias": (width,),
    }
    for layer in range(layers):
        stem = f"encoder.layer.{layer}."
        for name in ("query", "key", "value"):
            shapes[f"{stem}attention.self.{name}.weight"] = (width, width)
            shapes[f"{stem}attention.self.{name}.bias"] = (width,)
        for name, shape in (
            ("attention.output.dense", (width, width)),
            ("intermediate.dense", (16, width)),
            ("output.dense", (width, 16)),
        ):
            shapes[f"{stem}{name}.weight"] = shape
            shapes[f"{stem}{name}.bias"] = shape[:1]
        for name in ("attention.output.LayerNorm", "output.LayerNorm"):
            shapes[f"{stem}{name}.weight"] = shapes[f"{stem}{name}.bias"] = (width,)
    return {k: rng.standard_normal(s).astype(np.float32) * 0.5 for k, s in shapes.items()}


def write_huggingface_bert(folder: Path, words: list[str] | None = None) -> Path:
    """A folder as Hugging Face's BERT has it."""
    folder.mkdir(parents=True)
    config = {
        "model_type": "bert", "architectures": ["BertModel"], "hidden_size": 8,
        "intermediate_size": 16, "num_attention_heads": 2, "num_hidden_layers": 2,
        "vocab_size": len(WORDS), "max_position_embeddings": 32, "type_vocab_size": 2,
        "hidden_act": "gelu", "hidden_dropout_prob": 0.1, "layer_norm_eps": 1e-12,
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": True}))
    (folder / "vocab.txt").write_text("\n".join(words or WORDS) + "\n")
    safetensors.numpy.save_file(bert_weights(), folder / "model.safetensors", {"format": "pt"})
    return folder


def write_keras_hub_bert(folder: Path) -> Path:
    """A folder as keras-hub writes it, tokeniser included."""
    keras.utils.set_random_seed(1)
    backbone = keras_hub.models.BertBackbone(
        vocabulary_size=len(WORDS), num_layers=1, num_heads=2, hidden_dim=8, intermediate_dim=16,
        max_sequence_length=16,
    )  # fmt: skip
    tokenizer = keras_hub.models.BertTokenizer(vocabulary=WORDS, lowercase=True)
    preprocessor = keras_hub.models.BertTextClassifierPreprocessor(tokenizer, sequence_length=16)
    keras_hub.models.BertTextClassifier(
        backbone=backbone, num_classes=2, preprocessor=preprocessor
    ).save_to_preset(str(folder))
    return folder


def write_keras_hub_image(folder: Path) -> Path:
    """A small ResNet that was trained on pixels of -1 to 1, 16 wide and high."""
    keras.utils.set_random_seed(2)
    backbone = keras_hub.models.ResNetBackbone(
        input_conv_filters=[64], input_conv_kernel_sizes=[3], stackwise_num_filters=[64],
        stackwise_num_blocks=[1], stackwise_num_strides=[1], block_type="basic_block",
    )  # fmt: skip
    converter = keras_hub.layers.ResNetImageConverter(
        image_size=(16, 16), scale=1 / 127.5, offset=-1.0
    )
    preprocessor = keras_hub.models.ResNetImageClassifierPreprocessor(converter)
    keras_hub.models.ResNetImageClassifier(
        backbone=backbone, num_classes=2, preprocessor=preprocessor
    ).save_to_preset(str(folder))
    return folder


def shake(backbone: keras.Model) -> keras.Model:
    """Biases of zero and scales of one would hide what forgets them."""
    rng = np.random.default_rng(5)
    for weight in backbone.weights:
        weight.assign_add(0.2 * rng.standard_normal(weight.shape).astype(np.float32))
    return backbone


def write_keras_hub_whisper(
    folder: Path, *, layers: int = 2, bands: int = 20, rate: int = 16_000
) -> Path:
    """A small Whisper of 20 bands whose window is one second: 100 steps, 50 frames."""
    keras.utils.set_random_seed(3)
    backbone = keras_hub.models.WhisperBackbone(
        vocabulary_size=50, num_layers=layers, num_heads=2, hidden_dim=8, intermediate_dim=16,
        num_mels=20, max_encoder_sequence_length=100, max_decoder_sequence_length=16,
    )  # fmt: skip
    converter = keras_hub.layers.WhisperAudioConverter(
        num_mels=bands, sampling_rate=rate, max_audio_length=1
    )
    for part in (shake(backbone), converter):
        part.save_to_preset(str(folder))
    return folder


def write_keras_hub_moonshine(
    folder: Path, *, layers: int = 2, rate: int = 16_000, do_normalize: bool = False
) -> Path:
    """A small Moonshine."""
    keras.utils.set_random_seed(4)
    backbone = keras_hub.models.MoonshineBackbone(
        vocabulary_size=50, filter_dim=8, encoder_num_layers=layers, decoder_num_layers=1,
        hidden_dim=8, intermediate_dim=16, encoder_num_heads=2, decoder_num_heads=2,
    )  # fmt: skip
    converter = keras_hub.layers.MoonshineAudioConverter(
        sampling_rate=rate, do_normalize=do_normalize
    )
    for part in (shake(backbone), converter):
        part.save_to_preset(str(folder))
    return folder
