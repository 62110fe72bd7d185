"""Standardisation: fitted on the train part, and the served graph gives the very same tensors."""

from __future__ import annotations

import csv
import io
import random
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
from PIL import Image

from preprocessing.fitting import FeatureFit, fit_column, standardised
from preprocessing.quantiles import QuantileSketch
from tests.preprocessing.service import Service, items_of, prepare
from tfrec.config import DatasetConfig, FeatureConfig
from tfrec.errors import DescriptionError
from tfrec.export.raw_features import RawFeatures
from tfrec.export.raw_samples import raw_features
from tfrec.input import ItemTable
from tfrec.schema import DataLayout, present

ITEMS = 1000


def test_quantiles_merge_to_numpys() -> None:
    """Exact while the numbers are few; within one point's weight when they are many."""
    rng = np.random.default_rng(0)
    for size, bound in ((3_000, 1e-12), (200_000, 1e-3)):
        numbers = rng.lognormal(size=size)
        sketch = QuantileSketch()
        for part in np.array_split(numbers, 7):
            sketch.merge(QuantileSketch.of(part))
        shares = np.linspace(0.01, 0.99, 25)
        expected = np.quantile(numbers, shares)
        ranks = np.searchsorted(np.sort(numbers), sketch.quantiles(list(shares))) / size
        assert np.abs(ranks - np.searchsorted(np.sort(numbers), expected) / size).max() <= bound
    assert QuantileSketch().quantiles([0.5]) == [0.0]


NUMBERS = [1.0, 2.0, 3.0, 4.0, 100.0, 7.0]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"scale": "minmax"}, [0.0, 1 / 99, 2 / 99, 3 / 99, 1.0]),
        ({"scale": "robust"}, [-1.0, -0.5, 0.0, 0.5, 48.5]),
        ({"scale": "none"}, NUMBERS[:5]),
        ({"scale": "quantile", "buckets": 5}, [0.0, 0.25, 0.5, 0.75, 1.0]),
        ({"scale": "none", "transform": "sin", "period": 8.0}, [0.5**0.5, 1, 0.5**0.5, 0, 0]),
    ],
)
def test_each_scale_by_hand(options: dict[str, Any], expected: list[float]) -> None:
    """The sixth number is not of the train part: it decides nothing."""
    config = FeatureConfig(modality="numeric", **options)
    column = pa.array(NUMBERS)
    merged = FeatureFit()
    for part in (slice(0, 2), slice(2, 6)):
        train = np.arange(6)[part] < 5
        merged.merge(fit_column(config, column[part], train))
    numbers, there = standardised(merged.spec("x", config, "x"), pa.array([*NUMBERS[:5], None]))
    assert numbers[:5].tolist() == pytest.approx(expected, abs=1e-6)
    assert numbers[5] == 0 and there.tolist() == [True] * 5 + [False]


@pytest.mark.parametrize(
    "options",
    [
        {"modality": "text", "scale": "minmax"},
        {"modality": "numeric", "transform": "sin"},
        {"modality": "numeric", "hash_buckets": 9},
        {"modality": "tags", "hash_buckets": 9, "oov_buckets": 3},
        {"modality": "embedding", "dimension": 3, "reduce": {"dimension": 2}},
    ],
)
def test_what_does_not_fit_a_modality_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"belong|no vocabulary"):
        FeatureConfig(**options)


def test_a_reduction_needs_the_classes_it_names(tmp_path: Path) -> None:
    service = Service.of_three_users(tmp_path)
    reduced = {"method": "lda", "dimension": 1, "label": "mood"}
    title = {"modality": "text", "encoder": "x", "reduce": reduced}
    service.description = {"items": {"features": {"title": title}}}
    with pytest.raises(ValueError, match="`mood` is none"):
        service.write()
    assert issubclass(DescriptionError, Exception)


