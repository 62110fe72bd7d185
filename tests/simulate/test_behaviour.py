"""Behaviour: in time order, skewed, driven by affinities, with songs that nobody has met."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.simulate.probe import read
from tfrec.simulate import SimulationConfig, SimulationSummary, simulate
from tfrec.simulate.behaviour import Behaviour, outcome_probabilities, simulate_behaviour
from tfrec.simulate.vocabulary import EVENTS
from tfrec.simulate.world import World

MIDDLE = SimulationConfig(items=400, users=500, seed=11)


@pytest.fixture(scope="module")
def behaviour() -> Behaviour:
    return simulate_behaviour(World(MIDDLE), lambda done, total: None)


def test_events_are_in_time_order_and_a_user_does_one_thing_at_a_time(
    behaviour: Behaviour,
) -> None:
    """A global-time split and a timeline need an order that is beyond doubt."""
    assert len(behaviour.item) == MIDDLE.event_count == 20_000
    assert (np.diff(behaviour.timestamp) >= 0).all()
    order = np.lexsort((behaviour.timestamp, behaviour.user))
    same = np.diff(behaviour.user[order]) == 0
    assert np.diff(behaviour.timestamp[order])[same].min() >= 40
    assert np.bincount(behaviour.user, minlength=500).min() >= 2


def test_nobody_hears_a_song_before_its_release(behaviour: Behaviour) -> None:
    assert (behaviour.timestamp >= behaviour.release[behaviour.item]).all()


@pytest.mark.parametrize("share", [0.0, 0.09, 0.25])
def test_the_promised_share_of_items_is_met_in_the_test_part_first(share: float) -> None:
    """Cold items: no event before the default split's test part, at least one in it."""
    config = MIDDLE.model_copy(update={"cold_fraction": share})
    world = World(config)
    behaviour = simulate_behaviour(world, lambda done, total: None)
    cut = behaviour.timestamp[int(0.9 * len(behaviour.item))]
    late = behaviour.timestamp >= cut
    before = np.bincount(behaviour.item[~late], minlength=400)
    after = np.bincount(behaviour.item[late], minlength=400)
    cold = behaviour.cold
    assert cold.sum() == round(share * 400)
    assert before[cold].sum() == 0
    assert (after[cold] > 0).all()
    # By chance another song may stay unheard; never more than one in a hundred.
    assert ((before == 0) & ~cold).sum() <= 4


def test_popularity_is_skewed(behaviour: Behaviour) -> None:
    """A tenth of the songs has at least a quarter of the plays, and hardly one has none."""
    count = np.sort(np.bincount(behaviour.item, minlength=400))[::-1]
    assert count[:40].sum() > 0.25 * count.sum()
    assert (count > 0).mean() > 0.98


def test_listeners_choose_what_suits_them(behaviour: Behaviour) -> None:
    """Over all pairs the affinity has mean 0 and variance 1; over the plays it is much higher."""
    world = World(MIDDLE)
    everything = world.affinity(np.arange(500), 0.5)
    assert everything.mean() == pytest.approx(0, abs=0.1)
    assert everything.std() == pytest.approx(1, abs=0.1)
    assert behaviour.affinity.mean() > 1


def test_a_play_ends_well_the_more_often_the_better_it_suits(behaviour: Behaviour) -> None:
    by_event = [behaviour.affinity[behaviour.event == place].mean() for place in range(4)]
    skip, like = by_event[EVENTS.index("skip")], by_event[EVENTS.index("like")]
    listen, share = by_event[EVENTS.index("listen")], by_event[EVENTS.index("share")]
    assert skip < listen < like and listen < share
    heard = [behaviour.seconds[behaviour.event == place] for place in range(4)]
    assert heard[EVENTS.index("skip")].max() <= 90
    assert heard[EVENTS.index("like")].min() >= 66
    assert outcome_probabilities(np.linspace(-4, 4, 9)).sum(axis=-1) == pytest.approx(1)


def test_tastes_turn_from_the_first_to_the_last_day() -> None:
    """By the documented angle: the cosine between both is cos(drift)."""
    world = World(MIDDLE.model_copy(update={"drift": 0.5}))
    first, last = world.tastes(0.0), world.tastes(1.0)
    np.testing.assert_allclose(first, world.tastes_first, atol=1e-6)
    np.testing.assert_allclose(last, world.tastes_last, atol=1e-6)
    cosine = (first * last).sum() / np.sqrt((first**2).sum() * (last**2).sum())
    assert cosine == pytest.approx(np.cos(0.5), abs=0.02)
    still = World(MIDDLE.model_copy(update={"drift": 0.0}))
    np.testing.assert_array_equal(still.tastes(0.0), still.tastes(1.0))


def test_a_product_of_two_modalities_can_be_what_drives_behaviour() -> None:
    """With `interaction` 1 neither text nor image alone tells anything of the affinity."""
    world = World(MIDDLE.model_copy(update={"interaction": 1.0}))
    affinity = world.affinity(np.arange(500), 1.0)
    text = world.item_latents[:, world.block("text").columns]
    image = world.item_latents[:, world.block("image").columns]
    taste = world.tastes_last[:, world.block("product").columns]
    by_hand = taste @ (text * image).T / np.sqrt(3)
    np.testing.assert_allclose(affinity, by_hand, atol=1e-4)


def test_more_listeners_than_fit_one_block_of_memory_change_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The draws don't depend on how many listeners are worked on at once."""
    config = SimulationConfig(items=60, users=80)
    whole = simulate_behaviour(World(config), lambda done, total: None)
    monkeypatch.setattr("tfrec.simulate.behaviour.PAIRS_AT_ONCE", 7 * 60)
    parts = simulate_behaviour(World(config), lambda done, total: None)
    np.testing.assert_array_equal(whole.item, parts.item)


def test_the_summary_tells_where_the_default_split_cuts(
    tiny: SimulationSummary, tiny_folder: Path
) -> None:
    times = [int(row["timestamp"]) for row in read(tiny_folder / "interactions.csv")]
    assert times == sorted(times)
    assert tiny.test_from == times[864] and tiny.validation_from == times[768]


def test_a_comment_follows_its_play_before_the_listeners_next(
    tiny_folder: Path,
) -> None:
    """So that the sentiment can be joined to the event without looking ahead."""
    events = read(tiny_folder / "interactions.csv")
    for comment in read(tiny_folder / "comments.csv"):
        own = [row for row in events if row["user_id"] == comment["user_id"]]
        before = [row for row in own if int(row["timestamp"]) < int(comment["timestamp"])]
        assert before[-1]["item_id"] == comment["item_id"]


def test_a_service_can_be_small_and_crowded(tmp_path: Path) -> None:
    """At the bounds of what is accepted songs may run out; then earlier ones are repeated."""
    config = SimulationConfig(items=20, users=50, events=200)
    assert simulate(tmp_path / "s", config).events == 200
