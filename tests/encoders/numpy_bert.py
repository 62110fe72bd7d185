"""BERT in NumPy, from the paper and Hugging Face's names: what encoders are checked against."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy.special import erf


def sentence_vector(weights: Mapping[str, np.ndarray], ids: list[int], heads: int) -> np.ndarray:
    """The normalised mean of a text's token vectors; [CLS] and [SEP] are among `ids`."""

    def dense(x: np.ndarray, name: str) -> np.ndarray:
        return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    def layer_norm(x: np.ndarray, name: str) -> np.ndarray:
        x = x - x.mean(-1, keepdims=True)
        x = x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-12)
        return x * weights[f"{name}.weight"] + weights[f"{name}.bias"]

    x = weights["embeddings.word_embeddings.weight"][ids].astype(np.float64)
    x = x + weights["embeddings.position_embeddings.weight"][: len(ids)]
    x = layer_norm(
        x + weights["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm"
    )
    layer = 0
    while f"encoder.layer.{layer}.output.dense.weight" in weights:
        stem = f"encoder.layer.{layer}."
        width = x.shape[1] // heads
        parts = [dense(x, f"{stem}attention.self.{n}") for n in ("query", "key", "value")]
        q, k, v = (p.reshape(len(ids), heads, width).swapaxes(0, 1) for p in parts)
        logits = q @ k.swapaxes(1, 2) / np.sqrt(width)
        attention = np.exp(logits - logits.max(-1, keepdims=True))
        attention /= attention.sum(-1, keepdims=True)
        mixed = (attention @ v).swapaxes(0, 1).reshape(len(ids), -1)
        mixed = dense(mixed, f"{stem}attention.output.dense")
        x = layer_norm(x + mixed, f"{stem}attention.output.LayerNorm")
        inner = dense(x, f"{stem}intermediate.dense")
        inner = inner * 0.5 * (1 + erf(inner / np.sqrt(2)))
        x = layer_norm(x + dense(inner, f"{stem}output.dense"), f"{stem}output.LayerNorm")
        layer += 1
    mean = x.mean(0)
    return mean / np.linalg.norm(mean)
