"""Run the encoder half of keras-hub's speech models on samples.

int16 [batch, samples] ─ where the sound ends ─ what the model reads ─ encoder ─▶ a vector a frame,
and which frames hold sound. The decoder, which writes words, is left behind: nothing tracks it, so
no file and no export has its weights.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any

import keras
import tensorflow as tf

from tfrec.encoders.backbone import load_part
from tfrec.encoders.presets import Preset
from tfrec.errors import DescriptionError

__all__ = ["SpeechModel", "check_sample_rate", "load_speech", "sound_lengths"]

ops = keras.ops

# Kernel and stride of Moonshine's three convolutions; one frame at the end needs 895 samples.
_CONVOLUTIONS = ((127, 64), (7, 3), (3, 2))
_SHORTEST = 895
# What Moonshine's authors let it read at once.
_MOONSHINE_SECONDS = 64


class SpeechModel(ABC):
    """The encoder half of a speech model, and how it is given samples; core TensorFlow ops alone.

    Attributes:
        sample_rate: Samples per second that the model was trained on.
        width: Of a frame's vector.
        encoder: The layers and weights, of the decoder none; for who runs it to track.
    """

    sample_rate: int
    width: int
    encoder: keras.Model

    @abstractmethod
    def __call__(self, samples: Any, training: bool = False) -> tuple[Any, Any]:
        """Runs the encoder.

        Args:
            samples: int16 [batch, samples], padded by zeros.
            training: Whether dropout acts.

        Returns:
            float32 [batch, frames, width]; bool [batch, frames], those that hold sound. Silence
            after the last sample that isn't zero is padding, whether or not a file had it.
        """


class Whisper(SpeechModel):
    """Whisper's encoder on the log-mel spectrogram of a window of 30 s.

    Radford et al., "Robust speech recognition via large-scale weak supervision", 2022, 2.2. The
    model knows no mask and was trained on whole windows, so that a short sound costs as much as a
    long one; a longer one is cut.

    Args:
        backbone: A `keras_hub.models.WhisperBackbone`.
        converter: The preset's `WhisperAudioConverter`, which says window, bands and steps.
    """

    def __init__(self, backbone: Any, converter: Any) -> None:
        self.sample_rate = int(converter.sampling_rate)
        self.width = int(backbone.hidden_dim)
        self.encoder = keras.Model(
            backbone.input["encoder_features"], backbone.output["encoder_sequence_output"]
        )
        self._samples = int(converter.num_samples)
        self._window, self._hop = int(converter.num_fft_bins), int(converter.stride)
        self._filters = converter.mel_filters

    def __call__(self, samples: Any, training: bool = False) -> tuple[Any, Any]:
        """Runs the encoder; a frame is two steps of the spectrogram, 20 ms."""
        samples = _fitted(samples, self._samples, self._samples)
        hidden = self.encoder(self._features(samples), training=training)
        step = 2 * self._hop
        return hidden, _mask(hidden, (sound_lengths(samples) + step - 1) // step)

    def _features(self, samples: Any) -> Any:
        """float32 [batch, steps, bands], equal to keras-hub's converter.

        That one pads by a ragged tensor, which XLA doesn't compile.
        """
        edge = self._window // 2
        wave = tf.pad(_waveform(samples), [[0, 0], [edge, edge]], mode="REFLECT")
        spectrum = tf.signal.stft(wave, self._window, self._hop, self._window)[:, :-1]
        power = tf.square(tf.math.real(spectrum)) + tf.square(tf.math.imag(spectrum))
        mel = tf.tensordot(power, tf.constant(self._filters, tf.float32), 1)
        levels = tf.math.log(tf.maximum(mel, 1e-10)) / math.log(10.0)
        levels = tf.maximum(levels, tf.reduce_max(levels, [1, 2], keepdims=True) - 8.0)
        return (levels + 4.0) / 4.0


class Moonshine(SpeechModel):
    """Moonshine's encoder on the waveform itself.

    Jeffries et al., "Moonshine: speech recognition for live transcription and voice commands",
    2024. A sound has the same vectors under any padding; beyond 64 s it is cut, and one of less
    than 56 ms has no frame.

    Args:
        backbone: A `keras_hub.models.MoonshineBackbone`.
        converter: The preset's `MoonshineAudioConverter`.
    """

    def __init__(self, backbone: Any, converter: Any) -> None:
        self.sample_rate = int(converter.sampling_rate)
        self.width = int(backbone.hidden_dim)
        self.encoder = _MoonshineEncoder(backbone)
        self._normalise = bool(converter.do_normalize)

    def __call__(self, samples: Any, training: bool = False) -> tuple[Any, Any]:
        """Runs the encoder; a frame is 24 ms."""
        samples = _fitted(samples, _SHORTEST, _MOONSHINE_SECONDS * self.sample_rate)
        lengths = sound_lengths(samples)
        wave = _waveform(samples)[:, :, None]
        if self._normalise:
            there = _mask(wave, lengths)[:, :, None]
            mean, variance = _moments(wave, there)
            wave = tf.where(there, (wave - mean) / tf.sqrt(variance + 1e-7), 0.0)
        hidden = self.encoder(wave, lengths, training=training)
        return hidden, _mask(hidden, _frames(lengths, _CONVOLUTIONS))


class _MoonshineEncoder(keras.Model):
    """The encoder's layers, called as `MoonshineBackbone` does but for the first normalisation.

    That is over all of time: padding would count, and a second of sound in three would have other
    vectors than by itself.
    """

    def __init__(self, backbone: Any) -> None:
        super().__init__(dtype="float32", name="moonshine_encoder")
        self.conv1, self.first_activation = backbone.conv1, backbone.tanh_after_conv1
        self.group_norm = backbone.group_norm
        self.conv2, self.second_activation = backbone.conv2, backbone.gelu_after_conv2
        self.conv3, self.third_activation = backbone.conv3, backbone.gelu_after_conv3
        self.rotary_embedding = backbone.encoder_rotary_embedding
        self.dropout = backbone.encoder_dropout
        self.blocks = list(backbone.encoder_blocks)
        self.final_layer_norm = backbone.encoder_final_layer_norm
        self.built = True

    def call(self, wave: Any, lengths: Any, training: bool = False) -> Any:
        """From float32 [batch, samples, 1] and int32 [batch] to [batch, frames, width]."""
        hidden = self.first_activation(self.conv1(wave))
        there = _mask(hidden, _frames(lengths, _CONVOLUTIONS[:1]))[:, :, None]
        mean, variance = _moments(hidden, there)
        norm = self.group_norm
        hidden = (hidden - mean) * tf.math.rsqrt(variance + norm.epsilon) * norm.gamma + norm.beta
        hidden = self.second_activation(self.conv2(hidden))
        hidden = self.third_activation(self.conv3(hidden))
        mask = _mask(hidden, _frames(lengths, _CONVOLUTIONS))
        rotary = self.rotary_embedding(ops.arange(ops.shape(hidden)[1], dtype="int32"))
        hidden = self.dropout(hidden, training=training)
        for block in self.blocks:
            hidden = block(hidden, rotary, attention_mask=mask, training=training)
        return self.final_layer_norm(hidden)


def load_speech(preset: Preset, backbone: keras.Model) -> SpeechModel:
    """Takes the encoder half of a speech model.

    Args:
        preset: Its folder, with `audio_converter.json`.
        backbone: What `load_backbone` gave.

    Returns:
        The model, frozen.

    Raises:
        DescriptionError: It is no speech model that is known here, or its converter can't be read
            or belongs to another model.
    """
    import keras_hub

    known: dict[Any, Any] = {
        keras_hub.models.WhisperBackbone: Whisper,
        keras_hub.models.MoonshineBackbone: Moonshine,
    }
    kind = known.get(type(backbone))
    if kind is None:
        raise _unfit(preset, "a speech model is Whisper or Moonshine", type(backbone).__name__)
    converter = load_part(keras_hub.layers.AudioConverter, preset, "audio converter")
    if kind is Whisper:
        bands, steps = backbone.num_mels, backbone.max_encoder_sequence_length
        given = converter.num_samples // converter.stride
        if converter.num_mels != bands or given > steps:
            raise _unfit(
                preset,
                f"the audio converter must fit the model's {bands} bands and {steps} steps",
                f"a converter of {converter.num_mels} bands and {given} steps",
            )
    speech: SpeechModel = kind(backbone, converter)
    # Its layers are frozen, but a new model of them doesn't know, and would pass on no change.
    speech.encoder.trainable = False
    return speech


def check_sample_rate(where: str, wanted: int, given: int) -> None:
    """Refuses sounds of another rate, which a model would hear at another pitch.

    Args:
        where: For the error: `encoder NAME`.
        wanted: Samples per second that the model was trained on.
        given: Those of the data.

    Raises:
        DescriptionError: They differ.
    """
    if wanted != given:
        raise DescriptionError(
            where,
            f"the model hears {wanted} samples per second",
            received=f"`sample_rate: {given}`",
            remedy=f"Write `sample_rate: {wanted}` in the feature, to which files are resampled",
        )


def sound_lengths(samples: Any) -> Any:
    """Samples of each sound up to the last that isn't zero.

    Args:
        samples: int16 [batch, samples].

    Returns:
        int32 [batch]; 0 for silence.

    Example:
        >>> sound_lengths(tf.constant([[0, 5, 0, -1, 0], [0] * 5], tf.int16)).numpy().tolist()
        [4, 0]
    """
    places = tf.range(1, ops.shape(samples)[1] + 1)
    return tf.reduce_max(tf.where(samples != 0, places, 0), 1)


def _fitted(samples: Any, shortest: int, longest: int) -> Any:
    """int16 [batch, samples] with zeros up to `shortest`, and nothing beyond `longest`."""
    samples = tf.convert_to_tensor(samples)[:, :longest]
    missing = shortest - ops.shape(samples)[1]
    samples = tf.pad(samples, [[0, 0], [0, tf.maximum(missing, 0)]])
    if shortest == longest:
        return tf.ensure_shape(samples, [None, shortest])
    return samples


def _waveform(samples: Any) -> Any:
    return tf.cast(samples, tf.float32) / 32768.0


def _frames(lengths: Any, convolutions: tuple[tuple[int, int], ...]) -> Any:
    """Frames whose whole receptive field lies within a sound: int32 [batch]."""
    for kernel, stride in convolutions:
        lengths = tf.maximum((lengths - kernel) // stride + 1, 0)
    return lengths


def _mask(hidden: Any, counts: Any) -> Any:
    """Which frames come first, as many as a row has: bool [batch, frames]."""
    return tf.range(ops.shape(hidden)[1])[None] < counts[:, None]


def _moments(values: Any, there: Any) -> tuple[Any, Any]:
    """Mean and variance of each row's frames that are there, over time and channels."""
    flags = tf.cast(there, values.dtype)
    count = tf.reduce_sum(flags, [1, 2], keepdims=True) * values.shape[-1]
    count = tf.maximum(count, 1.0)
    mean = tf.reduce_sum(values * flags, [1, 2], keepdims=True) / count
    variance = tf.reduce_sum(tf.square(values - mean) * flags, [1, 2], keepdims=True) / count
    return mean, variance


def _unfit(preset: Preset, rule: str, received: str) -> DescriptionError:
    return DescriptionError(
        f"encoder {preset.handle}",
        rule,
        received=received,
        remedy="Name a complete preset of Whisper or Moonshine",
    )
