"""Decode and resample sound files: the same samples in preprocessing and in the served graph."""

from __future__ import annotations

import math

import tensorflow as tf

from tfrec.media.guarded import map_surviving_errors

__all__ = ["decode_audio", "resample"]

_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
# Chunks before `data` (LIST, fact, bext) are few; a file of nothing but chunks must not spin.
_MAX_CHUNKS = 64


def decode_audio(data: tf.Tensor, sample_rate: int, seconds: float) -> tuple[tf.Tensor, tf.Tensor]:
    """Decodes WAV files to mono of one rate and length.

    Reads PCM of 8, 16, 24 and 32 bits and floats of 32 and 64 bits, any number of channels (their
    mean), plain or extensible header. Only the first `seconds` are kept, resampled by `resample`
    when the rate differs, padded with silence, rounded half to even. A 16-bit mono file of the same
    rate comes through bit for bit. A `data` chunk that is shorter than its header says (a stream,
    a cut file) counts as far as it goes. Anything else (empty, compressed, damaged header, no
    samples) gives zeros and `False`, never an error. Core ops only; not under `jit_compile`.

    Args:
        data: string [batch], each a whole file; "" stands for a missing one.
        sample_rate: Samples per second after resampling.
        seconds: Length kept from the start.

    Returns:
        int16 [batch, round(sample_rate * seconds)], and bool [batch].

    Example:
        >>> wav = tf.audio.encode_wav([[0.5], [-0.25]], 8000)
        >>> samples, valid = decode_audio(tf.stack([wav, ""]), 8000, 3 / 8000)
        >>> samples.numpy().tolist(), valid.numpy().tolist()
        ([[16384, -8192, 0], [0, 0, 0]], [True, False])
    """
    samples = round(sample_rate * seconds)

    def decode(value: tf.Tensor) -> tf.Tensor:
        wave, rate = _read_wav(value, seconds)
        wave = tf.cond(
            tf.equal(rate, sample_rate), lambda: wave, lambda: resample(wave, rate, sample_rate)
        )[:samples]
        wave = tf.pad(wave, [[0, samples - tf.size(wave)]])
        return tf.cast(tf.clip_by_value(tf.round(wave * 32768.0), -32768.0, 32767.0), tf.int16)

    return map_surviving_errors(decode, tf.convert_to_tensor(data), [samples], tf.int16)


