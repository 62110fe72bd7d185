"""The whole path by the commands that a person types, at a small size."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from serving.client import Client
from serving.options import ServerOptions
from serving.server import Server
from tfrec.cli import main
from tfrec.simulate import SimulationConfig, new_song, simulate

pytestmark = pytest.mark.slow


def tfrec(*arguments: str | Path, code: int = 0) -> str:
    """Runs a command as its entry point does; its standard error.

    In this process: TensorFlow takes longer to start than most of these commands need.
    """
    told = StringIO()
    with redirect_stderr(told):
        assert main([str(argument) for argument in arguments]) == code, told.getvalue()[-2000:]
    return told.getvalue()


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A service simulated, prepared, trained on, evaluated and exported."""
    work = tmp_path_factory.mktemp("work")
    simulate(work / "service", SimulationConfig(items=110, users=140))
    tfrec("preprocess", work / "service" / "dataset.yaml", work / "data")
    # A process of its own once, as a person's is: nothing that this one has loaded helps it.
    command = [sys.executable, "-m", "tfrec", "train", str(work / "data"), str(work / "run")]
    command += ["--set", "training.epochs=2"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    tfrec("evaluate", work / "run")
    tfrec("export", work / "run", work / "models" / "music", "--force")
    return work


def test_rows_read_are_rows_written_and_rejected(work: Path) -> None:
    manifest = json.loads((work / "data" / "manifest.json").read_text())
    for counts in manifest["sources"].values():
        assert counts["read"] == counts["written"] + counts["rejected"] > 0
    interactions = (work / "service" / "interactions.csv").read_text().splitlines()
    assert manifest["sources"]["interactions"]["read"] == len(interactions) - 1


def test_a_run_tells_how_good_it_is(work: Path) -> None:
    metrics = json.loads((work / "run" / "metrics.json").read_text())
    assert metrics
    assert "<html" in (work / "run" / "report.html").read_text()[:500]
    assert (work / "run" / "BLESSED").is_file() != (work / "run" / "NOT_BLESSED").is_file()


def test_recommend_writes_ranked_lists_without_what_was_seen(work: Path) -> None:
    """Contract 4, and the guard that nothing seen comes back."""
    output = work / "lists.parquet"
    tfrec("recommend", work / "run", "--k", "20", "--exclude-seen", "--output", output)
    table = pq.read_table(output).to_pandas()
    assert list(table.columns) == ["user_id", "rank", "item_id", "score"]
    for _, rows in table.groupby("user_id"):
        assert rows["rank"].tolist() == list(range(1, len(rows) + 1))
        assert rows["item_id"].is_unique and (rows["score"].diff().dropna() <= 1e-6).all()
    manifest = json.loads((work / "data" / "manifest.json").read_text())
    end = manifest["split_times"]["test"]
    lines = (work / "service" / "interactions.csv").read_text().splitlines()
    events = [line.split(",") for line in lines[1:]]
    seen = {(user, item) for user, item, moment, *_ in events if int(moment) < end}
    assert not seen & set(zip(table["user_id"], table["item_id"], strict=True))


def test_only_candidates_are_recommended_and_unknown_ones_are_told(work: Path) -> None:
    some = work / "some.txt"
    items = [
        line.split(",")[0] for line in (work / "service" / "items.csv").read_text().splitlines()
    ]
    some.write_text("\n".join(items[1:8]))
    output = work / "some.parquet"
    tfrec("recommend", work / "run", "--candidates", some, "--output", output)
    assert set(pq.read_table(output).column("item_id").to_pylist()) <= set(items[1:8])
    some.write_text("nothing-like-it\n")
    error = tfrec("recommend", work / "run", "--candidates", some, "--output", output, code=1)
    told = [line for line in error.splitlines() if line.startswith("tfrec recommend")]
    assert len(told) == 1 and "nothing-like-it" in told[0]


def test_the_served_model_recommends_and_embeds_a_new_song(work: Path) -> None:
    """A list for a known user over gRPC; a song in no catalogue gets a vector from its media."""
    options = ServerOptions(model_name="music", model_base_path=work / "models" / "music", port=0)
    lines = (work / "service" / "interactions.csv").read_text().splitlines()
    user = lines[1].split(",")[0]
    own = {line.split(",")[1] for line in lines[1:] if line.startswith(f"{user},")}
    song = new_song(SimulationConfig(items=150, users=200), 0)
    manifest = json.loads((work / "data" / "manifest.json").read_text())
    inputs: dict[str, object] = {}
    for feature in manifest["item_features"]:
        name, modality = feature["name"], feature["modality"]
        media = {"cover": song.cover, "clip": song.clip}.get(name)
        if modality == "tags":
            inputs[name] = [list(song.genres)]
        elif modality == "numeric":
            inputs[name] = np.array([np.nan], np.float32)
        else:
            inputs[name] = [song.lyrics if media is None else media]
    with Server(options) as server, Client(f"127.0.0.1:{server.port}", model="music") as client:
        lists = client.recommend(user, k=10)
        assert len(lists.item_ids) == 10 and not own & set(lists.item_ids)
        answer = client.predict(inputs, signature="embed_item")
        assert np.isfinite(answer["embedding"]).all()
        assert np.linalg.norm(answer["embedding"]) > 0
        names = [feature["name"] for feature in manifest["item_features"]]
        present = dict(zip(names, answer["present"][0], strict=True))
        assert present["cover"] == present["clip"] == present["genres"] == 1
        assert present["price"] == 0
