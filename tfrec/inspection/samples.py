"""What some items became: pictures, waveforms, tokens, as a model will read them."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfrec import schema
from tfrec.errors import CorruptDataError
from tfrec.input.records import read_lines
from tfrec.schema import DataLayout, FeatureSpec

__all__ = ["Sample", "sample_items"]

_TOKENS, _LETTERS = 40, 24
_WORDS = re.compile(r"\w+|[^\w\s]")


@dataclass(frozen=True)
class Sample:
    """One item.

    Attributes:
        name: Its id.
        parts: For each feature its name and what is shown of it, HTML; `None` where missing.
    """

    name: str
    parts: tuple[tuple[str, str | None], ...]


def sample_items(data: str | Path, count: int = 6) -> list[Sample]:
    """Some items, spread evenly over the first shard.

    Raises:
        CorruptDataError: A shard is damaged.
    """
    layout = DataLayout(data)
    manifest = layout.read_manifest()
    vocabularies = {
        spec.name: ["", "(unknown)", *read_lines(layout.root / spec.vocabulary)]
        for spec in manifest.item_features
        if spec.vocabulary
    }
    shard = layout.item_shards()[0]
    size = next(s.records for s in manifest.shards if s.path.endswith(shard.name))
    wanted = set(np.linspace(0, size - 1, min(count, size)).astype(int).tolist())
    samples = []
    try:
        for place, raw in enumerate(tf.data.TFRecordDataset([str(shard)])):
            if place in wanted:
                record = tf.train.Example.FromString(raw.numpy()).features.feature
                samples.append(_sample(record, manifest.item_features, vocabularies))
    except tf.errors.DataLossError as error:
        raise CorruptDataError(
            str(shard), "a shard must be whole", remedy="Run `tfrec preprocess` again"
        ) from error
    return samples


def _sample(
    record: Any, specs: tuple[FeatureSpec, ...], vocabularies: dict[str, list[str]]
) -> Sample:
    name = record[schema.ITEM_ID].bytes_list.value[0].decode("utf-8", "replace")
    parts = []
    for spec in specs:
        there = record[schema.present(spec.name)].int64_list.value[0] > 0
        shown = _show(spec, record, vocabularies.get(spec.name, [])) if there else None
        parts.append((spec.name, shown))
    return Sample(name, tuple(parts))


def _show(spec: FeatureSpec, record: Any, vocabulary: list[str]) -> str:
    config = spec.config
    feature = record[spec.name]
    if spec.modality in ("categorical", "tags"):
        known = dict(enumerate(vocabulary))
        values = [known.get(index, f"bucket {index}") for index in feature.int64_list.value]
        return _chips(values)
    if spec.modality == "numeric":
        value = feature.float_list.value[0]
        raw = value * spec.spread + spec.shift
        raw = float(np.expm1(raw)) if config.transform == "log1p" else raw
        return f"{raw:.6g} <small>stored as {value:+.2f}</small>"
    if spec.modality == "text":
        return _chips(_WORDS.findall(feature.bytes_list.value[0].decode("utf-8", "replace")))
    if spec.modality == "embedding":
        vector = np.asarray(feature.float_list.value)
        head = ", ".join(f"{value:.2f}" for value in vector[:4])
        return f"[{head}, …] <small>{len(vector)} numbers</small>"
    data = feature.bytes_list.value[0]
    if spec.modality == "audio":
        return _waveform(np.frombuffer(data, "<i2"), config.sample_rate)
    height, width = config.size
    frames = np.frombuffer(data, np.uint8).reshape(-1, height, width, 3)
    shown = frames[np.linspace(0, len(frames) - 1, min(4, len(frames))).astype(int)]
    return _picture(np.concatenate(list(shown), axis=1), spec.name)


def _chips(values: list[str]) -> str:
    shown = [value if len(value) <= _LETTERS else value[:_LETTERS] + "…" for value in values]
    more = f" <small>and {len(values) - _TOKENS} more</small>" if len(values) > _TOKENS else ""
    return " ".join(f"<i>{escape(value)}</i>" for value in shown[:_TOKENS]) + more


def _picture(pixels: Any, name: str) -> str:
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    data = base64.b64encode(stream.getvalue()).decode()
    height, width = pixels.shape[:2]
    return (
        f'<img src="data:image/png;base64,{data}" alt="{escape(name)}, as stored">'
        f" <small>{width}×{height} pixels</small>"
    )


def _waveform(samples: Any, rate: int, width: int = 240, height: int = 48) -> str:
    columns = np.array_split(samples.astype(np.float64) / 32768, width)
    middle = height / 2
    path = "".join(
        f"M{x} {middle - middle * float(part.max(initial=0.0)):.1f}"
        f"V{middle - middle * float(part.min(initial=0.0)) + 0.5:.1f}"
        for x, part in enumerate(columns)
    )
    loudest = float(np.abs(samples.astype(np.int64)).max(initial=0)) / 32768
    return (
        f'<svg class="wave" viewBox="0 0 {width} {height}" role="img"'
        f' aria-label="waveform"><path d="{path}"/></svg>'
        f" <small>{len(samples) / rate:.1f} s at {rate:,} Hz, peak {loudest:.2f}</small>"
    )
