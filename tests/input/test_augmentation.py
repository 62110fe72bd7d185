"""Augmentation: reproducible, within its bounds, and it never invents or loses what it must not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tfrec.config.augmentation import AugmentationConfig
from tfrec.errors import DescriptionError
from tfrec.input import augmentation as augment

RNG = np.random.default_rng(0)
PICTURES = tf.constant(RNG.integers(0, 256, (16, 12, 10, 3)), tf.uint8)
VIDEOS = tf.constant(RNG.integers(0, 256, (8, 6, 12, 10, 3)), tf.uint8)
SOUNDS = tf.constant(RNG.integers(-9000, 9000, (16, 200)), tf.int16)
MELS = tf.constant(RNG.normal(size=(16, 30, 20)), tf.float32)
TEXTS = tf.constant(["one two three four five six", "alone", "zwei Wörter", ""] * 4)
HISTORY = tf.constant([[-1, -1, 3, 4, 5, 6, 7, 8], [-1] * 7 + [9], [-1] * 8] * 5)
PRESENT = {name: tf.constant(RNG.random(64) < 0.7) for name in ("text", "cover", "clip")}
SYNONYMS = augment.Synonyms({"one": ["uno", "single"], "zwei": ["2"]})

CASES: dict[str, tuple[Callable[..., Any], Any]] = {
    "resize_crops": (augment.resize_crops, PICTURES),
    "flip_pictures": (augment.flip_pictures, PICTURES),
    "jitter_colours": (augment.jitter_colours, PICTURES),
    "shift_sounds": (augment.shift_sounds, SOUNDS),
    "add_noise": (augment.add_noise, SOUNDS),
    "mask_spectrogram": (augment.mask_spectrogram, MELS),
    "drop_words": (lambda texts, seed: augment.drop_words(texts, seed, share=0.5), TEXTS),
    "mask_spans": (augment.mask_spans, TEXTS),
    "synonyms": (lambda texts, seed: SYNONYMS(texts, seed, share=0.5), TEXTS),
    "rand_augment": (augment.rand_augment, PICTURES),
    "jitter_frames": (augment.jitter_frames, VIDEOS),
    "flip_videos": (augment.flip_videos, VIDEOS),
    "drop_modalities": (augment.drop_modalities, PRESENT),
    "crop_history": (augment.crop_history, HISTORY),
    "mask_history": (augment.mask_history, HISTORY),
    "reorder_history": (augment.reorder_history, HISTORY),
}


def arrays(value: Any) -> list[Any]:
    return [part.numpy() for part in tf.nest.flatten(value)]


@pytest.mark.parametrize("name", CASES)
def test_equal_seeds_give_equal_batches_and_others_give_others(name: str) -> None:
    """Also inside a graph; shape and type stay."""
    function, value = CASES[name]
    eager = arrays(function(value, tf.constant([3, 7])))
    graph = arrays(tf.function(function)(value, tf.constant([3, 7])))
    for first, second in zip(eager, graph, strict=True):
        if first.dtype == np.float32:
            np.testing.assert_allclose(first, second, rtol=1e-6)
        else:
            np.testing.assert_array_equal(first, second)
    others = arrays(function(value, tf.constant([3, 8])))
    assert any(not np.array_equal(a, b) for a, b in zip(eager, others, strict=True))
    given = arrays(value)
    assert all(
        a.shape == g.shape and a.dtype == g.dtype for a, g in zip(eager, given, strict=False)
    )


def test_a_crop_of_a_plain_picture_is_plain() -> None:
    """No border comes in: every crop lies within the picture."""
    plain = tf.fill([8, 12, 10, 3], tf.constant(77, tf.uint8))
    for step in range(20):
        assert (augment.resize_crops(plain, tf.constant([0, step])).numpy() == 77).all()


def test_a_crop_is_what_tensorflows_own_function_gives() -> None:
    """Of the same boxes, which the seed tells; ours compiles under XLA, theirs doesn't."""
    seed = tf.constant([4, 2])
    seeds = tf.random.split(seed, 4)
    area = tf.random.stateless_uniform([16], seeds[0], 0.5, 1.0)
    logs = tf.random.stateless_uniform([16], seeds[1], -1.0, 1.0) * np.log(4 / 3)
    tall = tf.minimum(tf.sqrt(area / tf.exp(logs)), 1.0)
    wide = tf.minimum(tf.sqrt(area * tf.exp(logs)), 1.0)
    top = tf.random.stateless_uniform([16], seeds[2]) * (1.0 - tall)
    left = tf.random.stateless_uniform([16], seeds[3]) * (1.0 - wide)
    boxes = tf.stack([top, left, top + tall, left + wide], 1)
    expected = tf.image.crop_and_resize(PICTURES, boxes, tf.range(16), [12, 10]).numpy()
    got = augment.resize_crops(PICTURES, seed).numpy()
    assert np.abs(got - expected).max() <= 0.501


