"""Prepared data in memory: the catalogue, timelines, and the windows that training reads."""

from tfrec.input.inputs import ItemInputs, query_inputs
from tfrec.input.items import ItemTable
from tfrec.input.timelines import Timelines
from tfrec.input.windows import TARGET_WEIGHT, Windows

__all__ = ["TARGET_WEIGHT", "ItemInputs", "ItemTable", "Timelines", "Windows", "query_inputs"]
