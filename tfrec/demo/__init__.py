"""The whole path on a simulated service, stage by stage, as `tfrec demo` walks it."""

from tfrec.demo.stages import Stage, StageRunner
from tfrec.demo.tour import Tour
from tfrec.demo.workdir import Workdir

__all__ = ["Stage", "StageRunner", "Tour", "Workdir"]