def resample(wave: tf.Tensor, rate: tf.Tensor | int, sample_rate: int) -> tf.Tensor:
    """Resamples by cutting or padding the spectrum: exact for what both rates can represent.

    Equal to `scipy.signal.resample`. The signal is taken as periodic, so an abrupt start or end
    rings for a few samples at the other end.

    Args:
        wave: float32 [n], n > 0.
        rate: Samples per second of `wave`.
        sample_rate: Samples per second wanted.

    Returns:
        float32 [ceil(n * sample_rate / rate)].
    """
    length = tf.size(wave)
    scaled = tf.cast(length, tf.float64) * sample_rate / tf.cast(rate, tf.float64)
    target = tf.maximum(tf.cast(tf.math.ceil(scaled), tf.int32), 1)
    shorter = tf.minimum(length, target)
    kept = tf.signal.rfft(wave)[: shorter // 2 + 1]
    # At an even cut the bin of the shorter side's Nyquist frequency stands for itself and for its
    # mirror image, which the longer side has apart.
    factor = tf.where(length > target, 2.0, tf.where(length < target, 0.5, 1.0))
    last = tf.cast(tf.where(shorter % 2 == 0, factor, 1.0), tf.float32)
    gain = tf.concat([tf.ones([shorter // 2]), last[None]], 0)
    kept = kept * tf.cast(gain, tf.complex64)
    kept = tf.pad(kept, [[0, target // 2 + 1 - tf.size(kept)]])
    back = tf.signal.irfft(kept, fft_length=target[None])
    return back * (tf.cast(target, tf.float32) / tf.cast(length, tf.float32))


def _read_wav(value: tf.Tensor, seconds: float) -> tuple[tf.Tensor, tf.Tensor]:
    riff = (tf.strings.substr(value, 0, 4) == b"RIFF") & (tf.strings.substr(value, 8, 4) == b"WAVE")
    with tf.control_dependencies([tf.debugging.Assert(riff, ["not a WAV file"])]):
        form, start, declared = _find_chunks(tf.identity(value))
    tag, channels = _integer(value, form, 2), _integer(value, form + 2, 2)
    rate, bits = _integer(value, form + 4, 4), _integer(value, form + 14, 2)
    # The extensible header tells the real format in the first bytes of its sub-format.
    tag = tf.cond(tf.equal(tag, _EXTENSIBLE), lambda: _integer(value, form + 24, 2), lambda: tag)
    width = bits // 8
    frame = tf.maximum(width * channels, 1)
    rest = tf.strings.length(value) - start
    # A writer that streams doesn't know the length and declares none, or all there could be.
    available = tf.where((declared > 0) & (declared < rest), declared, rest) // frame
    wanted = tf.cast(tf.math.ceil(tf.cast(rate, tf.float64) * seconds), tf.int32)
    frames = tf.minimum(available, wanted)
    sane = (frames > 0) & (channels > 0) & (channels <= 64) & (rate >= 100) & (rate <= 1_000_000)
    with tf.control_dependencies([tf.debugging.Assert(sane, ["no samples"])]):
        raw = tf.strings.substr(value, start, frames * frame)
    wave = _samples(raw, tag * 100 + bits)
    wave = tf.where(tf.math.is_finite(wave), wave, 0.0)
    return tf.reduce_mean(tf.reshape(wave, [frames, channels]), 1), rate


def _find_chunks(value: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Where the format chunk and the data chunk start, and the latter's declared length."""
    length = tf.strings.length(value)

    def unfinished(at: tf.Tensor, form: tf.Tensor, data: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
        return (data < 0) & (at + 8 <= length)

    def step(
        at: tf.Tensor, form: tf.Tensor, data: tf.Tensor, size: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
        name = tf.strings.substr(value, at, 4)
        declared = _integer(value, at + 4, 4)
        is_data = name == b"data"
        # Chunks are padded to an even length.
        after = at + 8 + tf.minimum(declared, length) + declared % 2
        return (
            after,
            tf.where(name == b"fmt ", at + 8, form),
            tf.where(is_data, at + 8, data),
            tf.where(is_data, declared, size),
        )

    none = tf.constant(-1)
    _, form, data, size = tf.while_loop(
        unfinished,
        step,
        (tf.constant(12), none, none, tf.constant(0)),
        maximum_iterations=_MAX_CHUNKS,
    )
    found = tf.debugging.Assert((form >= 0) & (data >= 0), ["no format or data chunk"])
    with tf.control_dependencies([found]):
        return tf.identity(form), tf.identity(data), tf.identity(size)


def _integer(value: tf.Tensor, at: tf.Tensor, width: int) -> tf.Tensor:
    """A little-endian unsigned integer, cut to int32 (no file that TensorFlow holds is longer)."""
    octets = tf.io.decode_raw(tf.strings.substr(value, at, width), tf.uint8)
    octets = tf.ensure_shape(octets, [width])
    weights = tf.constant([256**place for place in range(width)], tf.int64)
    total = tf.reduce_sum(tf.cast(octets, tf.int64) * weights)
    return tf.cast(tf.minimum(total, 2**31 - 1), tf.int32)


def _samples(raw: tf.Tensor, kind: tf.Tensor) -> tf.Tensor:
    def scaled(dtype: tf.DType, bits: int) -> tf.Tensor:
        return tf.cast(tf.io.decode_raw(raw, dtype), tf.float32) / math.ldexp(1.0, bits - 1)

    def of_24_bits() -> tf.Tensor:
        octets = tf.cast(tf.reshape(tf.io.decode_raw(raw, tf.uint8), [-1, 3]), tf.int32)
        # Shifted to the top of 32 bits, the sign comes by itself.
        whole = octets[:, 0] * 2**8 + octets[:, 1] * 2**16 + octets[:, 2] * 2**24
        return tf.cast(whole, tf.float32) / math.ldexp(1.0, 31)

    def unknown() -> tf.Tensor:
        with tf.control_dependencies([tf.debugging.Assert(False, ["unknown sample format"])]):
            return tf.zeros([0])

    kinds = [
        (_PCM * 100 + 16, lambda: scaled(tf.int16, 16)),
        (
            _PCM * 100 + 8,
            lambda: (tf.cast(tf.io.decode_raw(raw, tf.uint8), tf.float32) - 128) / 128,
        ),
        (_PCM * 100 + 24, of_24_bits),
        (_PCM * 100 + 32, lambda: scaled(tf.int32, 32)),
        (_FLOAT * 100 + 32, lambda: tf.io.decode_raw(raw, tf.float32)),
        (_FLOAT * 100 + 64, lambda: tf.cast(tf.io.decode_raw(raw, tf.float64), tf.float32)),
    ]
    return tf.case([(tf.equal(kind, code), read) for code, read in kinds], default=unknown)
