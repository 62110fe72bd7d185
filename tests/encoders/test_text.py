"""Text encoders: the vectors are the published model's, in every way of asking for them."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
import safetensors.numpy
import tensorflow as tf

from tests.encoders.numpy_bert import sentence_vector
from tests.encoders.presets import (
    WORDS,
    bert_weights,
    write_huggingface_bert,
    write_keras_hub_bert,
    write_keras_hub_image,
)
from tfrec.encoders import find_preset, resolve
from tfrec.errors import DescriptionError

pytestmark = pytest.mark.filterwarnings(
    # h5py copies Keras variables by a protocol of NumPy 1.
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)

TEXTS = np.array(["The songs of Caf\u00e9!", "b", "", "the the unknown", "Of " * 40], object)
# [CLS] … [SEP] by hand: "songs" is song + ##s, the accent goes, an unknown word is [UNK].
IDS = [[2, 5, 6, 9, 7, 8, 10, 3], [2, 11, 3], [2, 3], [2, 5, 5, 1, 3], [2, *[7] * 30, 3]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_huggingface_bert(tmp_path_factory.mktemp("hf") / "tiny")


def test_a_hugging_face_folder_equals_a_numpy_forward_pass(folder: Path) -> None:
    """Tokeniser, transformer, pooling and length, all against ids and arithmetic by hand."""
    encoder = resolve(f"hf:{folder}", "text")
    expected = [sentence_vector(bert_weights(), ids, heads=2) for ids in IDS]
    np.testing.assert_allclose(encoder.encode(TEXTS), expected, atol=1e-5)
    assert encoder.dimension == 8


@pytest.mark.slow
def test_many_texts_in_any_order_equal_one_at_a_time(folder: Path) -> None:
    """Sorting by length, padding and compiling change nothing."""
    encoder = resolve(str(folder), "text")
    rng = np.random.default_rng(0)
    texts = np.array([" ".join(rng.choice(WORDS[5:], rng.integers(0, 40))) for _ in range(520)])
    texts = texts.astype(object)
    many = encoder.encode(texts)
    for row in (0, 1, 17, 333, 519):
        np.testing.assert_allclose(many[row], encoder.encode(texts[row : row + 1])[0], atol=1e-5)


def test_max_length_cuts_and_counts_in_the_fingerprint(folder: Path) -> None:
    """Other options give other vectors, so they must not pass for the same."""
    short = resolve(str(folder), "text", max_length=4)
    expected = sentence_vector(bert_weights(), [2, 5, 6, 3], heads=2)
    np.testing.assert_allclose(short.encode(TEXTS[:1])[0], expected, atol=1e-5)
    whole = resolve(str(folder), "text")
    assert short.fingerprint != whole.fingerprint
    assert whole.fingerprint == resolve(f"hf:{folder}", "text").fingerprint


def test_bytes_that_are_not_utf8_are_encoded(folder: Path) -> None:
    """A served request can hold anything."""
    vectors = resolve(str(folder), "text")(tf.constant([b"\xff\xfe song", b"song"]))
    assert np.isfinite(vectors).all()


def test_a_keras_hub_preset_is_found_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`NAME` and `preset:NAME` search TFREC_PRESETS; the tokeniser comes with the preset."""
    write_keras_hub_bert(tmp_path / "second" / "tiny_bert")
    (tmp_path / "first").mkdir()
    path = f"{tmp_path / 'first'}:{tmp_path / 'second'}"
    monkeypatch.setenv("TFREC_PRESETS", path)
    by_name, by_kind = resolve("tiny_bert", "text"), resolve("preset:tiny_bert", "text")
    vectors = by_name.encode(TEXTS)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(vectors, by_kind.encode(TEXTS), atol=1e-6)
    assert np.abs(vectors[0] - vectors[3]).max() > 1e-3