FEATURES: dict[str, dict[str, Any]] = {
    "title": {"modality": "text", "max_length": 16},
    "cover": {"modality": "image", "path": "covers/{cover}.png", "size": [8, 8]},
    "clip": {"modality": "audio", "path": "clips/{clip}.wav", "sample_rate": 1000, "seconds": 0.1},
    "country": {"modality": "categorical", "min_count": 3},
    "city": {"modality": "categorical", "max_vocabulary": 5, "oov_buckets": 7},
    "shop": {"modality": "categorical", "column": "city", "hash_buckets": 11},
    "words": {"modality": "tags", "max_length": 4},
    "words_hashed": {"modality": "tags", "column": "words", "hash_buckets": 13, "max_length": 4},
    "vector": {"modality": "embedding", "dimension": 3, "separator": ";"},
    "zscore": {"modality": "numeric", "column": "number"},
    "minmax": {"modality": "numeric", "column": "number", "scale": "minmax"},
    "robust": {"modality": "numeric", "column": "number", "scale": "robust"},
    "bucket": {"modality": "numeric", "column": "number", "scale": "quantile", "buckets": 20},
    "plain": {"modality": "numeric", "column": "number", "scale": "none"},
    "log": {"modality": "numeric", "column": "price", "transform": "log1p"},
    "log_robust": {
        "modality": "numeric",
        "column": "price",
        "transform": "log1p",
        "scale": "robust",
    },
    "hour_sin": {"modality": "numeric", "column": "hour", "transform": "sin", "period": 24},
    "hour_cos": {"modality": "numeric", "column": "hour", "transform": "cos", "period": 24},
}


def raw_items(folder: Path) -> list[dict[str, str]]:
    """A thousand items with odd texts, unknown values and many missing parts."""
    rng = random.Random(0)
    for kind in ("covers", "clips"):
        (folder / kind).mkdir(parents=True)
    for number in range(20):
        pixels = np.random.default_rng(number).integers(0, 256, (9 + number, 12, 3), np.uint8)
        Image.fromarray(pixels).save(folder / "covers" / f"{number}.png")
        wave = tf.constant(np.sin(np.arange(150) / (number + 1))[:, None], tf.float32)
        data = tf.audio.encode_wav(wave, 1000 + 100 * (number % 3)).numpy()
        (folder / "clips" / f"{number}.wav").write_bytes(data)
    (folder / "covers" / "20.png").write_bytes(b"no picture")
    texts = ["  Café\u0301  noir ", "<b>x</b>", "\u3000", "naïve", "日本 語", "long " * 40]

    def maybe(value: object, share: float = 0.15) -> str:
        return "" if rng.random() < share else str(value)

    items = []
    for number in range(ITEMS):
        items.append(
            {
                "item_id": f"i{number}",
                "title": maybe(rng.choice(texts)),
                "cover": maybe(rng.randrange(21)),
                "clip": maybe(rng.randrange(20)),
                "country": maybe(rng.choice(["DE", "FR", "  DE ", f"rare{number}"])),
                "city": maybe(f"city {int(rng.paretovariate(0.8))}"),
                "words": maybe("|".join(rng.choices(["a", "b", "", "ß", f"w{number}"], k=6))),
                "vector": maybe(";".join(f"{rng.gauss(0, 1):.4f}" for _ in range(3))),
                "number": maybe(f"{rng.gauss(1e3, 1e4):.3f}"),
                "price": maybe(f"{rng.lognormvariate(3, 2):.2f}"),
                "hour": maybe(f"{rng.uniform(0, 24):.2f}"),
            }
        )
    return items


