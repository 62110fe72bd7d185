"""The two-tower model: views, each with a query and an item side, joined into one inner product."""

from tfrec.model.building import build_model, build_neural_view
from tfrec.model.content import history_content
from tfrec.model.example import example_items, example_queries
from tfrec.model.graph_view import GraphView
from tfrec.model.id_embedding import IdEmbedding
from tfrec.model.neural_view import NeuralView
from tfrec.model.new_items_view import NewItemsView
from tfrec.model.popularity_view import PopularityView
from tfrec.model.two_tower import ItemTower, QueryTower, TwoTower
from tfrec.model.view import NORMALISED_SUFFIX, PROPAGATED, VECTOR_SUFFIX, View

__all__ = [
    "NORMALISED_SUFFIX",
    "PROPAGATED",
    "VECTOR_SUFFIX",
    "GraphView",
    "IdEmbedding",
    "ItemTower",
    "NeuralView",
    "NewItemsView",
    "PopularityView",
    "QueryTower",
    "TwoTower",
    "View",
    "build_model",
    "build_neural_view",
    "example_items",
    "example_queries",
    "history_content",
]
