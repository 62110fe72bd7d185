"""Tokenise text in the graph, padded to the longest text of the batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf
import tensorflow_text as tf_text

from tfrec.encoders.backbone import load_part
from tfrec.encoders.presets import Preset
from tfrec.errors import DescriptionError

__all__ = ["Tokens", "WordPieceTokens", "load_tokens"]

Tokens = Callable[[tf.Tensor], dict[str, tf.Tensor]]


class WordPieceTokens:
    """BERT's tokeniser in TF Text ops, which a stock TensorFlow Serving has.

    Lower-cases and strips accents where the model was trained so, splits at spaces, punctuation and
    ideographs, then into word pieces; `[CLS]` and `[SEP]` go around. Equal to Hugging Face's
    tokeniser but for two things: compatibility characters (½, ﬁ) are taken apart before the
    vocabulary is asked, and a text that contains "[SEP]" holds no special token, only its letters.

    Args:
        vocabulary: Word pieces in order; must hold [CLS], [SEP], [UNK], and [PAD] or index 0.
        lowercase: Whether the model is uncased.
        max_length: Tokens kept, [CLS] and [SEP] among them.
    """

    def __init__(self, vocabulary: Sequence[str], lowercase: bool, max_length: int) -> None:
        self.vocabulary_size = len(vocabulary)
        self._max_length = max_length
        self._start, self._end = vocabulary.index("[CLS]"), vocabulary.index("[SEP]")
        self._tokenizer = tf_text.FastBertTokenizer(
            vocab=list(vocabulary),
            token_out_type=tf.int32,
            unknown_token="[UNK]",
            lower_case_nfd_strip_accents=lowercase,
        )

    def __call__(self, texts: tf.Tensor) -> dict[str, tf.Tensor]:
        """Tokenises.

        Args:
            texts: string [batch]; bytes that are no UTF-8 are replaced, not raised.

        Returns:
            token_ids, segment_ids, padding_mask: int32 [batch, length].
        """
        texts = tf.strings.unicode_transcode(texts, "UTF-8", "UTF-8", errors="replace")
        pieces = self._tokenizer.tokenize(texts)
        if pieces.shape.rank == 3:
            pieces = pieces.merge_dims(-2, -1)
        pieces = pieces[:, : self._max_length - 2]
        rows = tf.fill([pieces.nrows(), 1], self._start), tf.fill([pieces.nrows(), 1], self._end)
        pieces = tf.concat([rows[0], pieces, rows[1]], 1)
        token_ids = pieces.to_tensor()
        mask = tf.cast(tf.sequence_mask(pieces.row_lengths(), tf.shape(token_ids)[1]), tf.int32)
        return {
            "token_ids": token_ids,
            "segment_ids": tf.zeros_like(token_ids),
            "padding_mask": mask,
        }


class _PreprocessorTokens:
    """A keras-hub preprocessor, whose constant width is cut to the batch's longest text."""

    def __init__(self, preprocessor: Any) -> None:
        self._preprocessor = preprocessor
        self.vocabulary_size = preprocessor.tokenizer.vocabulary_size()

    def __call__(self, texts: tf.Tensor) -> dict[str, tf.Tensor]:
        texts = tf.strings.unicode_transcode(texts, "UTF-8", "UTF-8", errors="replace")
        inputs = self._preprocessor(texts)
        if isinstance(inputs, tuple):
            # Preprocessors of generating models also give targets and weights.
            inputs = inputs[0]
        inputs = {name: tf.cast(value, tf.int32) for name, value in inputs.items()}
        longest = tf.maximum(tf.reduce_max(tf.reduce_sum(inputs["padding_mask"], 1)), 1)
        return {name: value[:, :longest] for name, value in inputs.items()}


def load_tokens(preset: Preset, backbone: Any, max_length: int) -> Tokens:
    """Loads the tokeniser that belongs to a text model.

    Raises:
        DescriptionError: The folder has none, or one of another vocabulary than the model's.
    """
    import keras_hub

    vocabulary = preset.folder / "vocab.txt"
    if not preset.is_keras_hub and vocabulary.is_file():
        pieces = vocabulary.read_text(encoding="utf-8").splitlines()
        options = preset.read_json("tokenizer_config.json") or {}
        lowercase = bool(options.get("do_lower_case", True)) if isinstance(options, dict) else True
        missing = [token for token in ("[CLS]", "[SEP]", "[UNK]") if token not in pieces]
        if missing:
            raise _mismatch(preset, "its vocab.txt holds [CLS], [SEP], [UNK]", f"no {missing[0]}")
        tokens: Any = WordPieceTokens(pieces, lowercase, max_length)
    else:
        kinds = keras_hub.models.TextClassifierPreprocessor, keras_hub.models.CausalLMPreprocessor
        kind = kinds[0] if _has_subclass(kinds[0], type(backbone)) else kinds[1]
        options = {"sequence_length": max_length}
        tokens = _PreprocessorTokens(load_part(kind, preset, "tokeniser", **options))
    known = getattr(backbone, "vocabulary_size", None)
    # A model's table may be padded to a round number of rows, but not by a tenth.
    if known is not None and not 0.9 * known <= tokens.vocabulary_size <= known:
        raise _mismatch(
            preset,
            f"the tokeniser must fit the model's vocabulary of {known}",
            f"a tokeniser of {tokens.vocabulary_size} pieces",
        )
    return tokens


def _has_subclass(kind: Any, backbone: type) -> bool:
    found = [kind]
    while found:
        current = found.pop()
        if getattr(current, "backbone_cls", None) is backbone:
            return True
        found.extend(current.__subclasses__())
    return False


def _mismatch(preset: Preset, rule: str, received: str) -> DescriptionError:
    return DescriptionError(
        f"encoder {preset.handle}",
        rule,
        received=received,
        remedy=f"Put the tokeniser that the model was trained with into {preset.folder}",
    )
