"""What a simulated service is made of: its size, its seed, and how much each modality tells."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

__all__ = ["MODALITIES", "SignalModality", "SimulationConfig"]

SignalModality = Literal["text", "image", "audio", "video", "attributes", "comments", "profile"]
MODALITIES: tuple[SignalModality, ...] = get_args(SignalModality)

_LARGEST = 200_000_000

Share = Annotated[float, Field(ge=0, le=1)]


class SimulationConfig(BaseModel):
    """How large a service is simulated, and what there is to find in it.

    Attributes:
        items: Songs in the catalogue.
        users: Listeners.
        events: Rows of interactions.csv; unless given forty a user, or as many as the songs allow.
        seed: Everything is a function of it and of the other fields. The behaviour doesn't depend
            on `signal`, `signals` and `missing`, so that two services that differ only there have
            the same interactions.csv.
        signal: Share of the variance of what a modality shows that comes from the latents which
            drive behaviour; the rest is noise. 0: the modality tells nothing; 1: no noise but that
            of the drawing itself (finitely many words, pixels, pulses).
        signals: The same by modality, where it differs from `signal`.
        interaction: Share of the affinity's variance that comes from the *product* of text and
            image latents, which no additive use of the two can find.
        cold_fraction: Share of the items that are released within the test part of the default
            `global_time` split: nobody has met them before, and each has an event there.
        missing: Share of the covers, of the clips and of the lyrics that don't exist.
        video: Share of the items with an MP4 clip.
        days: Length of the time span.
        drift: By what angle, in radians, tastes turn from the first day to the last.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    items: int = Field(2_000, ge=20, le=1_000_000)
    users: int = Field(3_000, ge=10, le=10_000_000)
    events: int | None = Field(None, ge=200)
    seed: int = Field(0, ge=0)
    signal: Share = 0.7
    signals: dict[SignalModality, Share] = Field(default_factory=dict)
    interaction: Share = 0.0
    cold_fraction: float = Field(0.09, ge=0, le=0.3)
    missing: float = Field(0.03, ge=0, le=0.9)
    video: Share = 0.0
    days: int = Field(180, ge=10, le=3_650)
    drift: float = Field(0.5, ge=0, le=1.5)

    @model_validator(mode="after")
    def _plausible(self) -> SimulationConfig:
        events, most = self.event_count, self.users * self.items // 5
        if self.users * self.items > _LARGEST:
            raise ValueError(f"`users` x `items` is at most {_LARGEST}: affinities fill memory")
        if events > most:
            raise ValueError(
                f"`events` is at most a fifth of `users` x `items`, {most}: listeners would run out"
                f" of songs; got {events}"
            )
        if events < 10 * self.items or events < 2 * self.users:
            raise ValueError(
                f"`events` is at least ten for an item and two for a user,"
                f" {max(10 * self.items, 2 * self.users)}; got {events}"
            )
        return self

    @property
    def event_count(self) -> int:
        """Rows of interactions.csv.

        Example:
            >>> SimulationConfig(items=60, users=80).event_count, SimulationConfig().event_count
            (960, 120000)
        """
        if self.events is not None:
            return self.events
        return min(40 * self.users, self.users * self.items // 5)

    def signal_of(self, modality: SignalModality) -> float:
        """The share of a modality's variance that is signal.

        Example:
            >>> config = SimulationConfig(signal=0.5, signals={"image": 0.0})
            >>> config.signal_of("image"), config.signal_of("text")
            (0.0, 0.5)
        """
        return self.signals.get(modality, self.signal)
