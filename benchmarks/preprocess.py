"""Preprocessing against plain row-wise Beam, pandas and plain decoders, on the same files.

    python benchmarks/preprocess.py                      two million rows, memory at twenty million
    python benchmarks/preprocess.py --rows 200000 --no-large

Both Beam pipelines run on the same local runner in this process, with the same rules: ids present,
item known, moment, label and weight valid, exact repeats refused; timelines are split at two
moments and written as TFRecords. Polars is asked where it is installed. Peak memory is that of a
process of its own for each size. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import csv
import importlib.util
import io
import json
import logging
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
import wave
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.csv as arrow_csv
from apache_beam.options.pipeline_options import PipelineOptions

from preprocessing.pipeline import preprocess
from tfrec.config import DatasetConfig

START, END = 1_700_000_000, 1_730_000_000
CUTS = (START + int(0.8 * (END - START)), START + int(0.9 * (END - START)))
ITEMS = 20_000
RUNNER = [
    "--runner=apache_beam.runners.portability.fn_api_runner.FnApiRunner",
    "--direct_num_workers=2",
    "--direct_running_mode=multi_threading",
]
Row = tuple[int, int, str, float, float]


def write_service(folder: Path, rows: int) -> DatasetConfig:
    """A service of `rows` events, a thousandth of them bad in each of four ways."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    names = pa.array([f"i{place}" for place in range(ITEMS)])
    arrow_csv.write_csv(pa.table({"item_id": names}), folder / "items.csv")
    with open(folder / "interactions.csv", "wb") as stream:
        for start in range(0, rows, 1_000_000):
            count = min(1_000_000, rows - start)
            arrow_csv.write_csv(
                _events(rng, count, max(100, rows // 100)),
                stream,
                arrow_csv.WriteOptions(include_header=start == 0),
            )
    return DatasetConfig.model_validate(
        {
            "name": "bench",
            "interactions": {
                "path": "interactions.csv",
                "event": "event",
                "label": "rating >= 4",
                "weight": "weight",
            },
            "items": {"path": "items.csv"},
            "split": {"validation_from": CUTS[0], "test_from": CUTS[1]},
        }
    )


def _events(rng: np.random.Generator, count: int, users: int) -> pa.Table:
    def spoil(values: pa.Array, bad: str) -> pa.Array:
        return pa.compute.if_else(pa.array(rng.random(count) < 0.001), bad, values)

    texts = {
        "user_id": spoil(_ids("u", rng.integers(0, users, count)), ""),
        "item_id": spoil(_ids("i", (ITEMS * rng.random(count) ** 2).astype(int)), "i-unknown"),
        "timestamp": spoil(pa.array(rng.integers(START, END, count)).cast(pa.string()), "soon"),
        "event": pa.array(["view", "like", "buy"]).take(pa.array(rng.integers(0, 3, count))),
        "rating": spoil(pa.array(rng.integers(1, 6, count)).cast(pa.string()), "good"),
        "weight": pa.array(rng.integers(1, 9, count)).cast(pa.string()),
    }
    return pa.table(texts)


def _ids(prefix: str, numbers: np.ndarray) -> pa.Array:
    text = pa.array(numbers).cast(pa.string())
    return pa.compute.binary_join_element_wise(prefix, text, "")


class ParseRow(beam.DoFn):
    """One line to a keyed row, or to its rule."""

    def __init__(self, items: dict[str, int]) -> None:
        self._items = items

    def process(self, line: str) -> Iterator[Any]:
        """Yields the row under its user, or its refusal."""
        cells = next(csv.reader([line]))
        rule = ""
        try:
            user, item, timestamp, event, rating, weight = cells
            place = self._items.get(item, -1)
            moment, stars, mass = int(timestamp), float(rating), float(weight)
            if not user:
                rule = "empty_user_id"
            elif not item:
                rule = "empty_item_id"
            elif place < 0:
                rule = "unknown_item"
            elif not 0 <= moment <= 253_402_300_799:
                rule = "bad_timestamp"
            elif mass < 0:
                rule = "negative_weight"
        except ValueError:
            rule = "bad_number"
        if rule:
            yield beam.pvalue.TaggedOutput("refused", json.dumps([rule, line]))
        else:
            yield user, (moment, place, event, float(stars >= 4), mass)


class AssembleRecords(beam.DoFn):
    """A user's rows to one record a part."""

    def process(self, element: tuple[str, Iterable[Row]]) -> Iterator[Any]:
        """Yields a record for each part that has events."""
        import tensorflow as tf

        user, unsorted = element
        rows = sorted(set(unsorted))
        events = {"view": 2, "like": 3, "buy": 4}
        parts: list[list[Row]] = [[], [], []]
        for row in rows:
            parts[(row[0] >= CUTS[0]) + (row[0] >= CUTS[1])].append(row)
        for split, part in zip(("train", "validation", "test"), parts, strict=True):
            if not part:
                continue
            columns = list(zip(*part, strict=True))
            feature = {
                "user_id": tf.train.Feature(bytes_list=tf.train.BytesList(value=[user.encode()])),
                "timestamp": tf.train.Feature(int64_list=tf.train.Int64List(value=columns[0])),
                "item_index": tf.train.Feature(int64_list=tf.train.Int64List(value=columns[1])),
                "event": tf.train.Feature(
                    int64_list=tf.train.Int64List(value=[events[name] for name in columns[2]])
                ),
                "label": tf.train.Feature(float_list=tf.train.FloatList(value=columns[3])),
                "weight": tf.train.Feature(float_list=tf.train.FloatList(value=columns[4])),
            }
            record = tf.train.Example(features=tf.train.Features(feature=feature))
            yield beam.pvalue.TaggedOutput(split, record.SerializeToString())


def run_row_wise(folder: Path, out: Path) -> None:
    """Plain Beam as its guide writes it: an element a row."""
    items = {f"i{place}": place for place in range(ITEMS)}
    out.mkdir()
    with beam.Pipeline(options=PipelineOptions(RUNNER)) as pipeline:
        lines = pipeline | beam.io.ReadFromText(
            str(folder / "interactions.csv"), skip_header_lines=1
        )
        rows = lines | beam.ParDo(ParseRow(items)).with_outputs("refused", main="good")
        _ = rows.refused | "Refused" >> beam.io.WriteToText(str(out / "refused"))
        users = rows.good | beam.GroupByKey()
        parts = users | beam.ParDo(AssembleRecords()).with_outputs("train", "validation", "test")
        for split in ("train", "validation", "test"):
            _ = parts[split] | split >> beam.io.WriteToTFRecord(str(out / split))


def run_ours(config: DatasetConfig, folder: Path, out: Path) -> Any:
    """`tfrec preprocess`."""
    return preprocess(config, out, folder, beam_options=RUNNER)


def run_pandas(folder: Path, out: Path) -> None:
    """One process, whole tables in memory; the same rules and records."""
    import pandas as pd
    import tensorflow as tf

    table = pd.read_csv(folder / "interactions.csv", dtype=str, keep_default_na=False)
    items = {f"i{place}": place for place in range(ITEMS)}
    for column in ("timestamp", "rating", "weight"):
        table[column] = pd.to_numeric(table[column], errors="coerce")
    table["item"] = table["item_id"].map(items)
    numbers = ["timestamp", "rating", "weight", "item"]
    good = table[numbers].notna().all(axis=1) & (table["user_id"] != "") & (table["weight"] >= 0)
    table = table[good].drop_duplicates(["user_id", "item", "timestamp", "event"])
    table = table.sort_values(["user_id", "timestamp"], kind="stable")
    table["label"] = (table["rating"] >= 4).astype("float32")
    table["code"] = table["event"].map({"view": 2, "like": 3, "buy": 4})
    moments = table["timestamp"].to_numpy()
    table["part"] = (moments >= CUTS[0]).astype(int) + (moments >= CUTS[1])
    for part in range(3):
        with tf.io.TFRecordWriter(f"{out}-{part}") as writer:
            for user, rows in table[table["part"] == part].groupby("user_id", sort=False):
                lists = {
                    name: tf.train.Feature(
                        int64_list=tf.train.Int64List(value=rows[name].to_numpy(np.int64))
                    )
                    for name in ("timestamp", "item", "code")
                } | {
                    name: tf.train.Feature(
                        float_list=tf.train.FloatList(value=rows[name].to_numpy(np.float32))
                    )
                    for name in ("label", "weight")
                }
                lists["user_id"] = tf.train.Feature(
                    bytes_list=tf.train.BytesList(value=[user.encode()])
                )
                record = tf.train.Example(features=tf.train.Features(feature=lists))
                writer.write(record.SerializeToString())


def run_polars(folder: Path, out: Path) -> None:
    """One process, all its threads; the same rules and records."""
    import polars as pl
    import tensorflow as tf

    numbers = ["timestamp", "rating", "weight"]
    items = pl.DataFrame({"item_id": [f"i{i}" for i in range(ITEMS)], "item": np.arange(ITEMS)})
    codes = {"view": 2, "like": 3, "buy": 4}
    moment = pl.col("timestamp")
    table = (
        pl.read_csv(folder / "interactions.csv", infer_schema=False)
        .with_columns(pl.col(numbers).cast(pl.Float64, strict=False))
        .join(items, on="item_id", how="left", maintain_order="left")
        .drop_nulls([*numbers, "item"])
        .filter((pl.col("user_id") != "") & (pl.col("weight") >= 0))
        .unique(["user_id", "item", "timestamp", "event"], keep="first", maintain_order=True)
        .sort(["user_id", "timestamp"], maintain_order=True)
        .with_columns(
            moment.cast(pl.Int64),
            label=(pl.col("rating") >= 4).cast(pl.Float32),
            code=pl.col("event").replace_strict(codes, default=0),
            part=(moment >= CUTS[0]).cast(pl.Int8) + (moment >= CUTS[1]).cast(pl.Int8),
        )
    )
    lists = table.group_by(["part", "user_id"], maintain_order=True).agg(
        "timestamp", "item", "code", "label", "weight"
    )
    for part in range(3):
        with tf.io.TFRecordWriter(f"{out}-{part}") as writer:
            for row in lists.filter(pl.col("part") == part).iter_rows(named=True):
                features = {
                    name: tf.train.Feature(int64_list=tf.train.Int64List(value=row[name]))
                    for name in ("timestamp", "item", "code")
                } | {
                    name: tf.train.Feature(float_list=tf.train.FloatList(value=row[name]))
                    for name in ("label", "weight")
                }
                features["user_id"] = tf.train.Feature(
                    bytes_list=tf.train.BytesList(value=[row["user_id"].encode()])
                )
                record = tf.train.Example(features=tf.train.Features(feature=features))
                writer.write(record.SerializeToString())


def peak_memory(rows: int, folder: Path) -> float:
    """Megabytes at the peak of a process that prepares `rows` rows."""
    command = [sys.executable, __file__, "--child", str(rows), str(folder)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def child(rows: int, folder: Path) -> None:
    """Prepares, and prints its own peak memory."""
    config = DatasetConfig.model_validate_json((folder / "config.json").read_text())
    run_ours(config, folder, folder / f"out-{rows}")
    # `ru_maxrss` of a child begins at its parent's.
    status = Path("/proc/self/status").read_text()
    print(int(status.split("VmHWM:")[1].split()[0]) / 1024)


def timed(run: Callable[[], object]) -> float:
    """Seconds."""
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def pictures(count: int) -> list[bytes]:
    """JPEG files of 300 × 400 pixels."""
    from PIL import Image

    rng = np.random.default_rng(0)
    files = []
    for _ in range(count):
        small = Image.fromarray(rng.integers(0, 255, (30, 40, 3)).astype(np.uint8))
        stream = io.BytesIO()
        small.resize((400, 300)).save(stream, "JPEG", quality=85)
        files.append(stream.getvalue())
    return files


def sounds(count: int) -> list[bytes]:
    """WAV files of three seconds at 44.1 kHz."""
    rng = np.random.default_rng(0)
    files = []
    for _ in range(count):
        stream = io.BytesIO()
        with wave.open(stream, "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(44_100)
            file.writeframes(rng.integers(-9000, 9000, 132_300).astype("<i2").tobytes())
        files.append(stream.getvalue())
    return files


def plain_picture(data: bytes) -> np.ndarray:
    """Pillow, with its own antialiased bilinear filter."""
    from PIL import Image

    with Image.open(io.BytesIO(data)) as picture:
        return np.asarray(picture.convert("RGB").resize((64, 64), Image.Resampling.BILINEAR))


def plain_sound(data: bytes) -> np.ndarray:
    """PyAV and its resampler."""
    import av

    with av.open(io.BytesIO(data)) as container:
        resampler = av.AudioResampler("s16", "mono", 16_000)
        frames = [f for frame in container.decode(audio=0) for f in resampler.resample(frame)]
        return np.concatenate([frame.to_ndarray()[0] for frame in frames])[:48_000]


def media_ratio(kind: str, files: Sequence[bytes], plain: Callable[[bytes], Any]) -> Any:
    """Files a second, ours and two plain processes; median of three."""
    from preprocessing.decoding import decode_media
    from tfrec.config import FeatureConfig

    config = FeatureConfig(modality=kind, size=(64, 64), seconds=3.0)
    decode_media(config, files[:64])
    ours, theirs = [], []
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        pool.map(plain, files[:64], chunksize=16)
        for _ in range(3):
            ours.append(len(files) / timed(lambda: decode_media(config, files)))
            theirs.append(len(files) / timed(lambda: pool.map(plain, files, chunksize=32)))
    return statistics.median(ours), statistics.median(theirs)


def main() -> None:
    """Runs everything, prints medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--no-large", action="store_true", help="skip memory at ten times the rows")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    logging.getLogger().setLevel(logging.ERROR)
    if arguments.child:
        child(int(arguments.child[0]), Path(arguments.child[1]))
        return
    result: dict[str, Any] = {"rows": arguments.rows}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        config = write_service(folder / "raw", arguments.rows)
        ours, theirs, pandas = [], [], []
        for repeat in range(arguments.repeats):
            out = folder / "out"
            ours.append(timed(partial(run_ours, config, folder / "raw", out)))
            plain = folder / f"plain-{repeat}"
            theirs.append(timed(partial(run_row_wise, folder / "raw", plain)))
            print(f"{repeat}: ours {ours[-1]:.1f} s, row-wise Beam {theirs[-1]:.1f} s", flush=True)
        pandas.append(timed(lambda: run_pandas(folder / "raw", folder / "pandas")))
        polars = None
        if importlib.util.find_spec("polars"):
            polars = round(timed(lambda: run_polars(folder / "raw", folder / "polars")), 2)
        result |= {
            "ours_seconds": round(statistics.median(ours), 2),
            "ours_rows_per_second": round(arguments.rows / statistics.median(ours)),
            "row_wise_seconds": round(statistics.median(theirs), 2),
            "pandas_seconds": round(pandas[0], 2),
            "polars_seconds": polars,
            "rows_ratio": round(statistics.median(theirs) / statistics.median(ours), 2),
        }
        (folder / "raw" / "config.json").write_text(config.model_dump_json())
        result["memory_mb"] = round(peak_memory(arguments.rows, folder / "raw"))
        if not arguments.no_large:
            large = folder / "large"
            config = write_service(large, 10 * arguments.rows)
            (large / "config.json").write_text(config.model_dump_json())
            result["memory_large_mb"] = round(peak_memory(10 * arguments.rows, large))
            result["memory_growth"] = round(result["memory_large_mb"] / result["memory_mb"], 2)
    for kind, files, plain_decoder in (
        ("image", pictures(1000), plain_picture),
        ("audio", sounds(300), plain_sound),
    ):
        mine, plain_rate = media_ratio(kind, files, plain_decoder)
        result[f"{kind}s_per_second"] = round(mine)
        result[f"plain_{kind}s_per_second"] = round(plain_rate)
        result[f"{kind}_ratio"] = round(mine / plain_rate, 2)
    for name, value in result.items():
        print(f"{name:24} {value if value is None else format(value, ',')}")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
