"""Run frozen encoders once over every different content, by Beam's RunInference.

hashes of all items ─ the first item of each hash that no earlier run encoded ─ batches of items
  ─▶ LoadContents ─▶ RunInference(EncoderHandler) ─▶ StoreVectors ─▶ vectors-NAME.npy [unique, d]
With a cache the vectors are kept by hash as well, for later runs.
index-NAME.npy int32 [items] tells each item's row, -1 where the content is missing.
"""

from __future__ import annotations

import pickle
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import apache_beam as beam
import numpy as np
import numpy.typing as npt
import tensorflow as tf
from apache_beam.ml.inference.base import KeyedModelHandler, ModelHandler, RunInference

from preprocessing.caching import ContentCache, content_hash
from preprocessing.media_files import read_media
from preprocessing.paths import DataRoot
from preprocessing.spilling import read_table, save_array
from preprocessing.stages import Stages, replace_file
from tfrec.config import FeatureConfig
from tfrec.encoders import Encoder, resolve
from tfrec.errors import DataError

__all__ = ["ContentBatch", "EncoderHandler", "encode_feature", "load_encoder"]

# Texts are sorted by length within a batch, so many make little padding; pictures are decoded whole
# into memory, 150 kB each.
_TEXTS = 8192
_MEDIA = 128
_LOCK = threading.Lock()


@lru_cache(maxsize=8)
def load_encoder(handle: str, modality: str, max_length: int | None) -> Encoder:
    """Loads an encoder once a process.

    Raises:
        EncoderNotFoundError: The handle names nothing here.
    """
    return resolve(handle, modality, max_length=max_length)


@dataclass(frozen=True)
class ContentBatch:
    """Items whose contents are encoded together.

    Attributes:
        key: Unique among the batches of a feature.
        items: Places in the catalogue.
        hashes: Of their contents.
    """

    key: str
    items: tuple[int, ...]
    hashes: tuple[bytes, ...]


class EncoderHandler(ModelHandler[npt.NDArray[Any], npt.NDArray[np.float32], Encoder]):
    """Lets RunInference run one of our encoders; an element is a whole batch of contents.

    Args:
        handle, modality, max_length: What `tfrec.encoders.resolve` takes.
    """

    def __init__(self, handle: str, modality: str, max_length: int | None) -> None:
        self._arguments = (handle, modality, max_length)

    def load_model(self) -> Encoder:
        """Loads the encoder, or takes the one that this process has."""
        with _LOCK:
            return load_encoder(*self._arguments)

    def run_inference(
        self,
        batch: Sequence[npt.NDArray[Any]],
        model: Encoder,
        inference_args: dict[str, Any] | None = None,
    ) -> Iterable[npt.NDArray[np.float32]]:
        """Encodes batches of contents, float32 [contents, dimension] each."""
        # One at a time: TensorFlow spreads a pass over all cores, while another thread decodes.
        with _LOCK:
            return [model.encode(contents, self._batch_size()) for contents in batch]

    def _batch_size(self) -> int:
        """Contents of one pass.

        On a CPU an image model's activations at 32 pictures are mapped and unmapped at each pass:
        EfficientNet-Lite0 took 38 ms of processor time a picture there and 23 ms at 8.
        """
        if self._arguments[1] == "text" or tf.config.list_physical_devices("GPU"):
            return 32
        return 8

    def batch_elements_kwargs(self) -> Mapping[str, Any]:
        """Elements are batches already."""
        return {"min_batch_size": 1, "max_batch_size": 1}


class _LoadContents(beam.DoFn):
    """From places in the catalogue to what the encoder reads."""

    def __init__(
        self,
        name: str,
        config: FeatureConfig,
        root: Path,
        catalogue: Path,
        prepared: Sequence[tuple[int, Path]],
        size: tuple[int, int] | None,
        results: str,
    ) -> None:
        self._name, self._config, self._size = name, config, size
        self._root, self._catalogue, self._prepared = root, catalogue, list(prepared)
        self._results = results

    def process(self, batch: ContentBatch) -> Iterator[tuple[ContentBatch, npt.NDArray[Any]]]:
        if not (Path(self._results) / f"{batch.key}.pickle").exists():
            texts = self._config.modality == "text"
            yield batch, self._texts(batch) if texts else self._media(batch)

    def _texts(self, batch: ContentBatch) -> npt.NDArray[Any]:
        values: list[str] = []
        items = np.asarray(batch.items)
        for place, (start, path) in enumerate(self._prepared):
            last = place + 1 == len(self._prepared)
            stop = items[-1] + 1 if last else self._prepared[place + 1][0]
            own = items[(items >= start) & (items < stop)]
            if len(own):
                column = read_table(path).column(self._name)
                values += column.take(own - start).to_pylist()
        return np.array(values, object)

    def _media(self, batch: ContentBatch) -> npt.NDArray[Any]:
        from preprocessing.decoding import decode_media

        cells = read_table(self._catalogue).column(self._name).take(batch.items).to_pylist()
        root = DataRoot(self._root)
        files = [read_media(root, cell, self._config.path is not None) for cell in cells]
        tensors, valid = decode_media(self._config, [file.data for file in files], self._size)
        if not valid.all():
            file = files[int(np.argmin(valid))]
            raise DataError(
                file.name,
                "a file must stay as it is while it is read",
                received="one that can't be decoded any more",
                remedy="Run again when nothing writes to it",
            )
        return tensors


