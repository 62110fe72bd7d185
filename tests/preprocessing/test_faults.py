"""Faults: five hundred corruptions and twenty kills; never a traceback, a hang or a lost row."""

from __future__ import annotations

import csv
import multiprocessing
import os
import random
import shutil
import signal
import struct
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from preprocessing.stages import Stages, _RunTask
from tests.preprocessing.service import ONE_WORKER, Service, prepare, write_csv
from tests.preprocessing.test_conservation import balanced
from tfrec.config import DatasetConfig
from tfrec.errors import RejectedRowsError, TfrecError
from tfrec.schema import DataLayout, Manifest

CORRUPTIONS = 160


def service(folder: Path) -> DatasetConfig:
    """A small service with quoted texts, pictures and sounds."""
    made = Service.of_three_users(folder)
    made.users = [("u1", "DE"), ("u2", "FR"), ("u3", "DE")]
    made.comments = [("u1", "a", "so, nice", 100), ("u2", "b", 'a "quoted"\nline', 101)]
    made.items[1] = ("b", "Bread, with\nbutter", "food", 2000)
    cover = {"modality": "image", "path": "media/{item_id}.png", "size": [8, 8]}
    clip = {
        "modality": "audio",
        "path": "media/{item_id}.wav",
        "sample_rate": 1000,
        "seconds": 0.1,
    }
    made.description = {"items": {"features": {"cover": cover, "clip": clip}}}
    config = made.write()
    (folder / "media").mkdir()
    for number, name in enumerate("abcd"):
        pixels = np.random.default_rng(number).integers(0, 256, (12, 10, 3), np.uint8)
        Image.fromarray(pixels).save(folder / "media" / f"{name}.png")
        wave = tf.constant(np.sin(np.arange(90) / (number + 1))[:, None], tf.float32)
        (folder / "media" / f"{name}.wav").write_bytes(tf.audio.encode_wav(wave, 1000).numpy())
    return config


def movielens(folder: Path) -> DatasetConfig:
    """A stand-in for the MovieLens small with plots and posters: its columns, of our own making."""
    rng = random.Random(4)
    folder.mkdir(parents=True)
    (folder / "images").mkdir()
    names = [
        f"The {word}, Part {n}" for n, word in enumerate(["Fog", 'So-called "End"', "Été"] * 4)
    ]
    films = [
        (n + 1, name, 1950 + n, "Drama|Comedy" if n % 3 else "", f"One day, {name}\nends.", "A|B")
        for n, name in enumerate(names)
    ]
    header = ("item_id", "title", "year", "genres", "plot", "actors")
    write_csv(folder / "items.csv", header, films)
    moments = sorted(rng.sample(range(828_124_615, 1_500_000_000), 60))
    parts = ["train"] * 40 + ["validation"] * 10 + ["test"] * 10
    rows = [
        (rng.randint(1, 6), rng.randint(1, 12), rng.randint(1, 10) / 2, moment, part)
        for moment, part in zip(moments, parts, strict=True)
    ]
    header = ("user_id", "item_id", "rating", "timestamp", "split")
    write_csv(folder / "interactions.csv", header, rows)
    tags = [(row[0], row[1], "boring, but pretty", row[3] + 5) for row in rows[::4]]
    write_csv(folder / "tags.csv", ("user_id", "item_id", "tag", "timestamp"), tags)
    for film in films[:10]:
        pixels = np.random.default_rng(film[0]).integers(0, 256, (18, 12, 3), np.uint8)
        Image.fromarray(pixels).save(folder / "images" / f"{film[0]}.jpg")
    return describe_films("column")


def describe_films(split: str) -> DatasetConfig:
    features = {
        "text": {"modality": "text", "column": ["title", "plot", "actors"]},
        "poster": {"modality": "image", "path": "images/{item_id}.jpg", "size": [8, 8]},
        "genres": {"modality": "tags", "separator": "|"},
        "year": {"modality": "numeric"},
    }
    return DatasetConfig.model_validate(
        {
            "name": "films",
            "interactions": {"path": "interactions.csv", "label": "rating >= 4"},
            "items": {"path": "items.csv", "features": features},
            "comments": {"path": "tags.csv", "text": "tag"},
            "split": {"method": split},
        }
    )


