"""A service with readers whose clicks have a known cause, so that every true effect is known.

Readers and items are those of `tfrec.simulate`: a reader likes an item by its affinity, and goes on
with it by `outcome_probabilities`. Each of a page's slots is filled from a shelf of its own. A
click in slot k of a reader's page number j, after m clicks further up the page, has probability

    (k + 1)^-position_bias * exp(-fatigue * j) * (1 - satiation)^m * attraction(reader, item)

position bias, fatigue from page to page, and satiation within one (what makes readers cascade).
A reader sees 1 + Poisson(activity) pages. A click keeps him 60 + 120 attraction seconds on average
(exponential), one in ten converts, one in four is followed by a comment of sentiment
2 attraction - 1 plus noise.

Worked through: attraction 1/2, third page, second slot, bias 1, fatigue 0.1, no click above it:
1/2 * exp(-0.2) * 1/2 = 0.205.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import pdtrc

from tfrec.simulate.behaviour import outcome_probabilities
from tfrec.simulate.config import SimulationConfig
from tfrec.simulate.streams import stream
from tfrec.simulate.vocabulary import EVENTS
from tfrec.simulate.world import World

__all__ = ["OnlineService", "Pages"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

# Pages a reader; 1 + Poisson(2) is over it once in 10^16.
MOST_PAGES = 25
CONVERTED, COMMENTED = 0.1, 0.25
SHORTEST, LONGER = 60.0, 120.0
NOISE = 0.3


@dataclass(frozen=True)
class Pages:
    """What readers were shown and did; parallel arrays of length R.

    Attributes:
        unit: int64 [R], place of the page's reader among those asked for.
        reader: int64 [R], his place in the world.
        turn: int64 [R], how many pages he had seen.
        choice: int64 [R, slots], place of the item on the slot's shelf.
        propensity: float64 [R, slots], with which the policy chose it.
        click: bool [R, slots].
        dwell: float64 [R, slots], seconds.
        converted: bool [R, slots].
        rated: bool [R, slots], whether a comment followed.
        sentiment: float64 [R, slots], of the comment; 0 without.
    """

    unit: Ints
    reader: Ints
    turn: Ints
    choice: Ints
    propensity: Floats
    click: npt.NDArray[np.bool_]
    dwell: Floats
    converted: npt.NDArray[np.bool_]
    rated: npt.NDArray[np.bool_]
    sentiment: Floats


class OnlineService:
    """Readers, shelves and the laws of their clicks.

    Args:
        readers: In the world.
        slots: Of a page.
        shelf: Items to choose from for a slot.
        position_bias: Exponent.
        fatigue: Rate by page.
        satiation: Share of the interest that a click takes from the rest of the page.
        activity: Mean pages after the first.
        seed: Of the world.

    Attributes:
        items: int64 [readers, slots, shelf], the catalogue's items on each shelf.
        affinity: float64 [readers, slots, shelf].
        attraction: float64 [readers, slots, shelf].
    """

    def __init__(
        self,
        *,
        readers: int = 300,
        slots: int = 3,
        shelf: int = 5,
        position_bias: float = 0.7,
        fatigue: float = 0.1,
        satiation: float = 0.0,
        activity: float = 2.0,
        seed: int = 0,
    ) -> None:
        self.slots, self.position_bias = slots, position_bias
        self.fatigue, self.satiation = fatigue, satiation
        # Enough items that `tfrec.simulate` accepts the service.
        catalogue = max(200, slots * shelf)
        world = World(SimulationConfig(items=catalogue, users=max(readers, 500), seed=seed))
        rng = stream(seed, "online", "shelves")
        order = rng.random((readers, catalogue)).argsort(axis=1)[:, : slots * shelf]
        self.items = order.reshape(readers, slots, shelf)
        whole = world.affinity(np.arange(readers), 1.0).astype(np.float64)
        self.affinity = whole[np.arange(readers)[:, None, None], self.items]
        skip = outcome_probabilities(self.affinity)[..., EVENTS.index("skip")]
        self.attraction = 1 - skip
        # Some readers come far more often than others, which is what makes their pages alike.
        self.activity = activity * stream(seed, "online", "activity").gamma(2.0, 0.5, readers)
        self.seed = seed

    @property
    def readers(self) -> int:
        """In the world."""
        return len(self.items)

    def policy(self, strength: float) -> Floats:
        """Softmax of strength times affinity: float64 [readers, slots, shelf].

        Args:
            strength: 0 draws at random; the greater, the more what the reader likes.
        """
        logit = strength * self.affinity
        weight = np.exp(logit - logit.max(axis=-1, keepdims=True))
        return np.asarray(weight / weight.sum(axis=-1, keepdims=True))

    def draw(self, policy: Floats, readers: Ints, rng: np.random.Generator) -> Pages:
        """Lets readers read.

        Args:
            policy: float64 [readers of the world, slots, shelf].
            readers: int64 [n], who, by place in the world; repeats are different people alike.
            rng: Of all draws.
        """
        count = np.minimum(1 + rng.poisson(self.activity[readers]), MOST_PAGES)
        unit = np.repeat(np.arange(len(readers)), count)
        turn = np.arange(len(unit)) - np.repeat(np.cumsum(count) - count, count)
        reader = readers[unit]
        edges = policy.cumsum(axis=-1)
        shape = (len(unit), self.slots)
        point = rng.random(shape)
        choice = (edges[reader] < point[..., None]).sum(axis=-1)
        choice = np.minimum(choice, policy.shape[-1] - 1)
        at = (reader[:, None], np.arange(self.slots), choice)
        attraction = self.attraction[at]
        chance = attraction * self._examined() * np.exp(-self.fatigue * turn)[:, None]
        click = np.zeros(shape, bool)
        luck = rng.random(shape)
        above = np.zeros(len(unit))
        for slot in range(self.slots):
            click[:, slot] = luck[:, slot] < chance[:, slot] * (1 - self.satiation) ** above
            above += click[:, slot]
        dwell = click * (SHORTEST + LONGER * attraction) * rng.standard_exponential(shape)
        rated = click & (rng.random(shape) < COMMENTED)
        sentiment = np.clip(2 * attraction - 1 + NOISE * rng.uniform(-1, 1, shape), -1, 1) * rated
        converted = click & (rng.random(shape) < CONVERTED)
        return Pages(
            unit, reader, turn, choice, policy[at], click, dwell, converted, rated, sentiment
        )

    def expected_clicks(self, policy: Floats) -> Floats:
        """Clicks expected on a reader's n-th page: float64 [readers, pages].

        Exact, by the distribution of the number of clicks further up.
        """
        mean = (policy * self.attraction).sum(axis=-1) * self._examined()
        tired = np.exp(-self.fatigue * np.arange(MOST_PAGES))
        clicks = np.zeros((self.readers, MOST_PAGES))
        above = np.zeros((self.slots + 1, self.readers, MOST_PAGES))
        above[0] = 1.0
        left = (1 - self.satiation) ** np.arange(self.slots + 1)
        for slot in range(self.slots):
            chance = mean[:, slot, None] * tired * left[:, None, None]
            clicked = above * chance
            clicks += clicked.sum(axis=0)
            above = above - clicked
            above[1:] += clicked[:-1]
        return clicks

    def true_value(self, policy: Floats) -> float:
        """Expected clicks a page under a policy."""
        seen = self._seen()
        return float((self.expected_clicks(policy) * seen).sum() / seen.sum())

    def true_metrics(self, policy: Floats) -> dict[str, float]:
        """The true online metrics under a policy, of a service without satiation."""
        assert self.satiation == 0, "with satiation only the clicks have a closed form"
        seen = self._seen()
        pages = seen.sum()
        tired = np.exp(-self.fatigue * np.arange(MOST_PAGES))
        chance = policy * self.attraction * self._examined()[:, None]
        weight = (seen * tired).sum(axis=1)[:, None, None] * chance
        converts = CONVERTED * chance.sum(axis=-1)[:, None] * tired[:, None]
        longer = SHORTEST + LONGER * self.attraction
        mood = _clipped_mean(2 * self.attraction - 1, NOISE)
        return {
            "click_through": float(weight.sum() / pages / self.slots),
            "conversion": float((seen * (1 - (1 - converts).prod(axis=-1))).sum() / pages),
            "dwell": float((weight * longer).sum() / pages),
            "satisfaction": float((weight * mood).sum() / weight.sum()),
            "requests": float(pages / self.readers),
        }

    def _examined(self) -> Floats:
        return np.asarray((np.arange(self.slots) + 1.0) ** -self.position_bias)

    def _seen(self) -> Floats:
        """Probability that a reader sees an n-th page: float64 [readers, pages]."""
        turn = np.arange(MOST_PAGES)
        later = pdtrc(np.maximum(turn - 1, 0), self.activity[:, None])
        return np.where(turn == 0, 1.0, later)


def _clipped_mean(middle: Floats, half: float) -> Floats:
    """Mean of a uniform variable within `half` of `middle`, clipped to -1 … 1."""

    def area(low: Floats, high: Floats) -> Floats:
        return (high**2 - low**2) / 2

    low, high = middle - half, middle + half
    inside = area(np.maximum(low, -1), np.minimum(high, 1))
    outside = np.maximum(high - 1, 0) - np.maximum(-1 - low, 0)
    return np.asarray((inside + outside) / (2 * half))