class _StoreVectors(beam.DoFn):
    """Writes each batch's vectors, and then its result."""

    def __init__(self, folder: Path, results: str, cache: ContentCache | None) -> None:
        self._folder, self._results, self._cache = folder, results, cache

    def process(self, element: tuple[ContentBatch, npt.NDArray[np.float32]]) -> Iterator[str]:
        batch, vectors = element
        vectors = np.asarray(vectors, np.float32)
        save_array(self._folder / f"{batch.key}.npy", vectors)
        if self._cache is not None:
            self._cache.add(dict(zip(batch.hashes, vectors, strict=True)))
        replace_file(Path(self._results) / f"{batch.key}.pickle", pickle.dumps(len(vectors)))
        yield batch.key


def encode_feature(
    stages: Stages,
    name: str,
    config: FeatureConfig,
    hashes: Sequence[bytes | None],
    *,
    root: Path,
    catalogue: Path,
    prepared: Sequence[tuple[int, Path]],
    work: Path,
    cache: Path | None = None,
) -> Encoder:
    """Encodes a feature of all items.

    Args:
        stages: Runs the pipeline.
        name: The feature.
        config: Its description; `config.encoder` is its handle.
        hashes: Of each item's content, `None` where missing.
        root: The data root.
        catalogue: The validated items.
        prepared: First item and file of each run of prepared items.
        work: Folder for `vectors-NAME.npy` and `index-NAME.npy`.
        cache: Folder with vectors of earlier runs.

    Returns:
        The encoder that did it.

    Raises:
        EncoderNotFoundError: The handle names nothing here.
    """
    assert config.encoder is not None
    handler = EncoderHandler(config.encoder, config.modality, config.max_length)
    encoder = handler.load_model()
    index, firsts = _unique(hashes)
    save_array(work / f"index-{name}.npy", index)
    folder = work / f"encoded-{name}"
    store = None if cache is None else _store(cache, encoder, config)
    known = {} if store is None else store.find(list(firsts))
    missing = [value for value in firsts if value not in known]
    step = _TEXTS if config.modality == "text" else _MEDIA
    batches = [
        _batch(missing[start : start + step], firsts) for start in range(0, len(missing), step)
    ]
    stage = f"encode-{name}"
    size = encoder.image_size

    def build(pipeline: Any) -> None:
        results = str(stages.folder(stage))
        load = _LoadContents(name, config, root, catalogue, prepared, size, results)
        contents = (
            pipeline | "CreateBatches" >> beam.Create(batches) | "LoadContents" >> beam.ParDo(load)
        )
        vectors = contents | "Encode" >> RunInference(KeyedModelHandler(handler))
        _ = vectors | "StoreVectors" >> beam.ParDo(_StoreVectors(folder, results, store))

    title = f"encode {name}: {len(missing):,} different by {config.encoder}"
    if known:
        title += f", {len(known):,} from the cache"
    if batches:
        stages.run_pipeline(stage, title, build, len(batches))
    elif known:
        stages.say(title)
    vectors = np.zeros((len(firsts), encoder.dimension), np.float32)
    places = {value: place for place, value in enumerate(firsts)}
    for value, vector in known.items():
        vectors[places[value]] = vector
    for batch in batches:
        own = [places[value] for value in batch.hashes]
        vectors[own] = np.load(folder / f"{batch.key}.npy", mmap_mode="r")
    save_array(work / f"vectors-{name}.npy", vectors)
    return encoder


def _store(cache: Path, encoder: Encoder, config: FeatureConfig) -> ContentCache:
    # What the description keeps of a file; the rest is the encoder's own affair.
    kept = {"audio": ("seconds",), "video": ("seconds", "frames")}.get(config.modality, ())
    depends_on = {name: getattr(config, name) for name in kept} | {
        "encoder": encoder.fingerprint,
        "modality": encoder.modality,
        "tensorflow": tf.__version__,
    }
    return ContentCache(cache, "encoded", depends_on, (encoder.dimension,), np.float32)


def _batch(hashes: Sequence[bytes], firsts: Mapping[bytes, int]) -> ContentBatch:
    """A batch whose key tells its contents: with a cache, a resumed run has other batches."""
    items = sorted((firsts[value], value) for value in hashes)
    key = f"batch-{content_hash(b''.join(value for _, value in items)).hex()}"
    return ContentBatch(key, tuple(item for item, _ in items), tuple(value for _, value in items))


def _unique(hashes: Sequence[bytes | None]) -> tuple[npt.NDArray[np.int32], dict[bytes, int]]:
    """Each item's place among the different contents, and the first item of each."""
    places: dict[bytes, int] = {}
    firsts: dict[bytes, int] = {}
    index = np.full(len(hashes), -1, np.int32)
    for item, value in enumerate(hashes):
        if value is None:
            continue
        if value not in places:
            places[value] = len(firsts)
            firsts[value] = item
        index[item] = places[value]
    return index, firsts
