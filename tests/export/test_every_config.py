"""Each shipped configuration, trained on a small service, answers alike wherever it is run."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from serving import tensors
from serving.client import CallOptions, Client
from serving.options import ServerOptions
from serving.server import Server
from tests.export.variable_reads import copied_variables
from tests.records import Event, spec, write_prepared
from tests.shipped import MODELS
from tfrec.config.loading import load_config
from tfrec.config.model import ModelConfig
from tfrec.config.presets import find_model_config
from tfrec.export import ServedModel
from tfrec.export.exporting import export_run
from tfrec.export.warmup import WARMUP_FILE
from tfrec.training import load_run, train

ITEMS, USERS, NEWCOMERS, EVENTS = 40, 40, 40, 8
HIT = 33
GENRES = "vocabulary/genres.txt"
SMALL = [
    "dimension=8",
    "training.epochs=1",
    "training.batch_size=64",
    "query.history_length=10",
    "closed_form.history_length=12",
]
CONTENT = {"embed_item", "item_parts", "similar_to_content"}
WITHOUT_CONTENT = {"ids", "lightgcn", "matrix-factorization"}
# What a server adds is the same for all; these differ most in their signatures and graphs.
SERVED = {"lightgcn", "multimodal", "sequence"}
WITH_POPULARITY = {"large", "multimodal", "sequence"}
ALWAYS = {
    "recommend",
    "recommend_from_history",
    "embed_user",
    "similar_items",
    "score",
    "explain",
}


def events() -> dict[str, list[Event]]:
    """Each user likes items of the own kind and one hit; the last two are held out.

    Newcomers of the validation part like the hit.
    """
    random = np.random.default_rng(7)
    found: dict[str, list[Event]] = {"train": [], "validation": [], "test": []}
    for user in range(USERS):
        own = np.arange(user % 2, ITEMS - 4, 2)
        for place, item in enumerate(random.permutation(own)[:EVENTS]):
            split = ("train", "validation", "test")[max(0, place - EVENTS + 3)]
            found[split].append((user, int(item), 1_000 * place + user, 1.0))
        found["train"].append((user, HIT, 900 + user, 1.0))
    found["validation"] += [(USERS + one, HIT, 7_000, 1.0) for one in range(NEWCOMERS)]
    return found


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures, words, tags, numbers, a profile; the last four items are new."""
    random = np.random.default_rng(0)
    pictures = random.integers(0, 256, (ITEMS, 8, 8, 3), np.uint8)
    root = write_prepared(
        tmp_path_factory.mktemp("service") / "data",
        events(),
        items=ITEMS,
        users=USERS + NEWCOMERS,
        specs=[
            spec("cover", "image", size=(8, 8)),
            spec("words", "text"),
            spec("genres", "tags", vocabulary_size=6, vocabulary=GENRES),
            spec("price", "numeric", mean=2.0, deviation=1.0),
        ],
        values={
            "cover": [pictures[i] if i % 7 else None for i in range(ITEMS)],
            "words": [("red hot song", "blue calm tune")[i % 2] + f" {i}" for i in range(ITEMS)],
            "genres": [[2 + i % 2, 4] for i in range(ITEMS)],
            "price": [float(i % 5) - 2 for i in range(ITEMS)],
        },
        profile=[spec("about", "text")],
        profiles={
            "about": [None if u % 5 == 0 else f"i am {u % 2}" for u in range(USERS + NEWCOMERS)]
        },
    )
    (root / GENRES).write_text("rock\njazz\nfolk\nlive\n")
    return root


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_a_config_answers_alike_wherever_it_is_run(data: Path, tmp_path: Path, name: str) -> None:
    """The export is proved against Keras; the warm-up, which asks every signature, over gRPC."""
    config = load_config(find_model_config(name), ModelConfig, SMALL)
    train(data, tmp_path / "run", config, progress=False)
    views = load_run(tmp_path / "run").model.views
    assert ("popularity" in views) == (name in WITH_POPULARITY)
    done = export_run(tmp_path / "run", tmp_path / name, force=True)
    assert done.verification.largest_difference < 1e-4
    assert copied_variables(done.path) == set()
    assert set(done.signatures) >= ALWAYS
    assert (set(done.signatures) >= CONTENT) == (name not in WITHOUT_CONTENT)
    if name in SERVED:
        check_server(done.path)


def check_server(version: Path) -> None:
    """The embedded server answers an export's warm-up as a session does."""
    name = version.parent.name
    options = ServerOptions(model_name=name, model_base_path=version.parent, port=0)
    asked: Counter[str] = Counter()
    with (
        Server(options) as server,
        ServedModel(version) as served,
        Client(f"127.0.0.1:{server.port}", model=name, call=CallOptions(timeout=60)) as client,
    ):
        for record in tf.data.TFRecordDataset(str(version / WARMUP_FILE)):
            log = prediction_log_pb2.PredictionLog.FromString(record.numpy())
            request = log.predict_log.request
            signature = request.model_spec.signature_name
            inputs = {key: tensors.decode(value) for key, value in request.inputs.items()}
            expected = served.run(signature, inputs)
            answer = client.predict(inputs, signature=signature)
            assert set(answer) == set(expected)
            for key, value in expected.items():
                if value.dtype == object:
                    assert np.array_equal(answer[key], value)
                else:
                    np.testing.assert_allclose(answer[key], value, atol=1e-4)
            asked[signature] += 1
    assert set(asked) == set(served.signatures)
    assert min(asked.values()) >= 2
