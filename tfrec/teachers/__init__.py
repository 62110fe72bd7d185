"""Closed-form teachers: item vectors that need no gradient step, for one two-tower score."""

from tfrec.teachers.cold import ColdView, fit_cold
from tfrec.teachers.placement import Placement, place
from tfrec.teachers.warm import WarmView, fit_warm

__all__ = ["ColdView", "Placement", "WarmView", "fit_cold", "fit_warm", "place"]
