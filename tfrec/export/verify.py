"""Proves an export before it is published: loaded as a server loads it, asked, compared with Keras.

ops on the list ─▶ TF1-style session ─▶ every warm-up request ─▶ equal to the model's own answers
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfrec.errors import ExportError
from tfrec.export.allowed_ops import check_ops
from tfrec.export.reference import Reference
from tfrec.export.searching import text_codes
from tfrec.export.session import ServedModel
from tfrec.export.source import ServingSource
from tfrec.export.warmup import Request

__all__ = ["Verification", "verify_saved_model"]

TOLERANCE = 1e-4
_LOWEST = np.finfo(np.float32).min


@dataclass(frozen=True)
class Verification:
    """What was found out about a version that passed.

    Attributes:
        op_kinds: How many kinds of ops it holds.
        requests: How many were answered and compared.
        largest_difference: Between its scores and vectors and those of the Keras model, relative to
            the larger of 1 and the model's.
        milliseconds: Median time of one `recommend` of one row, in this process.
    """

    op_kinds: int
    requests: int
    largest_difference: float
    milliseconds: float


def verify_saved_model(
    version: Path,
    source: ServingSource,
    requests: Sequence[Request],
    *,
    exact: bool,
    error: float = 0.0,
) -> Verification:
    """Checks a version that isn't published yet.

    Args:
        version: Its folder.
        source: What it was built from.
        requests: What to ask: see `sample_requests`.
        exact: Whether its index is exact, so that the ids too must be the model's.
        error: How far its index may keep a vector from the model's: scores may be off by as much
            times the length of the query.

    Raises:
        ExportError: It holds an op that a server lacks, doesn't load, refuses a request, or answers
            otherwise than the model.
    """
    op_kinds = check_ops(version)
    compare = _Comparison(version, source, exact, error)
    try:
        with ServedModel(version) as served:
            for request in requests:
                compare(request, served.run(request.signature, request.inputs))
            milliseconds = _time(served, next(r for r in requests if r.signature == "recommend"))
    except tf.errors.OpError as error:
        raise ExportError(
            str(version),
            "a version loads in a TF1-style session and answers its warm-up requests",
            received=f"{type(error).__name__}: {error.message.splitlines()[0]}",
            remedy="Report it with this line; the model can't be served as it is",
        ) from error
    return Verification(op_kinds, len(requests), compare.largest, milliseconds)


class _Comparison:
    def __init__(self, version: Path, source: ServingSource, exact: bool, error: float) -> None:
        self._version, self._source, self._exact = version, source, exact
        self._error = error
        self._reference = Reference(source)
        self._position = {item.encode(): row for row, item in enumerate(source.item_ids)}
        self.largest = 0.0

    def __call__(self, request: Request, answer: Mapping[str, np.ndarray]) -> None:
        for name, value in answer.items():
            if value.dtype == np.float32 and not np.isfinite(value).all():
                raise self._fault(request, f"NaN or infinity in `{name}`")
        inputs, signature = request.inputs, request.signature
        vectors = self._source.item_vectors
        if signature == "embed_item" and request.rows:
            expected = self._reference.item_vectors(self._sample(request))
            self._close(request, answer["embedding"], expected)
        elif signature == "embed_user":
            self._close(request, answer["embedding"], self._queries(inputs))
        elif signature == "score":
            queries = self._queries(inputs)
            places = [[self._position[item] for item in row] for row in inputs["item_ids"]]
            expected = np.take_along_axis(queries @ vectors.T, np.array(places), 1)
            self._close(request, answer["scores"], expected, self._rounding(queries)[:, None])
        elif signature == "item_parts" and request.rows:
            expected = self._reference.item_vectors(self._sample(request))
            self._close(request, answer["parts"].sum(1), expected)
        elif signature == "explain":
            self._explained(request, answer)
        elif signature in ("recommend", "recommend_filtered"):
            queries = self._queries(inputs)
            texts = zip(
                *(_texts(inputs[name]) for name in ("user_id", "history", "exclude")), strict=True
            )
            unwanted = [
                self._reference.unwanted(user, history, exclude) for user, history, exclude in texts
            ]
            if signature == "recommend_filtered":
                for row, forbidden in enumerate(unwanted):
                    forbidden |= self._reference.forbidden(inputs, row)
            slack = self._rounding(queries)
            self._ranks(request, answer, queries @ vectors.T, unwanted, slack)
        elif signature == "similar_items":
            rows = [self._position[item] for item in inputs["item_id"]]
            own = [{item} for item in _texts(inputs["item_id"])]
            self._cosines(request, answer, vectors[rows], own)
        elif signature == "similar_to_content":
            expected = self._reference.item_vectors(self._sample(request))
            self._cosines(request, answer, expected, [set() for _ in expected])
        elif signature == "embed_text":
            self._close(request, answer["embedding"], self._reference.text_vectors(inputs["text"]))
        elif signature == "search":
            self._searched(request, answer)

    def _searched(self, request: Request, answer: Mapping[str, np.ndarray]) -> None:
        """The greatest cosine of an item's texts, as they are kept in 8 bits."""
        queries = self._reference.text_vectors(request.inputs["query"])
        kept = self._kept_texts
        cosines = np.einsum("be,nve->bnv", queries, kept, optimize=True)
        cosines[:, ~kept.any(-1)] = _LOWEST
        excluded = [set(row) for row in _texts(request.inputs["exclude"])]
        none = np.zeros(len(queries))
        self._ranks(request, answer, cosines.max(2), excluded, none, exact=True)

    @cached_property
    def _kept_texts(self) -> np.ndarray:
        assert self._source.texts is not None
        codes, steps, _ = text_codes(self._source.texts.vectors)
        return np.asarray(codes * steps[..., None])

    def _explained(self, request: Request, answer: Mapping[str, np.ndarray]) -> None:
        """Both sums are the score; the model's own parts give the shares; reasons are there."""
        explanation = self._source.explanation
        assert explanation is not None
        queries = self._queries(request.inputs)
        for row, column in zip(*np.nonzero(answer["item_ids"] != b""), strict=True):
            item = self._position[answer["item_ids"][row, column]]
            slack = float(self._rounding(queries)[row])
            score = answer["scores"][row, column]
            expected = queries[row] @ self._source.item_vectors[item]
            self._close(request, score, expected, slack)
            shares = answer["modality_shares"][row, column]
            self._close(request, shares.sum(), score)
            self._close(request, answer["query_shares"][row, column].sum(), score)
            own = explanation.item_parts[item] @ queries[row]
            self._close(request, shares, own, slack)
            if not answer["reason"][row, column]:
                raise self._fault(request, f"no reason for row {row}")

    def _sample(self, request: Request) -> dict[str, np.ndarray]:
        samples = self._source.item_samples
        return {name: values[list(request.rows)] for name, values in samples.items()}

    def _cosines(
        self,
        request: Request,
        answer: Mapping[str, np.ndarray],
        queries: np.ndarray,
        own: Sequence[set[str]],
    ) -> None:
        vectors = self._source.item_vectors
        lengths = np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        asked = queries / np.maximum(np.linalg.norm(queries, axis=1, keepdims=True), 1e-12)
        # Both the item that is asked for and the one found are rounded.
        slack = np.full(len(queries), 2 * self._error / lengths.min())
        self._ranks(request, answer, asked @ (vectors / lengths).T, own, slack)

    def _rounding(self, queries: np.ndarray) -> np.ndarray:
        return self._error * np.linalg.norm(queries, axis=1)

    def _queries(self, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        histories = [[item for item in row if item] for row in _texts(inputs["history"])]
        return self._reference.user_vectors(_texts(inputs["user_id"]), histories)

    def _ranks(
        self,
        request: Request,
        answer: Mapping[str, np.ndarray],
        scores: np.ndarray,
        unwanted: Sequence[set[str]],
        slack: np.ndarray,
        *,
        exact: bool | None = None,
    ) -> None:
        for row, k in enumerate(request.inputs["k"]):
            own = scores[row].copy()
            own[
                [self._position[i.encode()] for i in unwanted[row] if i.encode() in self._position]
            ] = _LOWEST
            count = min(int(k), int((own > _LOWEST).sum()))
            ids = answer["item_ids"][row]
            if any(ids[count:]) or not all(ids[:count]) or len(set(ids[:count])) != count:
                raise self._fault(request, f"{np.count_nonzero(ids)} items where {count} are due")
            found = own[[self._position[item] for item in ids[:count]]]
            if (found == _LOWEST).any():
                raise self._fault(request, f"an item that is to be left out, for row {row}")
            self._close(request, answer["scores"][row][:count], found, slack[row])
            # Two items of one score may stand in either order, so places are compared by score.
            if self._exact if exact is None else exact:
                self._close(request, found, np.sort(own)[::-1][:count])

    def _close(
        self,
        request: Request,
        got: np.ndarray | np.floating,
        expected: np.ndarray | np.floating,
        slack: np.ndarray | float = 0.0,
    ) -> None:
        got, expected = np.asarray(got), np.asarray(expected)
        if got.shape != expected.shape:
            raise self._fault(request, f"shape {got.shape} where {expected.shape} is due")
        if not got.size:
            return
        scale = np.maximum(1.0, np.abs(expected).max())
        differences = np.abs(got - expected) / scale
        difference = float(differences.max())
        self.largest = max(self.largest, difference)
        if (differences > TOLERANCE + slack / scale).any():
            raise self._fault(request, f"a difference of {difference:.2g} from the Keras model")

    def _fault(self, request: Request, received: str) -> ExportError:
        return ExportError(
            f"{self._version}: {request.signature}",
            f"a served model answers as its Keras model does, to {TOLERANCE:g}",
            received=received,
            remedy="Report it with this line; the model can't be served as it is",
        )


def _texts(values: np.ndarray) -> list[str]:
    return [
        _texts(value) if isinstance(value, np.ndarray) else value.decode()  # type: ignore[misc]
        for value in values
    ]


def _time(served: ServedModel, request: Request, repeats: int = 20) -> float:
    inputs = {name: value[:1] for name, value in request.inputs.items()}
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        served.run(request.signature, inputs)
        times.append(time.perf_counter() - start)
    return float(np.median(times)) * 1e3
