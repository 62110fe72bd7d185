"""The inverted file: only the cells whose centroids score best are looked into.

query ─▶ scores of C centroids ─▶ best `probes` cells ─▶ their blocks ─▶ scores ─▶ top k
│
too few found (filters, exclusions, small cells) ──┴──▶ every item is scored
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfrec.errors import DescriptionError
from tfrec.index.cells import Cells, train_cells
from tfrec.index.float_storage import FloatStorage
from tfrec.index.index import (
    Index,
    Neighbours,
    apart,
    best_in_blocks,
    checked_vectors,
    inverse_lengths,
    kept_variable,
    ranked,
    without,
)
from tfrec.index.int8_storage import Int8Storage
from tfrec.index.layout import BLOCK, SPARE, CellLayout
from tfrec.index.pq_storage import PqStorage
from tfrec.index.request import Request, in_rows, rows_at, rows_of
from tfrec.index.storage import Storage, by_slot, in_blocks

__all__ = ["IvfIndex"]

_STORAGES: dict[str, type[Storage]] = {
    "ivf": FloatStorage,
    "ivf-int8": Int8Storage,
    "ivf-pq": PqStorage,
}
# Of the items that a filter keeps, all are scored when they are fewer than this share; probing
# would have to look into so many cells that it costs as much.
_FEW = 0.1
# Items in one step of a scan, and floats of vectors fetched in one step of a probe (64 MB).
_SCAN = 2**16
_FETCH = 2**24
# Of rough scores, how many are computed again: at least this many, and this many times k.
_SHORTLIST, _TIMES = 100, 10


class IvfIndex(Index):
    """Scores the items of the cells nearest to a query, and keeps the best.

    Never returns fewer than `k` items while so many qualify: where a query's cells hold too few,
    all items are scored for it. A filter that keeps little is answered exactly from what it keeps;
    one that keeps more makes probes as many times more as it leaves out.

    Args:
        vectors: float32 [N, D].
        kind: `ivf` keeps them as they are, `ivf-int8` in 8 bits, `ivf-pq` product-quantised.
        cells: Of the vectors; trained unless given.
        probes: Cells that a query looks into; `tfrec index tune` finds how many are needed.

    Raises:
        DescriptionError: `kind` is unknown, `probes` less than 1, or the cells are of others.
        ExportError: The vectors are empty or not finite.

    Example:
        >>> vectors = np.random.default_rng(0).standard_normal((500, 8)).astype(np.float32)
        >>> vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        >>> index = IvfIndex(vectors, probes=10)
        >>> found = index.search(tf.constant(vectors[:2]), tf.constant(1))
        >>> found.items.numpy().tolist()
        [[0], [1]]
    """

    def __init__(
        self,
        vectors: np.ndarray,
        kind: str = "ivf",
        cells: Cells | None = None,
        probes: int = 16,
    ) -> None:
        super().__init__(name="ivf_index")
        vectors = checked_vectors(vectors)
        if kind not in _STORAGES:
            raise DescriptionError(
                "index",
                f"the `kind` of an inverted file is one of {', '.join(_STORAGES)}",
                received=kind,
                remedy="Take one of these",
            )
        if probes < 1:
            raise DescriptionError(
                "index",
                "`probes` is at least 1 cell",
                received=probes,
                remedy="Ask `tfrec index tune` how many are needed",
            )
        cells = train_cells(vectors) if cells is None else cells
        if len(cells.assignment) != len(vectors):
            raise DescriptionError(
                "index",
                "the cells are of the vectors that are indexed",
                received=f"cells of {len(cells.assignment)} items, {len(vectors)} vectors",
                remedy="Train them again",
            )
        self.kind = kind
        self.size, self.dimension = vectors.shape
        self.cells = len(cells.centroids)
        # A variable, so that tuning tries many values, and an export's can be changed in place.
        self._probes = tf.Variable(
            min(probes, self.cells), trainable=False, dtype=tf.int32, name="index/probes"
        )
        self._cosine_probes = tf.Variable(
            min(probes, self.cells), trainable=False, dtype=tf.int32, name="index/cosine_probes"
        )
        self._newcomer_probes = tf.Variable(
            min(probes, self.cells), trainable=False, dtype=tf.int32, name="index/newcomer_probes"
        )
        layout = CellLayout.of(cells.assignment, self.cells)
        self._storage = _STORAGES[kind](vectors, cells, layout)
        self.error = self._storage.error
        self._directions = kept_variable(cells.directions, "index/directions")
        # A centroid is its direction times this; a direction of zero is of a centroid of zero.
        norms = inverse_lengths(cells.directions) * np.linalg.norm(cells.centroids, axis=1)
        self._norms = kept_variable(norms.astype(np.float32), "index/norms")
        self._unit = kept_variable(inverse_lengths(cells.directions), "index/unit")
        self._count = tf.Variable(self.size, trainable=False, dtype=tf.int32, name="index/count")
        self._items = kept_variable(layout.items, "index/items")
        self._slots = kept_variable(layout.slots, "index/slots")
        self._first = kept_variable(layout.first, "index/first")
        self._cell_of_block = kept_variable(layout.cell_of_block, "index/cell_of_block")
        lengths = by_slot(inverse_lengths(vectors), layout.items)
        self._inverse_lengths = kept_variable(lengths, "index/inverse_lengths")

    def search(
        self,
        queries: tf.Tensor,
        k: tf.Tensor,
        excluded: tf.Tensor | None = None,
        allowed: tf.Tensor | None = None,
        *,
        cosine: bool = False,
        newcomers: tf.Tensor | None = None,
    ) -> Neighbours:
        """Finds the best items of each query; see `Index.search`."""
        if excluded is not None:
            excluded = tf.convert_to_tensor(excluded)
        request = Request(tf.convert_to_tensor(queries), k, excluded, cosine, newcomers)
        if allowed is None:
            return self._searched(request, self._usual_probes(cosine))
        if allowed.shape.rank == 2:
            return self._row_by_row(request, allowed)
        return self._filtered(request, allowed)

    @property
    def probes(self) -> int:
        """Cells that a query looks into; assignable, from 1 to `cells`."""
        return int(self._probes.numpy())

    @probes.setter
    def probes(self, probes: int) -> None:
        self._probes.assign(max(1, min(probes, self.cells)))

    @property
    def cosine_probes(self) -> int:
        """The same for searches by cosine, whose queries are of another kind."""
        return int(self._cosine_probes.numpy())

    @cosine_probes.setter
    def cosine_probes(self, probes: int) -> None:
        self._cosine_probes.assign(max(1, min(probes, self.cells)))

    @property
    def newcomer_probes(self) -> int:
        """The same for users without a history, whose queries point where popular items lie."""
        return int(self._newcomer_probes.numpy())

    @newcomer_probes.setter
    def newcomer_probes(self, probes: int) -> None:
        self._newcomer_probes.assign(max(1, min(probes, self.cells)))

    def _usual_probes(self, cosine: bool) -> _Probes:
        usual = self._cosine_probes.value() if cosine else self._probes.value()
        return _Probes(usual, self._newcomer_probes.value())

    def vectors_of(self, items: tf.Tensor) -> tf.Tensor:
        """Vectors of items as they are kept; see `Index.vectors_of`."""
        vectors = self._kept(tf.gather(self._slots.value(), tf.maximum(items, 0)))
        return tf.where(self.holds(items)[..., None], vectors, 0.0)

    @property
    def count(self) -> tf.Tensor:
        """How many items can be found; see `Index.count`."""
        return tf.identity(self._count)

    def holds(self, items: tf.Tensor) -> tf.Tensor:
        """Whether items can be found; see `Index.holds`."""
        slots = tf.gather(self._slots.value(), tf.maximum(items, 0))
        return (tf.gather(self._items.value(), slots) >= 0) & (items >= 0)

    def _kept(self, slots: tf.Tensor) -> tf.Tensor:
        cells = tf.gather(self._cell_of_block.value(), slots // BLOCK)
        centroids = (
            tf.gather(self._directions.value(), cells)
            * tf.gather(self._norms.value(), cells)[..., None]
        )
        return self._storage.vectors(slots, centroids)

    def _filtered(self, request: Request, allowed: tf.Tensor) -> Neighbours:
        kept = tf.cast(tf.where(allowed)[:, 0], tf.int32)
        share = tf.size(kept) / tf.size(allowed)

        def probe() -> Neighbours:
            cells = tf.shape(self._norms)[0]

            def wider(probes: tf.Tensor) -> tf.Tensor:
                more = tf.cast(tf.math.ceil(tf.cast(probes, tf.float64) / share), tf.int32)
                return tf.minimum(more, cells)

            probes = _Probes(*map(wider, self._usual_probes(request.cosine)))
            return self._searched(request, probes, allowed, kept)

        return tf.cond(share < _FEW, lambda: self._scan(request, kept), probe)

    def _row_by_row(self, request: Request, allowed: tf.Tensor) -> Neighbours:
        def one(start: tf.Tensor, end: tf.Tensor) -> Neighbours:
            return self._filtered(rows_of(request, start, end), allowed[start])

        return in_rows(one, request, tf.constant(1))

    def _searched(
        self,
        request: Request,
        probes: _Probes,
        allowed: tf.Tensor | None = None,
        kept: tf.Tensor | None = None,
    ) -> Neighbours:
        """The best of the nearest cells, or of all items where these hold too few."""
        usual = self._probed(request, probes.usual, allowed)
        full, step = usual.full, usual.step
        if request.newcomers is not None:
            # Told apart only where they need more than the rest.
            several = tf.reduce_any(request.newcomers) & (probes.newcomers > probes.usual)
            full, step = full & ~several, tf.where(several, 1, step)

        def carefully() -> Neighbours:
            def best(start: tf.Tensor, end: tf.Tensor) -> Neighbours:
                part, looked = rows_of(request, start, end), probes.usual
                if part.newcomers is not None:
                    more = tf.maximum(probes.usual, probes.newcomers)
                    looked = tf.where(tf.reduce_any(part.newcomers), more, looked)
                found = self._probed(part, looked, allowed)
                return tf.cond(
                    found.full, lambda: found.best, lambda: self._filled(part, found.best, kept)
                )

            return in_rows(best, request, step)

        # One condition for whatever is unusual: each costs as much as twenty thousand products.
        return tf.cond(full, lambda: usual.best, apart(carefully))

    def _filled(self, request: Request, found: Neighbours, kept: tf.Tensor | None) -> Neighbours:
        """With all items scored for the queries whose cells hold too few, and for no others.

        What a query is answered must not depend on those that it comes with.
        """
        missing = tf.stack([tf.shape(request.queries)[0], request.k]) - tf.shape(found.items)
        paddings = tf.stack([tf.zeros_like(missing), missing], 1)
        scores = tf.pad(found.scores, paddings, constant_values=tf.float32.min)
        items = tf.pad(found.items, paddings, constant_values=-1)
        lacking = tf.reduce_any(scores <= tf.float32.min, 1)
        places = tf.cast(tf.where(lacking), tf.int32)
        scanned = self._scan(rows_at(request, places[:, 0]), kept)
        return Neighbours(
            tf.tensor_scatter_nd_update(scores, places, scanned.scores),
            tf.tensor_scatter_nd_update(items, places, scanned.items),
        )

    def _probed(
        self, request: Request, probes: tf.Tensor, allowed: tf.Tensor | None = None
    ) -> _Found:
        """The best of the cells that a query is nearest to, of as many rows as memory allows."""
        nearness = tf.matmul(request.queries, self._directions, transpose_b=True)
        order = nearness * self._unit if request.cosine else nearness
        chosen = tf.math.top_k(order, probes).indices
        flat = tf.reshape(chosen, [-1])
        start = tf.gather(self._first.value(), flat)
        splits, blocks = tf.raw_ops.RaggedRange(
            starts=start,
            limits=tf.gather(self._first.value(), flat + 1),
            deltas=1,
            Tsplits=tf.int32,
        )
        ragged = tf.RaggedTensor.from_row_splits(blocks, splits[::probes], validate=False)
        blocks = ragged.to_tensor(default_value=SPARE)
        # Where the first slot of each cell stands among the candidates of its row.
        begun, start = (tf.reshape(each, tf.shape(chosen)) for each in (splits[:-1], start))
        shift = (begun - begun[:, :1] - start) * BLOCK

        rows, width = tf.unstack(tf.shape(blocks))
        step = tf.maximum(_FETCH // (BLOCK * self.dimension) // tf.maximum(width, 1), 1)
        some = rows_of(request, 0, step)._replace(k=tf.minimum(request.k, width * BLOCK))
        probe = _Probe(blocks[:step], chosen[:step], shift[:step], nearness[:step])
        best = self._best_of_blocks(some, probe, allowed)
        full = tf.reduce_all(best.scores > tf.float32.min)
        full &= (request.k <= width * BLOCK) & (rows <= step)
        return _Found(best, full, step)

    def _best_of_blocks(
        self, request: Request, probe: _Probe, allowed: tf.Tensor | None
    ) -> Neighbours:
        blocks = probe.blocks
        items = tf.gather(in_blocks(self._items), blocks)
        cells = tf.gather(self._cell_of_block.value(), blocks)
        base = tf.gather(probe.nearness, cells, batch_dims=1) * tf.gather(
            self._norms.value(), cells
        )
        scores = self._storage.scores(blocks, request.queries, base)
        if request.cosine:
            scores *= tf.gather(in_blocks(self._inverse_lengths), blocks)
        rows, width = tf.unstack(tf.shape(blocks))
        shape = tf.stack([rows, width * BLOCK])
        items, scores = tf.reshape(items, shape), tf.reshape(scores, shape)
        good = items >= 0
        if allowed is not None:
            good &= tf.gather(allowed, tf.maximum(items, 0))
        # Filled, since spreading a scalar takes `tf.where` longer than the products do.
        scores = tf.where(good, scores, tf.fill(shape, tf.float32.min))
        if request.excluded is not None:
            scores = without(scores, self._columns(probe, request.excluded))
        if self._storage.rerank:
            scores, places = self._reranked(request, blocks, scores)
        else:
            scores, places = tf.math.top_k(scores, request.k)
        return Neighbours(scores, tf.gather(items, places, batch_dims=1))

    def _columns(self, probe: _Probe, excluded: tf.Tensor) -> tf.Tensor:
        """Where items [b, e] stand among the candidates of their rows, -1 where they don't."""
        slots = tf.gather(self._slots.value(), tf.maximum(excluded, 0))
        cells = tf.gather(self._cell_of_block.value(), slots // BLOCK)
        # A removed item lies in the spare block, which is said to be of cell 0.
        known = (excluded >= 0) & (tf.gather(self._items.value(), slots) >= 0)
        here = (cells[..., None] == probe.chosen[:, None]) & known[..., None]
        columns = slots[..., None] + probe.shift[:, None]
        return tf.reduce_max(tf.where(here, columns, -1), 2)

    def _reranked(
        self, request: Request, blocks: tf.Tensor, rough: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        count = tf.minimum(tf.maximum(_TIMES * request.k, _SHORTLIST), tf.shape(rough)[1])
        best, places = tf.math.top_k(rough, count)
        slots = tf.gather(blocks, places // BLOCK, batch_dims=1) * BLOCK + places % BLOCK
        scores = tf.reduce_sum(self._kept(slots) * request.queries[:, None], -1)
        if request.cosine:
            scores *= tf.gather(self._inverse_lengths.value(), slots)
        scores, order = tf.math.top_k(tf.where(best > tf.float32.min, scores, best), request.k)
        return scores, tf.gather(places, order, batch_dims=1)

    def _scan(self, request: Request, candidates: tf.Tensor | None = None) -> Neighbours:
        """The best of items [n], in ascending order, or of all; each of them is scored."""
        if candidates is None:
            candidates = tf.range(tf.shape(self._slots)[0])
        padded = tf.concat([candidates, tf.shape(self._slots)[:1]], 0)

        def best(start: tf.Tensor, end: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            slots = tf.gather(self._slots.value(), candidates[start:end])
            scores = tf.matmul(request.queries, self._kept(slots), transpose_b=True)
            if request.cosine:
                scores *= tf.gather(self._inverse_lengths.value(), slots)
            scores = tf.where(tf.gather(self._items.value(), slots) >= 0, scores, tf.float32.min)
            if request.excluded is not None:
                # `tf.searchsorted` can't reshape nothing, and a request may exclude nothing.
                wanted = tf.reshape(request.excluded, [1, -1])
                places = tf.raw_ops.LowerBound(sorted_inputs=padded[None], values=wanted)
                places = tf.reshape(places, tf.shape(request.excluded))
                same = tf.gather(padded, places) == request.excluded
                scores = without(scores, tf.where(same, places - start, -1))
            scores, places = tf.math.top_k(scores, tf.minimum(request.k, end - start))
            return scores, tf.gather(candidates, places + start)

        rows = tf.shape(request.queries)[0]
        return ranked(*best_in_blocks(best, rows, request.k, tf.size(candidates), _SCAN))


class _Probes(NamedTuple):
    """How many cells are looked into, int32 scalars: for most, and for users without a history."""

    usual: tf.Tensor
    newcomers: tf.Tensor


class _Found(NamedTuple):
    """What probing found.

    Attributes:
        best: Narrower, of fewer rows, or of items that don't qualify, where not `full`.
        full: Whether every query has its k items.
        step: Rows that may be probed at once.
    """

    best: Neighbours
    full: tf.Tensor
    step: tf.Tensor


class _Probe(NamedTuple):
    """Cells that were chosen for each row.

    Attributes:
        blocks: int32 [b, w], blocks of these cells, then the spare block.
        chosen: int32 [b, p], the cells.
        shift: int32 [b, p], column of a slot among the row's candidates, less the slot.
        nearness: float32 [b, C], products with the directions of cells.
    """

    blocks: tf.Tensor
    chosen: tf.Tensor
    shift: tf.Tensor
    nearness: tf.Tensor