def real_movielens(folder: Path) -> DatasetConfig:
    """Every 200th film of the real data at `TFREC_MOVIELENS`: its rows, ratings, tags, poster."""
    given = os.environ.get("TFREC_MOVIELENS")
    if given is None:
        pytest.skip("TFREC_MOVIELENS names no folder with MovieLens small and its images/")
    root = Path(given)
    (folder / "images").mkdir(parents=True)
    with open(root / "items.csv", encoding="utf-8", newline="") as stream:
        header, *films = csv.reader(stream)
    films = films[::200]
    write_csv(folder / "items.csv", header, films)
    chosen = {film[0] for film in films}
    for name in ("interactions.csv", "tags.csv"):
        with open(root / name, encoding="utf-8", newline="") as stream:
            header, *rows = csv.reader(stream)
        write_csv(folder / name, header, [row for row in rows if row[1] in chosen])
    for film in chosen:
        poster = root / "images" / f"{film}.jpg"
        if poster.is_file():
            (folder / "images" / poster.name).write_bytes(poster.read_bytes())
    return describe_films("global_time")


def flip(data: bytes, rng: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.randint(1, 8)):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def cut(data: bytes, rng: random.Random) -> bytes:
    return data[: rng.randrange(len(data))]


def insert(data: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(data) + 1)
    odd = (b'"', b"\n", b"\r", b",", b"\0", b"\xff\xfe", b'""",', b"\n\n,\n", rng.randbytes(9))
    return data[:at] + rng.choice(odd) + data[at:]


def drop_line(data: bytes, rng: random.Random) -> bytes:
    lines = data.split(b"\n")
    del lines[rng.randrange(len(lines))]
    return b"\n".join(lines)


def cut_line(data: bytes, rng: random.Random) -> bytes:
    lines = data.split(b"\n")
    place = rng.randrange(len(lines))
    lines[place] = lines[place][: rng.randrange(len(lines[place]) + 1)]
    return b"\n".join(lines)


def swap_columns(data: bytes, rng: random.Random) -> bytes:
    lines = data.split(b"\n")
    for place in range(rng.randrange(len(lines)), len(lines)):
        cells = lines[place].split(b",")
        rng.shuffle(cells)
        lines[place] = b",".join(cells)
    return b"\n".join(lines)


def repeat_lines(data: bytes, rng: random.Random) -> bytes:
    lines = data.split(b"\n")
    return b"\n".join([*lines, *rng.choices(lines, k=4)])


def bomb(_: bytes, rng: random.Random) -> bytes:
    """A PNG of a few bytes that declares gigapixels, or a WAV that declares gigabytes."""
    side = rng.choice([60_000, 2**31 - 1, 0])
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    parts = b""
    for kind, content in (
        (b"IHDR", header),
        (b"IDAT", zlib.compress(bytes(10_000))),
        (b"IEND", b""),
    ):
        parts += struct.pack(">I", len(content)) + kind + content
        parts += struct.pack(">I", zlib.crc32(kind + content))
    wav = b"RIFF\xff\xff\xff\xffWAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, 1, 1, 2, 16)
    return rng.choice([b"\x89PNG\r\n\x1a\n" + parts, wav + b"data\xff\xff\xff\x7f" + bytes(50)])


def noise(data: bytes, rng: random.Random) -> bytes:
    return rng.randbytes(len(data))


Change = Callable[[bytes, random.Random], bytes]
IN_TABLES: Sequence[Change] = (flip, cut, insert, drop_line, cut_line, swap_columns, repeat_lines)
IN_MEDIA: Sequence[Change] = (flip, cut, bomb, noise)


def corrupt(folder: Path, rng: random.Random) -> None:
    """One to three corruptions of some file."""
    tables = sorted(path for path in folder.iterdir() if path.is_file())
    media = sorted(path for path in folder.rglob("*") if path.is_file() and path not in tables)
    for _ in range(rng.randint(1, 3)):
        if rng.random() < 0.7:
            path, changes = rng.choice(tables), IN_TABLES
        else:
            path, changes = rng.choice(media), IN_MEDIA
        data = path.read_bytes() or b"x"
        path.write_bytes(rng.choice(changes)(data, rng))