@pytest.mark.parametrize(
    "name",
    ["resize_crops", "flip_pictures", "jitter_colours", "rand_augment", "jitter_frames"],
)
def test_pictures_change_inside_a_compiled_step(name: str) -> None:
    """XLA knows every operation; its random numbers are its own, and repeat."""
    function, value = CASES[name]
    compiled = tf.function(function, jit_compile=True)
    first = compiled(value, tf.constant([3, 7])).numpy()
    np.testing.assert_array_equal(first, compiled(value, tf.constant([3, 7])).numpy())
    assert first.shape == value.shape and not np.array_equal(first, value.numpy())


def test_every_operation_of_randaugment_is_drawn_and_none_is_too_strong() -> None:
    """A plain picture stays plain in place; at hardly any strength hardly anything changes."""
    plain = tf.fill([64, 8, 8, 3], tf.constant(100, tf.uint8))
    changed = augment.rand_augment(plain, tf.constant([0, 1]), operations=1, magnitude=1.0).numpy()
    assert (changed == changed[:, :1, :1]).all()
    # Nothing, brighter, darker, posterized, solarized; the others leave a plain picture alone.
    assert {100, 190, 10, 96, 155} <= set(changed[:, 0, 0, 0].tolist())
    weak = augment.rand_augment(PICTURES, tf.constant([0, 1]), operations=1, magnitude=0.01)
    moved = np.abs(weak.numpy().astype(int) - PICTURES.numpy()).mean((1, 2, 3))
    assert np.median(moved) < 3


def test_jittered_frames_are_the_videos_own_in_order() -> None:
    frames = tf.tile(tf.range(6, dtype=tf.int32)[None, :, None, None, None], [8, 1, 1, 1, 3])
    for step in range(10):
        got = augment.jitter_frames(frames, tf.constant([0, step]), most=2).numpy()[..., 0, 0, 0]
        assert (np.diff(got, axis=1) >= 0).all()
        assert np.abs(got - np.arange(6)).max() <= 2


KINDS = {"cover": "image", "clip": "audio", "title": "text", "plot": "vector"}
WORDS = tf.constant([[5, 6, 7, 8, 0, 0], [9, 0, 0, 0, 0, 0], [0] * 6] * 5)


def test_an_augmenter_changes_what_it_names_and_nothing_else() -> None:
    """Equal seeds alike; words are left out, never put in, and never the last one."""
    config = AugmentationConfig.model_validate({"image": {"operations": 1}, "text": {"drop": 0.5}})
    augmenter = augment.Augmenter(config, KINDS)
    assert augmenter.features == ("cover", "title")
    inputs = {"cover": PICTURES[:15], "clip": MELS[:15], "title": WORDS, "plot": MELS[:15, 0]}
    one, two = (augmenter(inputs, tf.constant([1, 2])) for _ in range(2))
    for name in inputs:
        np.testing.assert_array_equal(one[name].numpy(), two[name].numpy())
    for name in ("clip", "plot"):
        assert one[name] is inputs[name]
    words, given = one["title"].numpy(), WORDS.numpy()
    assert ((words == given) | (words == 0)).all() and (words != given).any()
    assert ((words > 0).any(1) == (given > 0).any(1)).all()


