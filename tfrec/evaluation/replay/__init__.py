"""Live replay: systems learn again and again as time goes by, and are asked for what came next."""

from tfrec.evaluation.replay.figures import PeriodFigures, Replay
from tfrec.evaluation.replay.page import chart, page, table
from tfrec.evaluation.replay.periods import Cut, cut_at, period_edges
from tfrec.evaluation.replay.records import write_cut
from tfrec.evaluation.replay.replaying import CHEAP, Trained, replay

__all__ = [
    "CHEAP",
    "Cut",
    "PeriodFigures",
    "Replay",
    "Trained",
    "chart",
    "cut_at",
    "page",
    "period_edges",
    "replay",
    "table",
    "write_cut",
]
