"""Texts that items are found by: the title by itself, and each text that was encoded."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from tfrec.config import FeatureConfig
from tfrec.encoders.encoder import Encoder
from tfrec.export.source import ItemTexts
from tfrec.export.titles import leading_text, title_feature
from tfrec.input import ItemTable
from tfrec.schema import FeatureSpec
from tfrec.training import Run

__all__ = ["TITLE", "item_texts", "title_config"]

# Stands for the title's column beside the features, whose names hold no "/".
TITLE = "search/title"


def item_texts(
    run: Run, specs: tuple[FeatureSpec, ...], encoder: Callable[[FeatureSpec], Encoder]
) -> ItemTexts | None:
    """Vectors of the catalogue's texts, or none where the model has no frozen text encoder.

    Args:
        run: The trained run.
        specs: Item features that the model reads.
        encoder: Makes the frozen encoder of a feature. Not the layer that is exported: what it
            compiles to encode titles can't be written.
    """
    encoded = [s for s in specs if s.modality == "text" and s.encoded_dim is not None]
    title = title_feature(run.manifest.item_features)
    if not encoded or title is None:
        return None
    first = next((spec for spec in encoded if spec.name == title), encoded[0])
    # Of one space: the same encoder, and no projection of another feature's own.
    alike = [
        spec
        for spec in encoded
        if spec.config.encoder == first.config.encoder and spec.projection == first.projection
    ]
    config = next(s.config for s in run.manifest.item_features if s.name == title)
    parts = config.columns(title)
    table = ItemTable.load(run.data, features=[title, *(spec.name for spec in alike)])
    names, vectors = [TITLE], []
    if len(parts) == 1 and title in (spec.name for spec in alike):
        alike = [spec for spec in alike if spec.name != title]
        vectors.append(_present(table, title))
    else:
        titles = table.features[title]
        if len(parts) > 1:
            titles = np.array([leading_text(text) for text in titles], object)
        vectors.append(encoder(first).encode(titles) * (titles != "")[:, None])
    names += [spec.name for spec in alike]
    vectors += [_present(table, spec.name) for spec in alike]
    stacked = np.stack(vectors, 1)
    lengths = np.linalg.norm(stacked, axis=-1, keepdims=True)
    unit = np.divide(stacked, lengths, out=np.zeros_like(stacked), where=lengths > 0)
    return ItemTexts(first.name, tuple(names), unit)


def title_config(features: Mapping[str, FeatureConfig], title: str | None) -> FeatureConfig | None:
    """The title's column alone, read as a feature called `TITLE`.

    Args:
        features: Of raw files.
        title: The one that an item is called by.
    """
    if title is None or title not in features:
        return None
    config = features[title]
    return config.model_copy(update={"column": config.columns(title)[0]})


def _present(table: ItemTable, name: str) -> npt.NDArray[np.float32]:
    vectors = np.asarray(table.encoded[name], np.float32)
    return vectors * table.present[name][:, None]