@pytest.mark.slow
def test_an_exported_graph_takes_raw_strings(folder: Path, tmp_path: Path) -> None:
    """Tokeniser and weights run in a TF1-style session, as TensorFlow Serving runs them."""
    encoder = resolve(str(folder), "text")
    archive = keras.export.ExportArchive()
    archive.track(encoder)
    archive.add_endpoint("serve", encoder.call, [tf.TensorSpec([None], tf.string)])
    archive.write_out(str(tmp_path / "saved"), verbose=False)
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        loaded = tf.compat.v1.saved_model.load(session, ["serve"], str(tmp_path / "saved"))
        signature = loaded.signature_def["serve"]
        (feed,), (fetch,) = signature.inputs.values(), signature.outputs.values()
        answer = session.run(fetch.name, {feed.name: list(TEXTS)})
    np.testing.assert_allclose(answer, encoder.encode(TEXTS), atol=1e-5)


def test_a_saved_model_file_names_the_handle_only(folder: Path, tmp_path: Path) -> None:
    """An encoder inside a .keras file is resolved again, not copied."""
    encoder = resolve(str(folder), "text", max_length=6)
    again = type(encoder).from_config(encoder.get_config())
    np.testing.assert_array_equal(again.encode(TEXTS), encoder.encode(TEXTS))
    assert again.fingerprint == encoder.fingerprint


def test_a_tokeniser_of_another_vocabulary_is_refused(tmp_path: Path) -> None:
    """More pieces than the model has rows are read beyond its table; far fewer are other words."""
    folder = write_huggingface_bert(tmp_path / "wrong", [*WORDS, "extra"])
    with pytest.raises(DescriptionError, match=r"vocabulary of 12.*Received: a tokeniser of 13"):
        resolve(str(folder), "text")
    few = write_huggingface_bert(tmp_path / "other", WORDS[:9])
    with pytest.raises(DescriptionError, match=r"vocabulary of 12.*Received: a tokeniser of 9"):
        resolve(str(few), "text")


def test_a_vocabulary_without_special_tokens_is_refused(tmp_path: Path) -> None:
    folder = write_huggingface_bert(tmp_path / "wrong", ["[PAD]", "[UNK]", "the"])
    with pytest.raises(DescriptionError, match=r"no \[CLS\]"):
        resolve(str(folder), "text")


def test_a_model_of_another_modality_is_refused(tmp_path: Path) -> None:
    folder = write_keras_hub_image(tmp_path / "image")
    with pytest.raises(DescriptionError, match=r"needs a text model.*ResNetBackbone"):
        resolve(str(folder), "text")


def test_damaged_weights_are_one_line(tmp_path: Path) -> None:
    folder = write_huggingface_bert(tmp_path / "cut")
    (folder / "model.safetensors").unlink()
    with pytest.raises(DescriptionError, match="keras-hub must be able to load its model") as info:
        resolve(str(folder), "text")
    assert "\n" not in str(info.value)


@pytest.mark.slow
def test_minilm_equals_the_published_similarities_and_numpy() -> None:
    """The model card's example gives 0.695, 0.943, 0.257; weights, by hand, the same vector."""
    encoder = resolve("minilm", "text")
    texts = ["That is a happy person", "That is a happy dog", "That is a very happy person",
             "Today is a sunny day"]  # fmt: skip
    vectors = encoder.encode(np.array(texts, object))
    np.testing.assert_allclose(vectors[1:] @ vectors[0], [0.695, 0.943, 0.257], atol=6e-4)
    weights = safetensors.numpy.load_file(find_preset("minilm").folder / "model.safetensors")
    words = (find_preset("minilm").folder / "vocab.txt").read_text().splitlines()
    ids = [words.index(word) for word in ["[CLS]", *texts[0].lower().split(), "[SEP]"]]
    np.testing.assert_allclose(vectors[0], sentence_vector(weights, ids, heads=12), atol=1e-4)
    assert (encoder.dimension, encoder.max_length) == (384, 256)
