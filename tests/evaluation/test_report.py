"""The report says what the figures say, in one file that any browser and reader can take."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from tests.baselines.cases import item_table, timelines
from tfrec.evaluation import HeldOut, ItemMedia, evaluate, measure_contributions, rank_vectors
from tfrec.evaluation.report import advise, report
from tfrec.evaluation.report.in_short import in_short
from tfrec.evaluation.report.style import CSS

# 12 users, each of two tastes; items 0 … 9 are known, 8 and 9 by another
# user; the others are new. What comes last in the model's lists is missed.
TRAIN = timelines(
    [(u, 2 * n + u % 2, n) for u in range(12) for n in range(4)] + [(12, 8, 1), (12, 9, 1)]
)
TEST = timelines([(u, 8 + u % 2, 9) for u in range(12)] + [(u, 70 + u % 2, 9) for u in range(12)])
ITEMS = item_table(80, TRAIN, encoded={"cover": np.eye(80, dtype=np.float32)})
HISTORY = [{"epoch": n, "loss": 3.0 - n / 10, "ndcg@20": 0.1 * n} for n in (1, 2, 3)]
VOID = {"meta", "img", "br", "input", "hr"}
KNOWN = np.repeat(np.eye(2, dtype=np.float32)[None], 40, axis=0).reshape(80, 2)
TASTE = np.eye(2, dtype=np.float32)[np.arange(12) % 2]


@pytest.fixture(scope="module")
def question() -> HeldOut:
    return HeldOut.build("test", ITEMS, TRAIN, TRAIN, TEST)


def evaluated(question, **options):
    """A model that knows each user's taste, beside chance and beside one order for all."""
    rng = np.random.default_rng(0)
    noise = rng.random((12, 3)).astype(np.float32)
    rankings = [
        rank_vectors("model", TASTE, KNOWN, question),
        replace(rank_vectors("random", noise, rng.random((80, 3)).astype(np.float32), question),
                scores=None),
        rank_vectors("popularity", np.ones((12, 1), np.float32),
                     np.arange(80, 0, -1, dtype=np.float32)[:, None], question),
    ]  # fmt: skip
    parts = {"behaviour": KNOWN, "cover": np.zeros_like(KNOWN)}
    found = evaluate(
        question,
        rankings,
        model="<multi> & modal",
        data="d",
        fingerprint="f",
        contributions=measure_contributions(question, TASTE, KNOWN, parts, "ndcg@20"),
        latency={"latency_ms": 2.0, "latency_p95_ms": 3.0},
        **options,
    )
    return found, rankings


def media():
    names = np.array([f"<b>song {n}</b>" for n in range(80)], object)
    pictures = np.full((80, 8, 8, 3), 90, np.uint8)
    return ItemMedia(names, pictures, {"cover": np.arange(80) != 3}, "cover")


class Balanced(HTMLParser):
    """Every element that is opened is closed, in order."""

    def __init__(self):
        super().__init__()
        self.open, self.headings = [], []

    def handle_starttag(self, tag, attrs):
        if tag not in VOID:
            self.open.append(tag)
        if tag == "img":
            assert "alt" in dict(attrs)
        if tag == "svg":
            assert dict(attrs)["role"] == "img" and dict(attrs)["aria-label"]

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == "h2":
            self.headings.append(data)


def test_the_page_holds_every_section_whole_and_alone(question):
    """All that issue and docs promise; nothing from elsewhere, no script, names escaped."""
    found, rankings = evaluated(question)
    text = report(found, question, rankings, media(), HISTORY)
    page = Balanced()
    page.feed(text)
    assert page.open == []
    assert page.headings == [
        "Against the baselines", "New items", "Items with behaviour", "Training",
        "Where it is good, and where not", "What each modality adds", "Examples", "Worst misses",
        "Popularity bias", "Can a score be read as a chance?", "What to try next",
    ]  # fmt: skip
    assert "<script" not in text and not re.search(r'(?:src|href)="(?!data:)', text)
    assert "http" not in text and "<b>song" not in text and "&lt;multi&gt; &amp; modal" in text
    assert text.count("data:image/jpeg") > 10 and 'lang="en"' in text and "<title>" in text


def test_what_was_not_measured_has_no_section(question):
    """No curve without a history, no modalities without parts."""
    found, rankings = evaluated(question)
    found = found.model_copy(update={"contributions": (), "calibration": None})
    text = report(found, question, rankings, media(), [])
    for title in ("Training", "What each modality adds", "Can a score be read as a chance?"):
        assert f"<h2>{title}</h2>" not in text


def test_a_modality_adds_what_is_lost_without_it(question):
    """Without behaviour all scores are equal, and lists are by index; a cover of zeros adds 0."""
    found, _ = evaluated(question)
    behaviour, cover = found.contributions
    whole = found.value("model", "ndcg@20")
    assert (behaviour.name, cover.name) == ("behaviour", "cover")
    equal = rank_vectors("model", TASTE, np.zeros_like(KNOWN), question)
    flat = evaluate(question, [equal], model="m", data="d", fingerprint="f")
    assert behaviour.without == pytest.approx(flat.value("model", "ndcg@20"))
    assert behaviour.lost == pytest.approx(whole - behaviour.without)
    assert behaviour.low > 0 and (cover.lost, cover.low, cover.high) == (0, 0, 0)


def test_sentences_are_those_of_the_figures(question):
    """By hand: all find something among 12 items; 2 of the 4 relevant items are new."""
    found, _ = evaluated(question)
    said = in_short(found, "sleep on it.")
    assert said[0].startswith("Of 100 people, 100 find something they go on to like among 20; with")
    assert "50% of what people went on to like was new" in said[1]
    assert said[-1] == "Try first: sleep on it."


def test_new_items_without_places_are_told(question):
    """The rule of advice fires on its figures, and not when the places are there."""
    found, _ = evaluated(question)

    def with_share(share):
        catalogue = {**found.catalogue, "model": {**found.catalogue["model"],
                                                  "cold_share@10": share}}  # fmt: skip
        return advise(found.model_copy(update={"catalogue": catalogue}), HISTORY)

    assert any("keep some places for them" in line for line in with_share(0.0))
    assert not any("keep some places for them" in line for line in with_share(0.3))


def luminance(colour):
    parts = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))


@pytest.mark.parametrize("scheme", [0, 1])
@pytest.mark.parametrize(
    ("front", "back", "least"),
    [("ink", "card", 7), ("soft", "card", 4.5), ("soft", "page", 4.5), ("model", "card", 4.5),
     ("good", "card", 4.5), ("bad", "card", 4.5), ("hit-line", "hit", 4.5), ("loss", "card", 4.5),
     ("ink", "hit", 7), ("soft", "hit", 4.5), ("other", "card", 3)],
)  # fmt: skip
def test_colours_can_be_read_in_light_and_dark(scheme, front, back, least):
    """WCAG 2.2: 4.5 to 1 for text, 3 to 1 for lines and bars."""
    blocks = re.findall(r":root \{([^}]*)\}", CSS)
    colours = dict(re.findall(r"--([\w-]+):(#\w{6})", blocks[scheme]))
    one, two = luminance(colours[front]), luminance(colours[back])
    assert (max(one, two) + 0.05) / (min(one, two) + 0.05) >= least
