"""What a served graph knows of items beside their vectors: titles, labels, numbers."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from tfrec import schema
from tfrec.export.raw_samples import unscaled
from tfrec.export.source import ItemColumns
from tfrec.input import ItemTable
from tfrec.schema import FeatureSpec
from tfrec.training import Run

__all__ = ["item_columns", "title_feature"]

_TITLES = ("title", "name", "headline")
# Longer texts are descriptions, whose first sentence has to do.
_TITLE_LENGTH = 60


def item_columns(run: Run, vocabularies: Mapping[str, Sequence[str]]) -> ItemColumns:
    """Columns of the whole catalogue, of every item feature that has values to compare.

    A feature by hashed values has no words, and one whose transform isn't one to one (`sin`, `cos`,
    quantile buckets) no number to compare, so that neither can be asked for.

    Args:
        run: The trained run.
        vocabularies: Values of each categorical and tags feature of the data, used or not.
    """
    specs = run.manifest.item_features
    title = title_feature(specs)
    labelled = [s for s in specs if s.name in vocabularies and s.config.hash_buckets is None]
    numbered = [s for s in specs if s.modality == "numeric" and _one_to_one(s)]
    names = [spec.name for spec in (*labelled, *numbered)]
    table = ItemTable.load(run.data, features=[*names, title] if title else names)
    return ItemColumns(
        titles=_titles(table.features[title]) if title else np.full(len(table), "", object),
        labels={s.name: _labels(table.features[s.name], vocabularies[s.name]) for s in labelled},
        values={s.name: vocabularies[s.name] for s in labelled},
        numbers={
            s.name: np.where(
                table.present[s.name], unscaled(s, table.features[s.name]), np.nan
            ).astype(np.float32)
            for s in numbered
        },
    )


def title_feature(specs: Sequence[FeatureSpec]) -> str | None:
    """The text that an item is called by, if it has any."""
    texts = [spec.name for spec in specs if spec.modality == "text"]
    return next((name for name in _TITLES if name in texts), texts[0] if texts else None)


def _one_to_one(spec: FeatureSpec) -> bool:
    return spec.boundaries is None and spec.config.transform not in ("sin", "cos")


def _titles(texts: npt.NDArray[np.object_]) -> npt.NDArray[np.object_]:
    def cut(text: str) -> str:
        if len(text) > _TITLE_LENGTH:
            text = re.split(r"(?<=\w)[.!?:|]\s|\s/\s", text, maxsplit=1)[0]
        return text if len(text) <= _TITLE_LENGTH else text[: _TITLE_LENGTH - 1] + "…"

    return np.array([cut(text) for text in texts], object)


def _labels(values: npt.NDArray[np.int32], vocabulary: Sequence[str]) -> npt.NDArray[np.int32]:
    """Places in the vocabulary, -1 for what is missing, unknown or padding."""
    places = values - schema.FIRST_VALUE_INDEX
    return np.where((places >= 0) & (places < len(vocabulary)), places, -1).astype(np.int32)