@pytest.mark.parametrize(
    ("content", "words"),
    [({"video": {}}, "augmentation.video"), ({}, "augmentation: "), ({"image": {}}, "no-encode")],
)
def test_augmentation_that_would_do_nothing_is_refused(content: dict[str, Any], words: str) -> None:
    """In one line: no such feature, nothing asked for, or encoded vectors alone."""
    kinds = {"cover": "vector"} if content == {"image": {}} else KINDS
    with pytest.raises(DescriptionError, match=words) as caught:
        augment.Augmenter(AugmentationConfig.model_validate(content), kinds)
    assert "\n" not in str(caught.value)


def test_a_flip_is_a_mirror_or_nothing() -> None:
    flipped = augment.flip_pictures(PICTURES, tf.constant([0, 1])).numpy()
    mirrored = [
        np.array_equal(a, b[:, ::-1]) for a, b in zip(flipped, PICTURES.numpy(), strict=True)
    ]
    same = [np.array_equal(a, b) for a, b in zip(flipped, PICTURES.numpy(), strict=True)]
    assert all(m != s for m, s in zip(mirrored, same, strict=True)) and 0 < sum(mirrored) < 16


def test_grey_pictures_stay_grey() -> None:
    """Brightness and contrast change them, saturation doesn't."""
    grey = tf.repeat(PICTURES[..., :1], 3, -1)
    changed = augment.jitter_colours(grey, tf.constant([0, 1])).numpy().astype(int)
    assert np.abs(changed - changed[..., :1]).max() <= 1
    none = {"brightness": 0.0, "contrast": 0.0, "saturation": 0.0}
    same = augment.jitter_colours(PICTURES, tf.constant([0, 1]), **none).numpy()
    np.testing.assert_array_equal(same, PICTURES.numpy())


def test_a_shifted_sound_keeps_its_samples_in_order() -> None:
    sound = tf.constant([range(1, 101)], tf.int16)
    for step in range(20):
        moved = augment.shift_sounds(sound, tf.constant([0, step])).numpy()[0]
        kept = moved[moved > 0]
        assert len(kept) >= 90 and (np.diff(kept) == 1).all()


def test_noise_has_the_power_that_is_asked_for() -> None:
    loud = tf.constant(RNG.integers(-9000, 9000, (4, 50_000)), tf.int16)
    noisy = augment.add_noise(loud, tf.constant([0, 1]), decibels=20.0).numpy().astype(float)
    noise = noisy - loud.numpy()
    ratio = (loud.numpy().astype(float) ** 2).mean(1) / (noise**2).mean(1)
    np.testing.assert_allclose(10 * np.log10(ratio), 20.0, atol=0.3)
    assert not augment.add_noise(tf.zeros([1, 9], tf.int16), tf.constant([0, 1])).numpy().any()


def test_masks_of_a_spectrogram_are_one_span_each() -> None:
    """What changes is whole rows and columns, no more than asked."""
    for step in range(20):
        masked = augment.mask_spectrogram(
            MELS, tf.constant([0, step]), most_time=4, most_frequency=3
        )
        for changed in (masked != MELS).numpy():
            rows, columns = changed.all(1), changed.all(0)
            assert rows.sum() <= 4 and columns.sum() <= 3
            assert np.array_equal(changed, rows[:, None] | columns[None])
            for span in (np.flatnonzero(rows), np.flatnonzero(columns)):
                assert len(span) == 0 or span[-1] - span[0] + 1 == len(span)


