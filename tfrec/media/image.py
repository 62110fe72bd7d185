"""Decode and resize pictures: the same pixels in preprocessing and in the served graph."""

from __future__ import annotations

import tensorflow as tf

from tfrec.media.guarded import map_surviving_errors

__all__ = ["MAX_PIXELS", "decode_image"]

# A file of a few kilobytes can declare a picture of gigabytes; it is refused before it is decoded.
MAX_PIXELS = 50_000_000


def decode_image(data: tf.Tensor, size: tuple[int, int]) -> tuple[tf.Tensor, tf.Tensor]:
    """Decodes JPEG, PNG, GIF (its first frame) and BMP files and resizes them to `size`.

    The picture is squashed to `size`, its sides kept whole, by antialiased bilinear resampling in
    float32, rounded half to even. JPEGs use the accurate integer DCT, so that every machine gives
    equal pixels. Transparency is dropped and EXIF orientation ignored. A file that is empty, of
    another format, damaged, truncated or larger than `MAX_PIXELS` gives zeros and `False`, never an
    error. Core ops only; not under `jit_compile`.

    Args:
        data: string [batch], each a whole file; "" stands for a missing one.
        size: (height, width) in pixels.

    Returns:
        uint8 [batch, height, width, 3] in RGB, and bool [batch].

    Example:
        >>> red = tf.constant([[[255, 0, 0]]], tf.uint8)
        >>> pixels, valid = decode_image(tf.stack([tf.io.encode_png(red), "not a picture"]), (1, 1))
        >>> pixels.numpy().tolist(), valid.numpy().tolist()
        ([[[[255, 0, 0]]], [[[0, 0, 0]]]], [True, False])
    """
    height, width = size

    def decode(value: tf.Tensor) -> tf.Tensor:
        is_jpeg = tf.strings.substr(value, 0, 3) == b"\xff\xd8\xff"
        pixels = tf.cond(is_jpeg, lambda: _decode_jpeg(value), lambda: _decode_other(value))
        pixels.set_shape([None, None, 3])
        resized = tf.image.resize(pixels, (height, width), method="bilinear", antialias=True)
        return tf.cast(tf.clip_by_value(tf.round(resized), 0.0, 255.0), tf.uint8)

    return map_surviving_errors(decode, tf.convert_to_tensor(data), [height, width, 3], tf.uint8)


def _decode_jpeg(value: tf.Tensor) -> tf.Tensor:
    shape = tf.io.extract_jpeg_shape(value, output_type=tf.int64)
    with tf.control_dependencies([_refuse_bombs(shape[0], shape[1])]):
        return tf.io.decode_jpeg(
            tf.identity(value), channels=3, dct_method="INTEGER_ACCURATE", fancy_upscaling=True
        )


def _decode_other(value: tf.Tensor) -> tf.Tensor:
    # Width and height stand at fixed places: PNG's IHDR (big-endian), GIF's logical screen and
    # BMP's information header (little-endian). An unknown signature raises, and is caught.
    png = tf.strings.substr(value, 0, 8) == b"\x89PNG\r\n\x1a\n"
    gif = tf.strings.substr(value, 0, 4) == b"GIF8"
    bmp = tf.strings.substr(value, 0, 2) == b"BM"
    with tf.control_dependencies([tf.debugging.Assert(png | gif | bmp, ["unknown format"])]):
        head = tf.cast(tf.io.decode_raw(tf.strings.substr(value, 0, 26), tf.uint8), tf.int64)
    big = tf.constant([1 << 24, 1 << 16, 1 << 8, 1], tf.int64)
    little = big[::-1]

    def dimensions_of_png() -> tuple[tf.Tensor, tf.Tensor]:
        return tf.reduce_sum(head[16:20] * big), tf.reduce_sum(head[20:24] * big)

    def dimensions_of_gif() -> tuple[tf.Tensor, tf.Tensor]:
        return head[6] + 256 * head[7], head[8] + 256 * head[9]

    def dimensions_of_bmp() -> tuple[tf.Tensor, tf.Tensor]:
        # A negative height, in two's complement, means rows from top to bottom.
        height = tf.bitcast(tf.cast(tf.reduce_sum(head[22:26] * little), tf.uint32), tf.int32)
        return tf.reduce_sum(head[18:22] * little), tf.abs(tf.cast(height, tf.int64))

    width, height = tf.cond(
        png, dimensions_of_png, lambda: tf.cond(gif, dimensions_of_gif, dimensions_of_bmp)
    )
    with tf.control_dependencies([_refuse_bombs(width, height)]):
        return tf.io.decode_image(tf.identity(value), channels=3, expand_animations=False)


def _refuse_bombs(width: tf.Tensor, height: tf.Tensor) -> tf.Operation:
    small = (width > 0) & (height > 0) & (width <= MAX_PIXELS) & (width * height <= MAX_PIXELS)
    return tf.debugging.Assert(small, ["too many pixels"])
