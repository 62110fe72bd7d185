"""Prepared data in memory: the catalogue, timelines, and the batches that training reads."""

from tfrec.input.batches import TARGET_WEIGHT, Batches
from tfrec.input.inputs import ItemInputs, query_inputs
from tfrec.input.items import ItemTable
from tfrec.input.spans import TARGET_PLACE, Spans
from tfrec.input.timelines import Timelines
from tfrec.input.windows import Windows

__all__ = [
    "TARGET_PLACE",
    "TARGET_WEIGHT",
    "Batches",
    "ItemInputs",
    "ItemTable",
    "Spans",
    "Timelines",
    "Windows",
    "query_inputs",
]
