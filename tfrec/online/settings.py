"""What an online evaluation is asked for."""

from __future__ import annotations

from dataclasses import dataclass

from tfrec.errors import DescriptionError
from tfrec.online.events.schema import EVENTS
from tfrec.online.experiments.config import ExperimentConfig

__all__ = ["Settings"]


@dataclass(frozen=True)
class Settings:
    """Options that change the figures.

    Attributes:
        experiments: To be analysed.
        reward: Event whose values off-policy estimates add up.
        clip: Greatest weight of clipped IPS.
        level: Share of intervals that hold the truth.
        clock_skew: Seconds that feedback may seem to come before its impression.
        rounds: Resamples of the bootstrap.
        seed: Of the resamples.
        shards: Parts that a log is cut into, by request and by user; each must fit into memory.
    """

    experiments: tuple[ExperimentConfig, ...] = ()
    reward: str = "click"
    clip: float = 10.0
    level: float = 0.95
    clock_skew: float = 0.0
    rounds: int = 500
    seed: int = 0
    shards: int = 8

    def __post_init__(self) -> None:
        for option, fine, rule in (
            ("--reward", self.reward in EVENTS, f"a reward is one of {', '.join(EVENTS)}"),
            ("--clip", self.clip > 0, "the greatest weight is above 0"),
            ("--level", 0.5 < self.level < 1, "a level lies between 0.5 and 1"),
            ("--clock-skew", self.clock_skew >= 0, "a skew in seconds is not negative"),
            ("--shards", self.shards >= 1, "there is at least one shard"),
        ):
            if not fine:
                name = option[2:].replace("-", "_")
                raise DescriptionError(option, rule, received=getattr(self, name))