def served_inputs(item: dict[str, str], folder: Path) -> dict[str, Any]:
    """What a client sends of an item: strings, file bytes, numbers; "" and NaN are missing."""

    def number(cell: str) -> float:
        return float(cell) if cell else float("nan")

    def file(kind: str, cell: str, suffix: str) -> bytes:
        return (folder / kind / f"{cell}.{suffix}").read_bytes() if cell else b""

    vector = item["vector"].split(";") if item["vector"] else ["nan"] * 3
    words = [word.encode() for word in item["words"].split("|")]
    sent: dict[str, Any] = {
        "title": item["title"].encode(),
        "cover": file("covers", item["cover"], "png"),
        "clip": file("clips", item["clip"], "wav"),
        "country": item["country"].encode(),
        "city": item["city"].encode(),
        "shop": item["city"].encode(),
        "words": (words + [b""] * 6)[:6],
        "words_hashed": (words + [b""] * 6)[:6],
        "vector": [float(part) for part in vector],
    }
    for name, config in FEATURES.items():
        if config["modality"] == "numeric":
            sent[name] = number(item[config["column"]])
    return sent


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, list[dict[str, str]]]:
    folder = tmp_path_factory.mktemp("standard")
    items = raw_items(folder)
    with open(folder / "items.csv", "w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, items[0])
        writer.writeheader()
        writer.writerows(items)
    rng = random.Random(1)
    events = io.StringIO()
    events.write("user_id,item_id,timestamp\n")
    for time in range(3000):
        events.write(f"u{rng.randrange(50)},i{rng.randrange(ITEMS)},{time}\n")
    (folder / "events.csv").write_text(events.getvalue())
    content = {
        "name": "test",
        "interactions": {"path": "events.csv"},
        "items": {"path": "items.csv", "features": FEATURES},
    }
    prepare(DatasetConfig.model_validate(content), folder / "out", folder)
    return folder / "out", folder, items


@pytest.mark.slow
@pytest.mark.parametrize("batch", [1000, 7])
def test_training_and_serving_give_equal_tensors(
    prepared: tuple[Path, Path, list[dict[str, str]]], batch: int
) -> None:
    """A thousand raw items with missing parts, to the last bit, whatever the batch."""
    out, folder, items = prepared
    table = ItemTable.load(out)
    specs = tuple(table.specs.values())
    vocabularies = {
        spec.name: (DataLayout(out).root / spec.vocabulary).read_text("utf-8").split("\n")[:-1]
        for spec in specs
        if spec.vocabulary
    }
    graph = RawFeatures(specs, vocabularies, {})
    call = tf.function(graph.prepare, input_signature=[graph.inputs])
    sent = [served_inputs(item, folder) for item in items]
    count = ITEMS if batch == ITEMS else 70
    served: dict[str, list[np.ndarray]] = {}
    for start in range(0, count, batch):
        rows = sent[start : start + batch]
        inputs = {
            name: tf.constant([row[name] for row in rows], spec.dtype)
            for name, spec in graph.inputs.items()
        }
        for name, value in call(inputs).items():
            served.setdefault(name, []).append(value.numpy())
    for spec in specs:
        flags = np.concatenate(served[present(spec.name)])
        np.testing.assert_array_equal(flags, table.present[spec.name][:count], spec.name)
        assert 0 < flags.mean() < 1, spec.name
        values = np.concatenate(served[spec.name])
        stored = table.features[spec.name][:count]
        if spec.modality == "text":
            values = np.array([value.decode() for value in values], object)
        if spec.modality == "tags":
            stored = np.pad(stored, ((0, 0), (0, values.shape[1] - stored.shape[1])))
        np.testing.assert_array_equal(values[flags], stored[flags], spec.name)


@pytest.mark.slow
def test_raw_samples_come_back_as_the_same_tensors(
    prepared: tuple[Path, Path, list[dict[str, str]]],
) -> None:
    """What an export is proved with: prepared values, turned raw, prepared again."""
    table = ItemTable.load(prepared[0])
    names = ("city", "shop", "minmax", "robust", "bucket", "log", "hour_sin", "hour_cos", "zscore")
    specs = tuple(table.specs[name] for name in names)
    root = DataLayout(prepared[0]).root
    vocabularies = {
        spec.name: (root / spec.vocabulary).read_text("utf-8").split("\n")[:-1]
        for spec in specs
        if spec.vocabulary
    }
    values = {name: table.features[name][:60] for name in names}
    values |= {present(name): table.present[name][:60] for name in names}
    graph = RawFeatures(specs, vocabularies, {})
    raw = raw_features(specs, values, vocabularies)
    again = graph.prepare({name: tf.constant(value) for name, value in raw.items()})
    for name in names:
        np.testing.assert_allclose(again[name].numpy(), values[name], atol=2e-5, err_msg=name)


@pytest.mark.slow
def test_buckets_beyond_the_vocabulary_are_used(
    prepared: tuple[Path, Path, list[dict[str, str]]],
) -> None:
    """Five cities, seven shared indices for the others; eleven and no vocabulary for `shop`."""
    table = ItemTable.load(prepared[0])
    city, shop = table.specs["city"], table.specs["shop"]
    assert (city.vocabulary_size, shop.vocabulary_size, shop.vocabulary) == (14, 13, None)
    indices = table.features["city"][table.present["city"]]
    assert set(range(2, 14)) == set(indices.tolist())
    assert set(table.features["shop"][table.present["shop"]].tolist()) == set(range(2, 13))
    assert items_of(prepared[0])["i0"]["item_id"] == [b"i0"]
