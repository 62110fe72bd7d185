"""Which ops a served graph may hold: those of a stock TensorFlow Serving, and none that reach out.

A SavedModel with an op that the server lacks loads as AVAILABLE and fails at its first request, so
ops are compared with a list before anything is published, those of the function library included.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tensorflow as tf

from tfrec.errors import ExportError

__all__ = ["check_ops", "ops_of"]

# Ops of TensorFlow Text 2.21, which the stock binary is linked with.
_TEXT_OPS = frozenset(
    [
        "CaseFoldUTF8",
        "ConstrainedSequence",
        "FastBertNormalize",
        "FastWordpieceTokenizeWithOffsets",
        "FindSourceOffsets",
        "MaxSpanningTree",
        "NormalizeUTF8",
        "NormalizeUTF8WithOffsetsMap",
        "PhraseTokenize",
        "RegexSplitWithOffsets",
        "RougeL",
        "SentenceFragments",
        "SentenceFragmentsV2",
        "SentencepieceDetokenizeOp",
        "SentencepieceIdToStringOp",
        "SentencepieceOp",
        "SentencepieceStringToIdOp",
        "SentencepieceTokenizeOp",
        "SentencepieceTokenizeWithOffsetsOp",
        "SentencepieceVocabSizeOp",
        "SplitMergeTokenizeWithOffsets",
        "TFText>BoiseTagsToOffsets",
        "TFText>ByteSplitByOffsets",
        "TFText>ByteSplitWithOffsets",
        "TFText>FastSentencepieceDetokenize",
        "TFText>FastSentencepieceTokenize",
        "TFText>FastWordpieceDetokenize",
        "TFText>NgramsStringJoin",
        "TFText>OffsetsToBoiseTags",
        "TFText>PhraseDetokenize",
        "TFText>RoundRobinGenerateMasks",
        "TFText>RoundRobinTrim",
        "TFText>Utf8Binarize",
        "TFText>WhitespaceTokenizeWithOffsetsV2",
        "TokenizerFromLogits",
        "UnicodeScriptTokenizeWithOffsets",
        "WhitespaceTokenizeWithOffsets",
        "WordpieceTokenizeWithOffsets",
    ]
)
# Core ops that a server lacks, or that read, write or run something on the machine they run on.
_REFUSED = frozenset(
    [
        "EagerPyFunc",
        "PyFunc",
        "PyFuncStateless",
        "FixedLengthRecordReader",
        "FixedLengthRecordReaderV2",
        "MatchingFiles",
        "ReadFile",
        "TFRecordReader",
        "TFRecordReaderV2",
        "TextLineReader",
        "TextLineReaderV2",
        "WholeFileReader",
        "WholeFileReaderV2",
        "WriteFile",
        "FixedLengthRecordDataset",
        "FixedLengthRecordDatasetV2",
        "TFRecordDataset",
        "TFRecordDatasetV2",
        "TextLineDataset",
        "SqlDataset",
        "SnapshotDataset",
        "SnapshotDatasetV2",
        "SaveDataset",
        "SaveDatasetV2",
        "LoadDataset",
        "DatasetToTFRecord",
        "DebugIdentityV2",
        "LoadLibrary",
    ]
)
_REFUSED_PREFIXES = ("Collective", "DataService", "Nccl", "TPU", "TRT", "Xla")
# A function with this attribute needs XLA, which a stock server leaves off.
_COMPILED = "_XlaMustCompile"


def ops_of(saved_model: Any) -> Iterator[tuple[str, Any]]:
    """Every node of a `SavedModel` message, with the name of its function ("" for the graph)."""
    for graph in saved_model.meta_graphs:
        yield from (("", node) for node in graph.graph_def.node)
        for function in graph.graph_def.library.function:
            yield from ((function.signature.name, node) for node in function.node_def)


def check_ops(version: Path) -> int:
    """Compares a SavedModel's ops with those that a stock server has.

    Args:
        version: The folder with `saved_model.pb`.

    Returns:
        How many kinds of ops it holds.

    Raises:
        ExportError: An op is not on the list, or a function needs XLA; the message names them.
    """
    from tensorflow.core.protobuf import saved_model_pb2

    message = saved_model_pb2.SavedModel()
    message.ParseFromString((version / "saved_model.pb").read_bytes())
    core = set(dir(tf.raw_ops))
    wrong: dict[str, str] = {}
    kinds = set()
    for function, node in ops_of(message):
        kinds.add(node.op)
        refused = node.op in _REFUSED or node.op.startswith(_REFUSED_PREFIXES)
        if refused or node.op not in core | _TEXT_OPS:
            wrong.setdefault(node.op, f"{function or 'the graph'}/{node.name}")
    if wrong:
        named = ", ".join(f"{op} (at {place})" for op, place in sorted(wrong.items()))
        raise ExportError(
            str(version),
            "a served graph holds only ops of a stock TensorFlow Serving: core and TF Text",
            received=named,
            remedy="Write that part of the model in TensorFlow ops",
        )
    for graph in message.meta_graphs:
        for function in graph.graph_def.library.function:
            if function.attr[_COMPILED].b if _COMPILED in function.attr else False:
                raise ExportError(
                    str(version),
                    "a served graph doesn't need XLA, which a stock server leaves off",
                    received=f"function {function.signature.name}",
                    remedy="Leave `jit_compile` out of what the towers call",
                )
    return len(kinds)