def run_here(self: Stages, name: str, title: str, tasks: Sequence[Any]) -> Iterator[Any]:
    """The stage's own DoFn on each task, without a runner around it."""
    function = _RunTask(str(self.folder(name)))
    for task in tasks:
        list(function.process(task))
    return self.results(name, [task.key for task in tasks])


def outcome(config: DatasetConfig, raw: Path, out: Path, limit: float) -> str:
    """Prepares, and checks what has to hold whatever happens."""
    try:
        manifest = prepare(config, out, raw, max_rejected=limit)
    except TfrecError as error:
        assert "\n" not in str(error) and str(error).count(": ") >= 1
        assert not out.exists()
        assert error.exit_status in (1, 2)
        if isinstance(error, RejectedRowsError):
            assert any(out.with_name(out.name + ".rejected").iterdir())
        return type(error).__name__
    balanced(out, manifest)
    for name, counts in manifest.media.items():
        assert counts.read == counts.written + counts.rejected, name
    return "written"


def corrupted_outcomes(config: DatasetConfig, folder: Path, count: int) -> Counter[str]:
    """Corrupts a copy of `folder/whole` many times; what each came to."""
    outcomes: Counter[str] = Counter()
    for number in range(count):
        rng = random.Random(number)
        raw, out = folder / "raw", folder / "out"
        shutil.copytree(folder / "whole", raw)
        corrupt(raw, rng)
        outcomes[outcome(config, raw, out, rng.choice([0.0, 0.3, 1.0, 1.0]))] += 1
        for path in (raw, out, folder / "out.rejected"):
            shutil.rmtree(path, ignore_errors=True)
        assert not list(folder.glob(".out*")), number
    return outcomes


@pytest.mark.slow
@pytest.mark.parametrize("make", [service, movielens, real_movielens])
def test_hundreds_of_corruptions_lose_no_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], DatasetConfig]
) -> None:
    """Each is told in one line, with nothing published, or gives balanced books.

    The runner is left out: Beam moves file names alone, and costs ten times what tiny data does.
    """
    monkeypatch.setattr(Stages, "run", run_here)
    outcomes = corrupted_outcomes(make(tmp_path / "whole"), tmp_path, CORRUPTIONS)
    # The corpus must reach all ways out, or it proves little; a header of a large file is hit less.
    assert outcomes["written"] > 30
    assert outcomes["RejectedRowsError"] > 15
    assert outcomes["DescriptionError"] + outcomes["DataError"] > 3


def _prepare_in_child(config: DatasetConfig, folder: Path) -> None:
    options = {"beam_options": ONE_WORKER, "resume": True, "cache": folder / "cache"}
    prepare(config, folder / "out", folder / "raw", **options)


def contents(out: Path) -> tuple[Manifest, list[tuple[str, bytes]]]:
    layout = DataLayout(out)
    manifest = layout.read_manifest()
    return manifest, [(shard.path, (out / shard.path).read_bytes()) for shard in manifest.shards]


@pytest.mark.slow
def test_twenty_kills_then_the_records_of_an_undisturbed_run(tmp_path: Path) -> None:
    """SIGKILL at random moments, resumed each time, with a cache that is being written."""
    config = service(tmp_path / "raw")
    prepare(config, tmp_path / "expected", tmp_path / "raw")
    expected = contents(tmp_path / "expected")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.preprocessing.service"])
    rng = random.Random(0)
    kills = 0
    for _ in range(60):
        child = context.Process(target=_prepare_in_child, args=(config, tmp_path))
        child.start()
        child.join(rng.uniform(0.02, 1.2))
        if child.is_alive() and child.pid is not None:
            os.kill(child.pid, signal.SIGKILL)
            kills += 1
        child.join()
        if (tmp_path / "out").exists():
            assert contents(tmp_path / "out") == expected
            if kills < 20:
                shutil.rmtree(tmp_path / "out")
        if kills == 20:
            break
    assert kills == 20
    _prepare_in_child(config, tmp_path)
    assert contents(tmp_path / "out") == expected
    assert not (tmp_path / ".out.partial").exists()
