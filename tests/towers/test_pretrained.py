"""Towers over what others have trained: word vectors, models of language, pictures and sound."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.encoders.presets import (
    write_huggingface_bert,
    write_keras_hub_image,
    write_keras_hub_moonshine,
    write_keras_hub_whisper,
)
from tfrec.encoders import resolve
from tfrec.errors import DescriptionError, EncoderNotFoundError
from tfrec.towers import (
    PretrainedAudioTower,
    PretrainedImageTower,
    PretrainedTextTower,
    TokenPooling,
    WordVectorsTower,
    read_word_vectors,
)

pytestmark = pytest.mark.filterwarnings(
    # h5py copies Keras variables by a protocol of NumPy 1.
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_huggingface_bert(tmp_path_factory.mktemp("hf") / "tiny"))


@pytest.fixture
def vectors(tmp_path: Path) -> Path:
    """word2vec's form: counts first; a word in two cases; a word with a space; gzip."""
    path = tmp_path / "vectors.txt.gz"
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.write("5 2\nBlue 1 2\nblue 7 7\n. . 9 9\n\u00e9t\u00e9 -1 0.5\nsong 3 -4\n")
    return path


def test_a_vector_file_is_read_as_published(vectors: Path) -> None:
    """The header is no word, the first of two cases wins, a word may have spaces."""
    words, numbers = read_word_vectors(vectors, 100)
    assert words == ["blue", ". .", "\u00e9t\u00e9", "song"]
    np.testing.assert_array_equal(numbers, [[1, 2], [9, 9], [-1, 0.5], [3, -4]])
    assert read_word_vectors(vectors, 2)[0] == ["blue", ". ."]


def test_known_words_have_the_files_vectors(vectors: Path) -> None:
    """The mean of "Blue SONG!" is the mean of two lines; padding doesn't count."""
    tower = WordVectorsTower(4, path=str(vectors), max_length=5)
    prepared = tower.prepare(tf.constant(["Blue SONG!", "\u00c9t\u00e9", ""]))
    tower(prepared)
    expected = [[2, -1], [-1, 0.5], [0, 0]]
    np.testing.assert_allclose(tower.features(prepared, None), expected, atol=1e-6)


def test_other_words_have_learned_vectors_of_their_own(vectors: Path) -> None:
    """A word beyond the file lies in the hashed table, never on another word's vector."""
    tower = WordVectorsTower(4, path=str(vectors), buckets=3, max_length=2)
    indices = tower.prepare(tf.constant(["zebra", "blue zebra"])).numpy()
    assert 5 <= indices[0, 0] <= 7 and indices[0, 1] == 0
    assert 1 <= indices[1, 0] <= 4 and indices[1, 1] == indices[0, 0]


def test_coverage_is_counted_by_running_and_by_different_words(vectors: Path) -> None:
    """Of blue, blue, sky, song, day: three running words and two different ones are known."""
    tower = WordVectorsTower(4, path=str(vectors), max_length=3)
    found = tower.coverage(["Blue blue sky, cut off", "song day"])
    assert (found.words, found.known_words) == (5, 3)
    assert (found.distinct, found.known_distinct) == (4, 2)
    assert str(found) == "60.0% of 5 words have a vector, 50.0% of 4 different ones"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a 1 2\nb 1\n", r"line 2: each line is a word and 2 numbers.* Received: 1 numbers"),
        ("a 1 x\n", r"line 1: numbers must follow the word"),
        ("", r"holds at least one"),
        (None, r"must be readable.*No such file"),
    ],
)
def test_a_damaged_vector_file_is_one_line(
    tmp_path: Path, content: str | None, message: str
) -> None:
    path = tmp_path / "v.txt"
    if content is not None:
        path.write_text(content)
    with pytest.raises(DescriptionError, match=message):
        WordVectorsTower(4, path=str(path))


