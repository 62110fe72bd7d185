"""What a served graph knows of items beside their vectors: titles, labels, numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from tfrec import schema
from tfrec.export.raw_samples import raw_numbers
from tfrec.export.source import ItemColumns
from tfrec.export.titles import short_title, title_feature
from tfrec.input import ItemTable
from tfrec.schema import FeatureSpec
from tfrec.training import Run

__all__ = ["item_columns"]


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
        titles=np.array(
            [short_title(text) for text in table.features[title]] if title else [""] * len(table),
            object,
        ),
        labels={s.name: _labels(table.features[s.name], vocabularies[s.name]) for s in labelled},
        values={s.name: vocabularies[s.name] for s in labelled},
        numbers={
            s.name: np.where(
                table.present[s.name], raw_numbers(s, table.features[s.name]), np.nan
            ).astype(np.float32)
            for s in numbered
        },
    )


def _one_to_one(spec: FeatureSpec) -> bool:
    return spec.boundaries is None and spec.config.transform not in ("sin", "cos")


def _labels(values: npt.NDArray[np.int32], vocabulary: Sequence[str]) -> npt.NDArray[np.int32]:
    """Places in the vocabulary, -1 for what is missing, unknown or padding."""
    places = values - schema.FIRST_VALUE_INDEX
    return np.where((places >= 0) & (places < len(vocabulary)), places, -1).astype(np.int32)
