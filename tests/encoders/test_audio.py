"""Audio encoders hear what keras-hub's models hear, and nothing of padding."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import keras
import keras_hub
import numpy as np
import pytest
import tensorflow as tf

from tests.encoders.presets import (
    write_huggingface_bert,
    write_keras_hub_moonshine,
    write_keras_hub_whisper,
)
from tfrec.encoders import Encoder, find_preset, resolve
from tfrec.encoders.speech import load_speech
from tfrec.errors import DescriptionError

pytestmark = pytest.mark.filterwarnings(
    # h5py copies Keras variables by a protocol of NumPy 1.
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)

# Samples of sound in each row of SOUNDS; zeros follow.
LENGTHS = (9000, 4001, 12_000, 1)
KINDS: dict[str, Callable[[Path], Path]] = {
    "whisper": write_keras_hub_whisper,
    "moonshine": write_keras_hub_moonshine,
}


def sounds() -> np.ndarray:
    rng = np.random.default_rng(0)
    batch = np.zeros((len(LENGTHS), 12_000), np.int16)
    for row, length in zip(batch, LENGTHS, strict=True):
        row[:length] = rng.integers(-9000, 9000, length)
        row[length - 1] = 1
    return batch


SOUNDS = sounds()


@pytest.fixture(scope="module")
def presets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("presets")
    return {kind: write(folder / kind) for kind, write in KINDS.items()}


@pytest.fixture(scope="module", params=KINDS)
def encoder(request: pytest.FixtureRequest, presets: dict[str, Path]) -> Encoder:
    return resolve(str(presets[request.param]), "audio")


def by_keras_hub(folder: Path, heard: list[np.ndarray]) -> np.ndarray:
    """The whole model, words and all, on each sound alone without padding, as keras-hub has it."""
    converter = keras_hub.layers.AudioConverter.from_preset(str(folder))
    backbone = keras_hub.models.Backbone.from_preset(str(folder))
    words = {"decoder_token_ids": tf.zeros([1, 2], tf.int32)}
    words["decoder_padding_mask"] = tf.ones([1, 2], tf.int32)
    means = []
    for sound in heard:
        given = tf.constant(converter(sound[None].astype(np.float32) / 32768))
        if isinstance(backbone, keras_hub.models.WhisperBackbone):
            # A frame stands for 20 ms of the whole window, 320 samples.
            inputs, frames = {"encoder_features": given}, -(-len(sound) // 320)
        else:
            mask = tf.ones([1, len(sound)], tf.bool)
            inputs, frames = {"encoder_input_values": given, "encoder_padding_mask": mask}, None
        hidden = backbone({**inputs, **words})["encoder_sequence_output"]
        means.append(np.asarray(hidden)[0, :frames].mean(0))
    return np.array(means) / np.linalg.norm(means, axis=1, keepdims=True)


def check_against_keras_hub(encoder: Encoder) -> None:
    vectors = encoder.encode(SOUNDS, batch_size=3)[:3]
    heard = [SOUNDS[row, :length] for row, length in enumerate(LENGTHS[:3])]
    expected = by_keras_hub(find_preset(encoder.handle).folder, heard)
    np.testing.assert_allclose(vectors, expected, atol=1e-5)
    assert np.abs(vectors[0] - vectors[1]).max() > 1e-2


def test_vectors_are_keras_hubs_on_each_sound_alone(encoder: Encoder) -> None:
    """Spectrogram, mask, normalisation, encoder and mean, in a padded batch of several passes."""
    check_against_keras_hub(encoder)
    assert (encoder.dimension, encoder.sample_rate) == (8, 16_000)
    assert not encoder.trainable_weights


def test_a_sound_is_normalised_by_itself(tmp_path: Path) -> None:
    """Where the preset says so: mean and variance of the sound, not of the padding after it."""
    folder = write_keras_hub_moonshine(tmp_path / "normalizing", do_normalize=True)
    check_against_keras_hub(resolve(str(folder), "audio"))


def test_padding_and_order_change_nothing(encoder: Encoder) -> None:
    """A feature of more `seconds`, or another batch, has the same vectors."""
    expected = encoder.encode(SOUNDS)
    longer = np.pad(SOUNDS, [(0, 0), (0, 3000)])[::-1]
    np.testing.assert_allclose(encoder.encode(longer)[::-1], expected, atol=1e-5)


def test_silence_has_no_direction(encoder: Encoder) -> None:
    """Zeros, not a vector that silent sounds would share; finite beside others, and by itself."""
    silent = np.concatenate([SOUNDS[:1], np.zeros_like(SOUNDS[:1])])
    vectors = encoder.encode(silent)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), [1, 0], atol=1e-5)
    np.testing.assert_allclose(vectors[0], encoder.encode(SOUNDS)[0], atol=1e-5)
    few = encoder.encode(np.zeros((1, 10), np.int16))
    assert few.tolist() == [[0.0] * 8]


def test_whisper_hears_its_window_and_no_more(presets: dict[str, Path]) -> None:
    """The second second of a model that was trained on one counts for nothing."""
    whisper = resolve(str(presets["whisper"]), "audio")
    rng = np.random.default_rng(1)
    long = rng.integers(-9000, 9000, (2, 32_000)).astype(np.int16)
    long[1, :16_000] = long[0, :16_000]
    vectors = whisper.encode(long)
    np.testing.assert_allclose(vectors[1], vectors[0], atol=1e-6)
    np.testing.assert_allclose(whisper.encode(long[:, :16_000]), vectors, atol=1e-6)


@pytest.mark.slow
def test_an_exported_graph_holds_the_encoder_alone(encoder: Encoder, tmp_path: Path) -> None:
    """In a TF1-style session, as TensorFlow Serving runs it; no weight of the decoder in it."""
    archive = keras.export.ExportArchive()
    archive.track(encoder)
    archive.add_endpoint("serve", encoder.call, [tf.TensorSpec([None, 12_000], tf.int16)])
    archive.write_out(str(tmp_path / "saved"), verbose=False)
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        loaded = tf.compat.v1.saved_model.load(session, ["serve"], str(tmp_path / "saved"))
        signature = loaded.signature_def["serve"]
        (feed,), (fetch,) = signature.inputs.values(), signature.outputs.values()
        answer = session.run(fetch.name, {feed.name: SOUNDS})
        ops = {node.op for node in session.graph.as_graph_def().node}
    np.testing.assert_allclose(answer, encoder.encode(SOUNDS), atol=1e-5)
    assert not ops & {"PyFunc", "EagerPyFunc"}
    stored = tf.train.list_variables(str(tmp_path / "saved" / "variables" / "variables"))
    numbers = sum(int(np.prod(shape)) for name, shape in stored if name.startswith("variables"))
    whole = keras_hub.models.Backbone.from_preset(encoder.handle).count_params()
    assert numbers == sum(weight.shape.num_elements() for weight in encoder.weights) < whole


def test_a_saved_model_file_names_the_handle_only(encoder: Encoder) -> None:
    """An encoder inside a .keras file is resolved again, not copied."""
    again = type(encoder).from_config(encoder.get_config())
    np.testing.assert_array_equal(again.encode(SOUNDS), encoder.encode(SOUNDS))
    assert again.fingerprint == encoder.fingerprint


def test_a_model_of_another_modality_is_refused(presets: dict[str, Path], tmp_path: Path) -> None:
    """Words don't sound, and a speech model reads none: one line that says which it is."""
    bert = write_huggingface_bert(tmp_path / "text")
    with pytest.raises(DescriptionError, match=r"needs an audio model.*BertBackbone") as info:
        resolve(str(bert), "audio")
    assert "\n" not in str(info.value)
    with pytest.raises(DescriptionError, match=r"needs a text model.*WhisperBackbone"):
        resolve(str(presets["whisper"]), "text")


def test_a_preset_without_its_converter_is_one_line(tmp_path: Path) -> None:
    folder = write_keras_hub_moonshine(tmp_path / "cut")
    (folder / "audio_converter.json").unlink()
    with pytest.raises(DescriptionError, match="must be able to load its audio converter") as info:
        resolve(str(folder), "audio")
    assert "\n" not in str(info.value)


def test_a_converter_of_another_model_is_refused(tmp_path: Path) -> None:
    folder = write_keras_hub_whisper(tmp_path / "wrong", bands=24)
    with pytest.raises(DescriptionError, match=r"20 bands and 100 steps.*24 bands and 100 steps"):
        resolve(str(folder), "audio")


def test_a_speech_model_that_is_not_known_is_said(tmp_path: Path) -> None:
    """keras-hub may gain others, whose frames nobody here has counted."""
    preset = find_preset(str(write_keras_hub_moonshine(tmp_path / "any")))
    inputs = keras.Input([None, 4])
    with pytest.raises(DescriptionError, match=r"is Whisper or Moonshine.*Received: Functional"):
        load_speech(preset, keras.Model(inputs, keras.layers.Dense(2)(inputs)))