def test_pooling_by_hand() -> None:
    """Two tokens and one of padding that holds noise."""
    tokens = tf.constant([[[1.0, -2.0], [3.0, -6.0], [99.0, 99.0]], [[np.nan] * 2] * 3])
    mask = tf.constant([[1, 1, 0], [0, 0, 0]])
    for mode, expected in (("mean", [2, -4]), ("max", [3, -2])):
        np.testing.assert_allclose(TokenPooling(mode)(tokens, mask), [expected, [0, 0]])
    np.testing.assert_allclose(TokenPooling("cls")(tokens, mask)[0], [1, -2])
    attention = TokenPooling("attention")
    attention(tokens, mask)
    attention.hidden.set_weights([np.eye(2), np.zeros(2)])
    attention.score.set_weights([np.array([[1.0], [0.0]])])
    weights = np.exp([np.tanh(1), np.tanh(3)])
    expected = weights @ [[1, -2], [3, -6]] / weights.sum()
    np.testing.assert_allclose(attention(tokens, mask), [expected, [0, 0]], rtol=1e-5)


def test_the_text_tower_reads_what_the_encoder_reads(bert: str) -> None:
    """Mean pooling of the frozen model is the encoder's vector, before its unit length."""
    tower = PretrainedTextTower(4, handle=bert, max_length=16)
    texts = np.array(["The songs of Caf\u00e9!", "b"], object)
    prepared = tower.prepare(tf.constant(texts))
    assert prepared.shape == (2, 2, 16)
    tower(prepared)
    features = tower.features(prepared, None).numpy()
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    np.testing.assert_allclose(features, resolve(bert, "text").encode(texts), atol=1e-5)


def names_of(tower: keras.layers.Layer) -> set[str]:
    return {variable.path.split("/", 1)[1] for variable in tower.backbone.trainable_variables}


@pytest.mark.slow
def test_what_is_tuned_is_what_was_asked_for(bert: str) -> None:
    """None: nothing; last: one block alone; lora: its factors alone; all: but the unread head."""
    towers = {
        tuning: PretrainedTextTower(4, handle=bert, tuning=tuning, layers=1, rank=2)
        for tuning in ("none", "last", "lora", "all")
    }
    blocks = {
        key: {layer.name for layer in tower.backbone.layers if layer.trainable_variables}
        for key, tower in towers.items()
    }
    both = {"transformer_layer_0", "transformer_layer_1"}
    assert blocks["none"] == set()
    assert blocks["last"] == {"transformer_layer_1"}
    assert blocks["lora"] == both
    assert both < blocks["all"] and "pooled_dense" not in blocks["all"]
    factors = [v.path.rpartition("/")[2] for v in towers["lora"].backbone.trainable_variables]
    # Two blocks, query and value, two factors each.
    assert sorted(factors) == ["lora_kernel_a"] * 4 + ["lora_kernel_b"] * 4


@pytest.mark.slow
def test_lora_merged_equals_lora_beside(bert: str) -> None:
    """Hu et al., equation 3: W + B A in place of both gives the same vectors."""
    adapted = PretrainedTextTower(4, handle=bert, tuning="lora", rank=2, max_length=8)
    plain = PretrainedTextTower(4, handle=bert, max_length=8)
    prepared = plain.prepare(tf.constant(["the song", "b ! song of"]))
    adapted(prepared), plain(prepared)
    untouched = adapted.features(prepared, None)
    np.testing.assert_allclose(untouched, plain.features(prepared, None), atol=1e-6)
    rng = np.random.default_rng(0)
    layers = {layer.path: layer for layer in plain.backbone._flatten_layers()}
    changed = 0
    for layer in adapted.backbone._flatten_layers():
        if getattr(layer, "lora_enabled", False):
            layer.lora_kernel_b.assign(rng.standard_normal(layer.lora_kernel_b.shape))
            a, b = layer.lora_kernel_a.numpy(), layer.lora_kernel_b.numpy()
            layers[layer.path]._kernel.assign_add(a @ b)
            changed += 1
    assert changed == 4
    beside = adapted.features(prepared, None)
    assert np.abs(beside - untouched).max() > 0.01
    np.testing.assert_allclose(beside, plain.features(prepared, None), atol=1e-4)