def test_words_are_dropped_in_order_and_never_all() -> None:
    for step in range(20):
        seed = tf.constant([0, step])
        for before, after in zip(TEXTS.numpy(), augment.drop_words(TEXTS, seed, share=0.95).numpy(),
                                 strict=True):  # fmt: skip
            words, left = before.split(b" "), after.split(b" ")
            assert (before == b"") == (after == b"")
            rest = iter(words)
            assert all(word in rest for word in left)
    assert augment.drop_words(TEXTS, tf.constant([0, 1]), share=0.0).numpy().tolist() == (
        TEXTS.numpy().tolist()
    )


def test_one_span_is_masked_and_a_word_is_left() -> None:
    lengths = Counter()
    for step in range(60):
        text = augment.mask_spans(TEXTS[:1], tf.constant([0, step])).numpy()[0].decode()
        words = text.split(" ")
        assert words.count("[MASK]") <= 1
        lengths[6 - len([w for w in words if w != "[MASK]"])] += 1
        alone = augment.mask_spans(TEXTS[1:2], tf.constant([0, step])).numpy()[0]
        assert alone == b"alone"
        plain = augment.mask_spans(TEXTS[:1], tf.constant([0, step]), mask="").numpy()[0].decode()
        assert "[MASK]" not in plain and plain
    assert set(lengths) == {0, 1, 2, 3}


def test_synonyms_back_off_where_none_is_known() -> None:
    """Each synonym is met; words without one, their case and accents, stay."""
    seen = set()
    for step in range(30):
        first, second = SYNONYMS(
            tf.constant(["One two", "keine Wörter"]), tf.constant([0, step]), share=1.0
        ).numpy()
        seen.add(first)
        assert second.decode() == "keine Wörter"
    assert seen == {b"uno two", b"single two"}
    none = SYNONYMS(tf.constant(["One two"]), tf.constant([0, 1]), share=0.0)
    assert none.numpy()[0] == b"One two"


def test_an_item_keeps_a_modality_and_gets_none() -> None:
    for step in range(10):
        kept = augment.drop_modalities(PRESENT, tf.constant([0, step]), share=0.9)
        before = np.stack([PRESENT[name].numpy() for name in PRESENT], 1)
        after = np.stack([kept[name].numpy() for name in PRESENT], 1)
        assert not (after & ~before).any()
        assert np.array_equal(after.any(1), before.any(1))
        assert after.sum() < before.sum()


def test_histories_are_cropped_masked_and_reordered_within_themselves() -> None:
    """Worked on 3 4 5 6 7 8: four in a row, some hidden but the last, a span in another order."""
    orders = set()
    for step in range(40):
        seed = tf.constant([0, step])
        crop, place = augment.crop_history(HISTORY, seed, share=0.7)
        own = [item for item in crop.numpy()[0] if item >= 0]
        assert len(own) == 4 and np.diff(own).tolist() == [1, 1, 1]
        assert crop.numpy()[0, -4:].tolist() == own
        np.testing.assert_array_equal(HISTORY.numpy()[0][place.numpy()[0]][-4:], own)
        assert crop.numpy()[1].tolist() == HISTORY.numpy()[1].tolist()
        assert crop.numpy()[2].tolist() == [-1] * 8
        mask, _ = augment.mask_history(HISTORY, seed)
        same = (mask.numpy() == HISTORY.numpy()) | (mask.numpy() == -1)
        assert same.all() and mask.numpy()[0, -1] == 8
        order, place = augment.reorder_history(HISTORY, seed, share=0.5)
        np.testing.assert_array_equal(
            np.take_along_axis(HISTORY.numpy(), place.numpy(), 1), order.numpy()
        )
        assert sorted(order.numpy()[0].tolist()) == sorted(HISTORY.numpy()[0].tolist())
        moved = np.flatnonzero(order.numpy()[0] != HISTORY.numpy()[0])
        assert len(moved) == 0 or moved[-1] - moved[0] < 3
        orders.add(tuple(order.numpy()[0]))
    assert len(orders) > 5
