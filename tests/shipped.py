"""The model configurations that are shipped, so that a new one is asked what the others are."""

from __future__ import annotations

from tfrec.config.presets import find_model_config

__all__ = ["MODELS"]

# `bert-music` trains a language model on raw words: `tests/towers/test_bert_music.py` is its own.
MODELS = sorted(
    {path.stem for path in find_model_config("ids").parent.glob("*.yaml")} - {"bert-music"}
)
