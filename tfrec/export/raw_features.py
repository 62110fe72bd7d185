"""Raw values to prepared ones inside the served graph: what preprocessing did, for one request.

    "  Café noir   "  text         normalised, cut at a length no tokeniser reads to  ─▶ string
    <JPEG bytes>          image        decoded, resized; masked when it isn't a picture  ─▶ uint8
    <WAV bytes>           audio        decoded, resampled; masked likewise               ─▶ int16
    [<JPEG bytes>, …]     video        frames, decoded each; masked when one isn't       ─▶ uint8
    "DE"                  categorical  vocabulary, 1 when unknown                        ─▶ int32
    ["rock", "", "x"]     tags         vocabulary, 0 beyond the last                     ─▶ int32
    1994.0                numeric      transformed, standardised as in the train part    ─▶ float32
    [0.1, …]              embedding    as it is                                          ─▶ float32

then, for a feature whose frozen encoder was run, the encoder. "" and NaN are missing: zeros, and
False in NAME/present.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import tensorflow as tf

from tfrec import schema
from tfrec.errors import ExportError
from tfrec.export.guards import refuse_infinite
from tfrec.export.string_index import StringIndex
from tfrec.media import decode_audio, decode_image, normalize_text
from tfrec.media.numbers import transform_numbers
from tfrec.schema import FeatureSpec

__all__ = ["RawFeatures"]

Encoder = Callable[[tf.Tensor], tf.Tensor]

# Letters that a text keeps, for each token that its encoder reads: far more than any word has, so
# that nothing read is lost, while a request of megabytes isn't tokenised whole.
_BYTES_PER_TOKEN = 64
_DEFAULT_TOKENS = 128
_DEFAULT_TAGS = 32


class RawFeatures(tf.Module):
    """Raw inputs of a group of features, and how they are prepared.

    Args:
        specs: The features, in the order of the `present` flags.
        vocabularies: Values of each categorical and tags feature, index 2 first.
        encoders: Frozen encoder of each feature that has `encoded_dim`.
        prefix: Before a feature's name in the signature, for context features.

    Raises:
        ExportError: A vocabulary or an encoder is missing.
    """

    def __init__(
        self,
        specs: Sequence[FeatureSpec],
        vocabularies: Mapping[str, Sequence[str]],
        encoders: Mapping[str, Encoder],
        prefix: str = "",
    ) -> None:
        super().__init__(name="raw_features")
        self._specs = tuple(specs)
        self._prefix = prefix
        self._encoders = dict(encoders)
        self._vocabularies: dict[str, StringIndex] = {}
        for spec in specs:
            if spec.modality in ("categorical", "tags") and spec.config.hash_buckets is None:
                if spec.name not in vocabularies:
                    raise _missing(spec, "vocabulary", "Preprocess again")
                self._vocabularies[spec.name] = StringIndex(
                    vocabularies[spec.name], f"feature/{prefix}{spec.name}"
                )
            if spec.encoded_dim is not None and spec.name not in encoders:
                raise _missing(spec, "frozen encoder", "Install it, or preprocess without it")

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the features, in order."""
        return tuple(spec.name for spec in self._specs)

    @property
    def inputs(self) -> dict[str, tf.TensorSpec]:
        """The signature's inputs, by their names there."""
        return {
            self._prefix + spec.name: _input_spec(spec, self._prefix + spec.name)
            for spec in self._specs
        }

    def prepare(self, inputs: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Prepares a batch.

        Args:
            inputs: As `inputs` describes them.

        Returns:
            NAME: the prepared form, or float32 [b, d] where an encoder was run; NAME/present: bool
            [b].
        """
        prepared: dict[str, tf.Tensor] = {}
        for spec in self._specs:
            value, present = self._prepare_one(spec, inputs[self._prefix + spec.name])
            if spec.encoded_dim is not None:
                value = self._encoded(spec, value, present)
            prepared[spec.name] = value
            prepared[schema.present(spec.name)] = present
        return prepared

    def encode_text(self, name: str, texts: tf.Tensor) -> tf.Tensor:
        """Texts by the frozen encoder of a text feature.

        Args:
            name: The feature.
            texts: string [b].

        Returns:
            float32 [b, d] of length 1; zeros for a blank text.
        """
        spec = next(spec for spec in self._specs if spec.name == name)
        vectors = self._encoded(spec, *self._prepare_one(spec, texts))
        return tf.math.l2_normalize(vectors, -1)

    def _encoded(self, spec: FeatureSpec, value: tf.Tensor, present: tf.Tensor) -> tf.Tensor:
        vectors = tf.cast(self._encoders[spec.name](value), tf.float32)
        vectors = tf.ensure_shape(vectors, [None, spec.encoded_dim])
        return tf.where(present[:, None], vectors, 0.0)

    def _prepare_one(self, spec: FeatureSpec, raw: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        config = spec.config
        if spec.modality == "text":
            limit = _BYTES_PER_TOKEN * (config.max_length or _DEFAULT_TOKENS)
            text = normalize_text(tf.strings.substr(raw, 0, limit))
            return text, text != b""
        if spec.modality == "image":
            return decode_image(raw, self._picture_size(spec))
        if spec.modality == "audio":
            return decode_audio(raw, config.sample_rate, config.seconds)
        if spec.modality == "video":
            return self._decode_frames(spec, raw)
        if spec.modality == "categorical":
            return self._look_up(spec, raw)
        if spec.modality == "tags":
            tags, present = self._look_up(spec, raw)
            return _aligned(tags, config.max_length or _DEFAULT_TAGS), tf.reduce_any(present, 1)
        numbers = refuse_infinite(spec.name, raw)
        if spec.modality == "embedding":
            present = ~tf.reduce_any(tf.math.is_nan(numbers), 1)
            return tf.where(present[:, None], numbers, 0.0), present
        return _standardised(spec, numbers)

    def _picture_size(self, spec: FeatureSpec) -> tuple[int, int]:
        size = getattr(self._encoders.get(spec.name), "image_size", None)
        return size or spec.config.size

    def _decode_frames(self, spec: FeatureSpec, raw: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        height, width = self._picture_size(spec)
        frames = spec.config.frames
        pictures, valid = decode_image(tf.reshape(raw, [-1]), (height, width))
        whole = tf.reduce_all(tf.reshape(valid, [-1, frames]), 1)
        video = tf.reshape(pictures, [-1, frames, height, width, 3])
        return tf.where(whole[:, None, None, None, None], video, tf.zeros_like(video)), whole

    def _look_up(self, spec: FeatureSpec, raw: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        values, config = normalize_text(raw), spec.config
        present = values != b""
        if config.hash_buckets is not None:
            known = _hashed(values, config.hash_buckets, schema.FIRST_VALUE_INDEX)
        else:
            found = self._vocabularies[spec.name].lookup(values)
            unknown: tf.Tensor | int = schema.OOV_INDEX
            if config.oov_buckets > 1:
                first = int(spec.vocabulary_size or 0) - config.oov_buckets
                unknown = _hashed(values, config.oov_buckets, first)
            known = tf.where(found < 0, unknown, found + schema.FIRST_VALUE_INDEX)
        return tf.where(present, known, schema.MISSING_INDEX), present


def _hashed(values: tf.Tensor, buckets: int, first: int) -> tf.Tensor:
    return first + tf.cast(tf.strings.to_hash_bucket_fast(values, buckets), tf.int32)


def _input_spec(spec: FeatureSpec, name: str) -> tf.TensorSpec:
    if spec.modality == "tags":
        return tf.TensorSpec([None, None], tf.string, name)
    if spec.modality == "video":
        return tf.TensorSpec([None, spec.config.frames], tf.string, name)
    if spec.modality == "numeric":
        return tf.TensorSpec([None], tf.float32, name)
    if spec.modality == "embedding":
        return tf.TensorSpec([None, spec.config.dimension], tf.float32, name)
    return tf.TensorSpec([None], tf.string, name)


def _standardised(spec: FeatureSpec, numbers: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    # Where the transform has no result the number is missing, as in preprocessing.
    numbers = transform_numbers(numbers, spec.config.transform, spec.config.period)
    present = ~tf.math.is_nan(numbers)
    if spec.boundaries is not None:
        edges = tf.constant(spec.boundaries, tf.float32)
        below = tf.cast(
            tf.searchsorted(edges, tf.where(present, numbers, 0.0), "right"), tf.float32
        )
        scaled = below * np.float32(1.0 / max(len(spec.boundaries), 1))
    else:
        scaled = (numbers - np.float32(spec.shift)) * np.float32(1.0 / spec.spread)
    return tf.where(present, scaled, 0.0), present


def _aligned(tags: tf.Tensor, width: int) -> tf.Tensor:
    """Tags moved to the left, padded with 0 to `width`, those beyond it dropped."""
    order = tf.argsort(tf.cast(tags == schema.MISSING_INDEX, tf.int32), axis=1, stable=True)
    left = tf.gather(tags, order, axis=1, batch_dims=1)[:, :width]
    padded = tf.pad(left, [[0, 0], [0, tf.maximum(width - tf.shape(left)[1], 0)]])
    return tf.ensure_shape(padded, [None, width])


def _missing(spec: FeatureSpec, what: str, remedy: str) -> ExportError:
    return ExportError(
        f"feature {spec.name}", f"a served model holds its {what}", received="none", remedy=remedy
    )
