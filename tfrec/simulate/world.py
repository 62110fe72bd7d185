"""The hidden state of a simulated service: latents of songs, tastes of listeners, affinities.

A song's latents fall into blocks, one for each modality and one that nothing shows:

    block        width  weight  shown by
    text         3      0.24    lyrics and title: which topics the words come from
    image        3      0.20    cover: warmth, lightness, size of the shape
    audio        3      0.20    clip: brightness of the timbre, tempo, noise
    attributes   3      0.20    genres, artist, year, price
    comments     1      0.04    comments: how well people speak of it
    hidden       2      0.12    nothing but behaviour
    video        2      0.15    MP4 clip: speed and flicker; only when there are videos

All are independent standard normals, so that each modality tells what no other does. A listener has
a taste vector of the same layout, and the affinity is the weighted sum over blocks of the inner
products, scaled to unit variance (the weights are shares of that variance, divided by their sum)::

    affinity(u, i) = sum over blocks b of sqrt(weight_b / width_b) * taste_u[b] . latent_i[b]

Worked through with two blocks of width 1 and weights 0.5: taste (1, -1) and latent (2, 1) give
0.707 * 2 - 0.707 * 1 = 0.707. With `interaction` q a further block, the element-wise product of
text and image, takes the share q and the others share 1 - q.

What a modality shows is `sqrt(s) * latent + sqrt(1 - s) * noise`, s its signal.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tfrec.simulate.config import SignalModality, SimulationConfig
from tfrec.simulate.streams import stream

__all__ = ["Block", "World"]

Floats = npt.NDArray[np.float32]

_BLOCKS: tuple[tuple[str, int, float], ...] = (
    ("text", 3, 0.24),
    ("image", 3, 0.20),
    ("audio", 3, 0.20),
    ("attributes", 3, 0.20),
    ("comments", 1, 0.04),
    ("hidden", 2, 0.12),
    ("video", 2, 0.15),
)


@dataclass(frozen=True)
class Block:
    """A named part of the latent vector.

    Attributes:
        name: The modality that shows it, or `hidden`, or `product`.
        columns: Its place in the latent vector.
        share: Its share of the affinity's variance.
    """

    name: str
    columns: slice
    share: float

    @property
    def width(self) -> int:
        """Number of latent dimensions."""
        return int(self.columns.stop - self.columns.start)


class World:
    """Latents and tastes, drawn once from the seed.

    Args:
        config: The simulation.

    Attributes:
        config: As given.
        blocks: Layout of the latent vectors.
        item_latents: float32 [items, D].
        tastes_first, tastes_last: float32 [users, D], on the first and the last day.
        log_popularity: float32 [items]; log of a Zipf-like weight, independent of the latents.
    """

    def __init__(self, config: SimulationConfig) -> None:
        self.config = config
        self.blocks = _layout(config)
        self.item_latents = self._latents(stream(config.seed, "items"), config.items)
        rng = stream(config.seed, "users")
        width = self.item_latents.shape[1]
        self.tastes_first = rng.standard_normal((config.users, width), dtype=np.float32)
        other = rng.standard_normal((config.users, width), dtype=np.float32)
        # A rotation keeps the variance, so tastes change in direction and not in strength.
        self.tastes_last = np.float32(np.cos(config.drift)) * self.tastes_first
        self.tastes_last += np.float32(np.sin(config.drift)) * other
        rank = stream(config.seed, "popularity").permutation(config.items) + 1
        # Zipf with a flattened head: of 2,000 songs the first has 3 % of the weight, not 18 %.
        self.log_popularity = np.asarray(-1.1 * np.log(rank + 8.0), dtype=np.float32)

    def block(self, name: str) -> Block:
        """The block of that name."""
        return next(block for block in self.blocks if block.name == name)

    def tastes(self, moment: float) -> Floats:
        """Tastes at a moment of the span, 0 its start and 1 its end: float32 [users, D]."""
        angle = self.config.drift * moment
        sine = np.sin(self.config.drift)
        if sine == 0:
            return self.tastes_first
        # Along the arc from the first to the last day's vectors.
        first = np.float32(np.sin(self.config.drift - angle) / sine)
        last = np.float32(np.sin(angle) / sine)
        return first * self.tastes_first + last * self.tastes_last

    def affinity(self, users: npt.NDArray[np.int64], moment: float) -> Floats:
        """True affinities of some users to all items: float32 [len(users), items]."""
        return self.tastes(moment)[users] @ (self.item_latents * self.scale()).T

    def scale(self) -> Floats:
        """Factor of each latent dimension in the affinity: float32 [D]."""
        parts = [np.full(block.width, np.sqrt(block.share / block.width)) for block in self.blocks]
        return np.concatenate(parts).astype(np.float32)

    def shown(self, modality: SignalModality, latents: Floats, *purpose: str | int) -> Floats:
        """What a modality shows of its latents: signal and noise, of unit variance.

        Args:
            modality: Whose signal applies.
            latents: float32 [n, d], of unit variance.
            *purpose: Names the noise, so that each use has its own.
        """
        share = self.config.signal_of(modality)
        rng = stream(self.config.seed, "noise", modality, *purpose)
        noise = rng.standard_normal(latents.shape, dtype=np.float32)
        return np.float32(np.sqrt(share)) * latents + np.float32(np.sqrt(1 - share)) * noise

    def shown_items(self, modality: SignalModality) -> Floats:
        """What a modality shows of each item: float32 [items, d]."""
        return self.shown(modality, self.item_latents[:, self.block(modality).columns], "items")

    def new_item(self, number: int) -> Floats:
        """Latents of a song that is in no catalogue: float32 [1, D]."""
        return self._latents(stream(self.config.seed, "new item", number), 1)

    def _latents(self, rng: np.random.Generator, count: int) -> Floats:
        width = sum(block.width for block in self.blocks if block.name != "product")
        plain = rng.standard_normal((count, width), dtype=np.float32)
        if self.blocks[-1].name != "product":
            return plain
        product = plain[:, self.block("text").columns] * plain[:, self.block("image").columns]
        return np.concatenate([plain, product], axis=1)


def _layout(config: SimulationConfig) -> tuple[Block, ...]:
    used = [block for block in _BLOCKS if block[0] != "video" or config.video > 0]
    total = sum(weight for _, _, weight in used)
    blocks, start = [], 0
    for name, width, weight in used:
        share = (1 - config.interaction) * weight / total
        blocks.append(Block(name, slice(start, start + width), share))
        start += width
    if config.interaction > 0:
        blocks.append(Block("product", slice(start, start + blocks[0].width), config.interaction))
    return tuple(blocks)