@pytest.mark.slow
def test_the_image_tower_reads_what_the_encoder_reads(tmp_path: Path) -> None:
    """The same model, pixel scaling and mean, also for pictures of another size."""
    folder = str(write_keras_hub_image(tmp_path / "resnet"))
    tower = PretrainedImageTower(4, handle=folder)
    pictures = np.random.default_rng(0).integers(0, 256, (3, 24, 24, 3)).astype(np.uint8)
    tower(tf.constant(pictures))
    expected = resolve(folder, "image").encode(pictures)
    np.testing.assert_allclose(tower.features(tf.constant(pictures), None), expected, atol=1e-4)
    with pytest.raises(ValueError, match=r"needs a model with attention"):
        PretrainedImageTower(4, handle=folder, tuning="lora")
    with pytest.raises(DescriptionError, match=r"a text tower needs a text model"):
        PretrainedTextTower(4, handle=folder)


@pytest.mark.slow
@pytest.mark.parametrize("write", [write_keras_hub_whisper, write_keras_hub_moonshine])
def test_the_audio_tower_reads_what_the_encoder_reads(
    tmp_path: Path, write: Callable[[Path], Path]
) -> None:
    """The same half of the model, the same mean over frames with sound, before its unit length."""
    folder = str(write(tmp_path / "speech"))
    tower = PretrainedAudioTower(4, handle=folder)
    sounds = np.random.default_rng(0).integers(-9000, 9000, (3, 9000)).astype(np.int16)
    sounds[1, 4000:] = 0
    tower(tf.constant(sounds))
    features = tower.features(tf.constant(sounds), None).numpy()
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    np.testing.assert_allclose(features, resolve(folder, "audio").encode(sounds), atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("write", "last"),
    [
        (write_keras_hub_whisper, {"transformer_encoder_layer_1", "encoder_layer_norm"}),
        (write_keras_hub_moonshine, {"encoder_block_1", "encoder_final_layer_norm"}),
    ],
)
def test_what_is_tuned_of_a_speech_model(
    tmp_path: Path, write: Callable[[Path], Path], last: set[str]
) -> None:
    """Its encoder alone: no decoder, no computed sinusoids; `last` takes the final norm along."""
    folder = str(write(tmp_path / "speech"))
    layers = {}
    for tuning in ("none", "last", "lora", "all"):
        tower = PretrainedAudioTower(4, handle=folder, tuning=tuning, layers=1, rank=2)
        paths = [weight.path for weight in tower.backbone.weights]
        assert not [path for path in paths if "decoder" in path or path.startswith("token")]
        layers[tuning] = {layer.name for layer in tower.backbone.layers if layer.trainable_weights}
        if tuning == "lora":
            factors = [weight.path for weight in tower.backbone.trainable_variables]
            # Two blocks, query and value, two factors each.
            assert len(factors) == 8 and all("lora_kernel" in path for path in factors)
    assert layers["none"] == set()
    assert layers["last"] == last
    assert layers["all"] > last | layers["lora"]
    assert not layers["all"] & {"encoder_position_embedding", "encoder_rotary_embedding"}


def test_an_audio_tower_refuses_other_sounds_and_models(tmp_path: Path, bert: str) -> None:
    """A rate at which the model would hear another pitch; a model of words."""
    folder = str(write_keras_hub_whisper(tmp_path / "whisper"))
    with pytest.raises(DescriptionError, match=r"16000 samples.*`sample_rate: 8000`"):
        PretrainedAudioTower(4, handle=folder, sample_rate=8000)
    with pytest.raises(DescriptionError, match=r"an audio tower needs an audio model.*reads text"):
        PretrainedAudioTower(4, handle=bert)


def test_a_missing_preset_names_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(EncoderNotFoundError, match=r"nowhere"):
        PretrainedTextTower(4, handle=str(tmp_path / "nowhere"))
