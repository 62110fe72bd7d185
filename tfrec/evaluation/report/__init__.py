"""report.html: one file that explains an evaluation to a person."""

from tfrec.evaluation.report.advice import advise
from tfrec.evaluation.report.page import report

__all__ = ["advise", "report"]
