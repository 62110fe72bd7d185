"""The graph of users and the items that they liked, over which a `GraphView` spreads ids."""

from __future__ import annotations

from tfrec.fusion import GraphPropagation, bipartite_graph
from tfrec.input import Timelines
from tfrec.model.graph_view import GraphView, Propagated

__all__ = ["UserItemGraph"]


class UserItemGraph:
    """Positives of the train part as edges, frozen; no weight of the model and in no export.

    Args:
        view: Whose ids it spreads.
        train: The train part. What comes after it must not be here: an edge to a held-out item
            would put the answer into the user's vector.
    """

    def __init__(self, view: GraphView, train: Timelines) -> None:
        self._view = view
        liked = train.positives()
        edges = bipartite_graph(
            liked.user_index[liked.rows], liked.item_index, view.users, view.items
        )
        # Half precision loses what it adds up over many neighbours.
        self._graph = GraphPropagation.of(
            edges, layers=view.graph_layers, dtype="float32", name="graph"
        )

    def propagated(self) -> Propagated:
        """All ids' vectors, with a way back for the gradient."""
        return self._view.propagate(self._graph)

    def settle(self) -> None:
        """Lets the view answer by the weights that it has now."""
        self._view.settle(self._graph)
