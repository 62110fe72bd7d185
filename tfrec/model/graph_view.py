"""The learned view with ids that are spread over the graph of who liked what: LightGCN."""

from __future__ import annotations

from typing import Any, NamedTuple

import keras
import tensorflow as tf

from tfrec import schema
from tfrec.fusion import GraphPropagation
from tfrec.model.id_embedding import IdEmbedding
from tfrec.model.neural_view import NeuralView
from tfrec.model.parts import QueryParts
from tfrec.model.view import PROPAGATED

__all__ = ["GraphView", "Propagated"]


class Propagated(NamedTuple):
    """All ids' vectors, from one propagation.

    Attributes:
        items: float32 [items, width].
        users_own: float32 [users, width], what a user's own embedding adds to the user's vector.
        users_items: float32 [users, width], what the items that a user liked add to it.
    """

    items: Any
    users_own: Any
    users_items: Any


@keras.saving.register_keras_serializable("tfrec")
class GraphView(NeuralView):
    """A `NeuralView` whose ids stand for vectors that were propagated over users and items.

    He et al., "LightGCN: simplifying and powering graph convolution network for recommendation",
    2020, equations 3 to 8. With E₀ the tables of user and item ids, A the train part's positives
    between them, normalised by both degrees, and K layers::

        E_k = A E_(k-1)          vectors = (E_0 + E_1 + … + E_K) / (K + 1)

    In training all of it is computed once a step, for all users and items (`propagate`), and the
    gradient reaches every row. Written for one user, with N the items that the user liked, it is

        vector of u = E_0[u] / (K + 1) + |N|^-½ Σ over i in N of h[i]
        h[i] = degree(i)^-½ (E_0 + … + E_(K-1))[i] / (K + 1)

    which is how queries are answered: `settle` keeps h and the items' vectors, and a query's
    history is N. So the stored past of a known user gives what was trained; the past of someone
    without an id gives the same without the first term; and whatever was liked since the training
    counts as well. An item counts once in a history, and one without behaviour doesn't.

    Limitation: a history is cut to its latest `history_length` events, the graph's N isn't.

    Args:
        width: Of the ids' vectors.
        layers: K.
        **options: Those of `NeuralView`; there is no other reader of histories.

    Raises:
        ValueError: Users or items have no ids, or there is an encoder of histories.
    """

    def __init__(self, width: int, *, layers: int = 3, **options: Any) -> None:
        super().__init__(width, **options)
        if not self.users or not self.item_id or self.history is not None:
            raise ValueError(
                "`users` must be positive, `item_id` True and `history` None for a graph of users"
                f" and items. Received: users={self.users}, item_id={self.item_id},"
                f" history={self.history}"
            )
        self.graph_layers = layers
        # Not trained themselves: what follows from the trained tables.
        self.settled_items = IdEmbedding(self.items, width, stddev=0.0, name="settled_items")
        self.settled_history = IdEmbedding(self.items, width, stddev=0.0, name="settled_history")
        self.settled_items.trainable = self.settled_history.trainable = False

    def propagate(self, graph: GraphPropagation) -> Propagated:
        """Propagates all ids.

        Args:
            graph: Over users and then items, with this view's number of layers.

        Returns:
            What both sides of a training step read as `inputs["propagated"]`.
        """
        terms = self._powers(graph)
        vectors, own = sum(terms[1:], terms[0]) / len(terms), terms[0] / len(terms)
        users, items = tf.split(vectors, [self.users, self.items])
        return Propagated(items, own[: self.users], users - own[: self.users])

    def settle(self, graph: GraphPropagation) -> None:
        """Keeps what the trained tables come to, for all that isn't training.

        Args:
            graph: As for `propagate`.
        """
        terms = self._powers(graph)
        degree = tf.math.bincount(graph.ends.value[0], minlength=graph.nodes, dtype=tf.float32)
        scale = tf.math.divide_no_nan(1.0, tf.sqrt(degree) * len(terms))
        history = sum(terms[1:-1], terms[0]) * scale[:, None]
        self.settled_history.table.assign(history[self.users :])
        self.settled_items.table.assign((sum(terms[1:], terms[0]) / len(terms))[self.users :])

    def _powers(self, graph: GraphPropagation) -> list[Any]:
        tables = [self.user_table.table.value, self.item_table.table.value]
        return graph.powers(tf.concat([tf.convert_to_tensor(table) for table in tables], 0))

    def _item_ids(self, inputs: dict[str, Any]) -> Any:
        index = inputs[schema.ITEM_INDEX]
        if PROPAGATED in inputs:
            return tf.gather(inputs[PROPAGATED].items, tf.maximum(index, 0))
        return self.settled_items(index)

    def _user_ids(self, inputs: dict[str, Any]) -> Any:
        index = inputs[schema.USER_INDEX]
        if PROPAGATED in inputs:
            return tf.gather(inputs[PROPAGATED].users_own, tf.maximum(index, 0))
        return self.user_table(index) / (self.graph_layers + 1)

    def _history(self, inputs: dict[str, Any], training: bool | None) -> Any:
        if PROPAGATED in inputs:
            return tf.gather(inputs[PROPAGATED].users_items, inputs[schema.USER_INDEX])
        return tf.reduce_sum(self._events(inputs["history"]), 1)

    def _history_parts(self, inputs: dict[str, Any]) -> QueryParts:
        return QueryParts(self._events(inputs["history"]), {})

    def _events(self, history: Any) -> Any:
        """What each event of histories adds, float32 [batch, length, width]."""
        rows = self.settled_history(history)
        there = tf.reduce_any(rows != 0, -1)
        same = (history[:, :, None] == history[:, None]) & there[:, None]
        share = tf.math.divide_no_nan(
            tf.cast(there, tf.float32), tf.reduce_sum(tf.cast(same, tf.float32), -1)
        )
        size = tf.reduce_sum(share, -1, keepdims=True)
        return rows * (share * tf.math.divide_no_nan(1.0, tf.sqrt(size)))[..., None]

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {**super().get_config(), "layers": self.graph_layers}
