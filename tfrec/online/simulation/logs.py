"""Writes the event log of a simulated service, with an experiment in it and the truth beside it.

::

    OUT/before.jsonl       a week under the live policy
    OUT/during.jsonl       a week of the experiment `ranker`: control as before, treatment bolder
    OUT/exposures.jsonl    who was exposed to which variant
    OUT/experiment.yaml    for `tfrec online OUT --experiment OUT/experiment.yaml`
    OUT/truth.json         the true metrics of both variants, and the true value of policy `bold`

Every impression names the propensities of what it shows under its own policy and under `bold`, a
policy that was never live.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import yaml

from tfrec.errors import DataError
from tfrec.online.experiments.assignment import assign
from tfrec.online.experiments.config import ExperimentConfig
from tfrec.online.simulation.service import OnlineService, Pages
from tfrec.simulate.streams import stream

__all__ = ["LIVE", "write_logs"]

Floats = npt.NDArray[np.float64]

# Strength of the policies: what is live, the experiment's treatment, what was never live.
LIVE, TREATMENT, BOLD = 0.3, 0.8, 1.2
WEEK = 7 * 86_400
START = 1_767_571_200  # 2026-01-05T00:00:00Z, a Monday


def write_logs(out: str | Path, users: int, seed: int = 0) -> dict[str, Any]:
    """Simulates two weeks.

    Args:
        out: A new folder.
        users: Who come in either week.
        seed: Of everything.

    Returns:
        The truth, as in truth.json.

    Raises:
        DataError: The folder exists or can't be made.
    """
    folder = Path(out)
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise DataError(
            str(out),
            "a simulated log needs a new folder",
            received=error.strerror,
            remedy="Name another",
        ) from error
    service = OnlineService(seed=seed)
    live, treated, bold = map(service.policy, (LIVE, TREATMENT, BOLD))
    rng = stream(seed, "online", "logs")
    readers = rng.integers(0, service.readers, users)
    test = ExperimentConfig.model_validate(
        {
            "name": "ranker",
            "start": "2026-01-05T00:00:00Z",
            "guardrails": [{"metric": "latency", "worst": 0.05}],
        }
    )
    names = [f"user-{number:06d}" for number in range(users)]
    variants = [assign(test, name) for name in names]
    chosen = np.array([variant == "treatment" for variant in variants])
    before = service.draw(live, readers, rng)
    _write(folder / "before.jsonl", _events(service, before, live, bold, names, START - WEEK, rng))
    during = []
    exposures = []
    for policy, mask in ((live, ~chosen), (treated, chosen)):
        whose = np.flatnonzero(mask)
        pages = service.draw(policy, readers[whose], rng)
        own = [names[number] for number in whose]
        events = list(_events(service, pages, policy, bold, own, START, rng))
        during += events
        first: dict[str, float] = {}
        for event in events:
            if event["type"] == "impression":
                first.setdefault(event["user_id"], event["timestamp"])
        exposures += [
            {
                "type": "exposure",
                "experiment": test.name,
                "variant": variants[whose[number]],
                "user_id": name,
                "timestamp": first[name],
            }
            for number, name in enumerate(own)
        ]
    _write(folder / "during.jsonl", sorted(during, key=lambda event: event["timestamp"]))
    _write(folder / "exposures.jsonl", sorted(exposures, key=lambda event: event["timestamp"]))
    given = test.model_dump(mode="json", exclude_unset=True)
    (folder / "experiment.yaml").write_text(yaml.safe_dump(given, sort_keys=False), "utf-8")
    truth = {
        "control": service.true_metrics(live),
        "treatment": service.true_metrics(treated),
        "bold": service.true_value(bold),
    }
    (folder / "truth.json").write_text(json.dumps(truth, indent=1) + "\n", "utf-8")
    return truth


def _write(path: Path, events: Any) -> None:
    with path.open("w", encoding="utf-8") as file:
        for event in events:
            file.write(json.dumps(event, separators=(",", ":")) + "\n")


def _events(
    service: OnlineService,
    pages: Pages,
    policy: Floats,
    bold: Floats,
    names: list[str],
    start: float,
    rng: np.random.Generator,
) -> Iterator[dict[str, Any]]:
    """Impressions, each followed by its feedback."""
    at = (pages.reader[:, None], np.arange(service.slots), pages.choice)
    items = service.items[at]
    # A prediction that knows readers and items, but nothing of fatigue.
    guess = 0.8 * service.attraction * (np.arange(service.slots)[:, None] + 1.0) ** -0.7
    shown, under_bold = guess[at], (bold * guess).sum(axis=-1)[pages.reader]
    propensity, of_bold = policy[at], bold[at]
    # Within a day of the week that is the page's turn, so that pages stay in order.
    when = start + (pages.turn + rng.random(len(pages.turn))) * WEEK / 26
    latency = rng.gamma(16, 2.0, len(when))
    for page, reader in enumerate(pages.unit):
        request = f"{int(start):x}-{names[reader]}-{pages.turn[page]}"
        moment = round(float(when[page]), 3)
        ids = [f"song-{item}" for item in items[page]]
        yield {
            "type": "impression",
            "request_id": request,
            "user_id": names[reader],
            "timestamp": moment,
            "items": ids,
            "propensities": propensity[page].round(9).tolist(),
            "expected_rewards": shown[page].round(6).tolist(),
            "targets": {
                "bold": {
                    "propensities": of_bold[page].round(9).tolist(),
                    "expected_rewards": under_bold[page].round(6).tolist(),
                }
            },
            "latency_ms": round(float(latency[page]), 2),
        }
        for slot in np.flatnonzero(pages.click[page]):
            common = {"type": "feedback", "request_id": request, "item": ids[slot]}
            stay = float(pages.dwell[page, slot])
            yield {**common, "timestamp": moment + 2, "event": "click"}
            end = round(moment + 2 + stay, 3)
            yield {**common, "timestamp": end, "event": "dwell", "value": round(stay, 2)}
            if pages.converted[page, slot]:
                yield {**common, "timestamp": end, "event": "conversion"}
            if pages.rated[page, slot]:
                mood = round(float(pages.sentiment[page, slot]), 4)
                yield {**common, "timestamp": end + 60, "event": "satisfaction", "value": mood}
