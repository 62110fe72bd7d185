"""`bert-music.yaml`: a language model that is trained on songs' words, from `tfrec train` on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from serving.client import CallOptions, Client
from serving.options import ServerOptions
from serving.server import Server
from tests.encoders.presets import write_huggingface_bert
from tests.records import Event, spec, write_prepared
from tfrec.cli import main
from tfrec.export.exporting import export_run
from tfrec.model import example_items
from tfrec.training import load_run

pytestmark = pytest.mark.slow

ITEMS, USERS, NEW = 24, 30, 4
VOCABULARY = "vocabulary/genres.txt"
# Words that a small model of random weights tells apart.
WORDS = ["song song song song", "! ! ! !"]


def service(folder: Path) -> Path:
    """Listeners of two kinds, songs of two kinds that only their words tell; four are new."""
    random = np.random.default_rng(3)
    events: dict[str, list[Event]] = {"train": [], "validation": [], "test": []}
    for user in range(USERS):
        own = [item for item in range(ITEMS - NEW) if item % 2 == user % 2]
        liked = [int(item) for item in random.permutation(own)]
        for place, item in enumerate(liked):
            split = "train" if place < 7 else "validation" if place < 9 else "test"
            events[split].append((user, item, 1_000 * place + user, 1.0))
    return write_prepared(
        folder,
        events,
        items=ITEMS,
        users=USERS,
        specs=[
            spec("text", "text", max_length=8),
            spec("genres", "tags", vocabulary_size=4, vocabulary=VOCABULARY),
        ],
        values={
            "text": [WORDS[item % 2] for item in range(ITEMS)],
            "genres": [[2 + item % 3 % 2] for item in range(ITEMS)],
        },
        profile=[spec("description", "text", max_length=8)],
        profiles={"description": [WORDS[user % 2] for user in range(USERS)]},
    )


def test_a_language_model_learns_what_songs_words_say(tmp_path: Path) -> None:
    """LoRA moves, the model stays; new songs of a listener's kind come first, by words alone.

    And the model with its tokenizer is exported: Keras, a TF1-style session and the embedded
    server give one answer to raw words.
    """
    data = service(tmp_path / "data")
    handle = str(write_huggingface_bert(tmp_path / "bert"))
    options = [f"item.towers.text.handle={handle}", f"query.towers.text.handle={handle}"]
    options += ["training.epochs=30", "training.patience=30", "dimension=8"]
    options += ["optimizer.learning_rate=0.02", "optimizer.embedding_learning_rate=0.002"]
    options += ["optimizer.schedule=constant"]
    sets = [part for option in options for part in ("--set", option)]
    out = tmp_path / "run"
    assert main(["train", str(data), str(out), "--config", "bert-music", *sets]) == 0
    run = load_run(out)
    view = run.model.views["neural"]
    for tower in (view.item_towers["text"], view.profile_towers["description"]):
        factors = [v for v in tower.backbone.trainable_variables if v.name == "lora_kernel_b"]
        assert len(factors) == 4 and all(np.abs(v.numpy()).max() > 0 for v in factors)
    inputs = example_items(run.manifest.item_features, NEW)
    inputs |= {"text": tf.constant(WORDS * 2), "text/present": tf.ones([NEW], tf.bool)}
    new = run.model.item_tower(inputs).numpy()
    scores = run.query_vectors(run.train) @ new.T
    even = run.train.user_index % 2 == 0
    margin = scores[:, 0] - scores[:, 1]
    assert (np.where(even, margin, -margin) > 0).mean() > 0.9
    (data / VOCABULARY).write_text("rock\njazz\n")
    done = export_run(out, tmp_path / "songs", force=True)
    assert done.verification.largest_difference < 1e-4
    options = ServerOptions(model_name="songs", model_base_path=tmp_path / "songs", port=0)
    with (
        Server(options) as server,
        Client(f"127.0.0.1:{server.port}", model="songs", call=CallOptions(timeout=60)) as client,
    ):
        asked = {
            "text": np.array(WORDS * 2, object),
            "genres": np.array([[""]] * NEW, object),
        }
        answer = client.predict(asked, signature="embed_item")
    np.testing.assert_allclose(answer["embedding"], new, atol=1e-4)
