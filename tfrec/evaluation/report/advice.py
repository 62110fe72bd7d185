"""What to try next, by rule: each looks at figures that the report shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tfrec.evaluation.figures import Evaluation, Slice
from tfrec.evaluation.gate import MODEL

__all__ = ["advise"]


def advise(found: Evaluation, history: Sequence[dict[str, Any]]) -> list[str]:
    """Suggestions, the most pressing first.

    Args:
        found: The figures.
        history: The training's epochs.

    Returns:
        Sentences; one that says so when no rule applies.
    """
    said = [*_against_baselines(found), *_cold(found), *_modalities(found)]
    said += [*_training(found, history), *_catalogue(found), *_certainty(found)]
    return said or ["No rule found anything amiss. Try it on people: an A/B test decides."]


def _against_baselines(found: Evaluation) -> list[str]:
    compared = found.slices[0].compared
    if compared is None or compared.value > 0:
        return []
    if compared.baseline in ("popularity", "recent popularity"):
        return [
            f"{compared.baseline} beats the model: check that the label rule marks what people"
            " want, and that timestamps are right; then train longer or with a lower learning rate"
            " (`--set optimizer.learning_rate=3e-4`)."
        ]
    if found.model == "multimodal":
        return [
            f"{compared.baseline} beats the model: a linear view of behaviour knows something that"
            " it doesn't. Search its settings on the validation part (`tfrec tune`), or train"
            " longer."
        ]
    return [
        f"{compared.baseline} beats the model: a linear view of behaviour knows something that it"
        " doesn't. Use the `multimodal` configuration, whose closed-form view starts from such a"
        " model, or raise `dimension`."
    ]


def _cold(found: Evaluation) -> list[str]:
    return [*_cold_quality(found), *_cold_places(found)]


def _cold_places(found: Evaluation) -> list[str]:
    wanted, share = found.slice("cold in all"), found.catalogue[MODEL].get("cold_share@10")
    if wanted is None or share is None:
        return []
    liked = wanted.relevant / found.slices[0].relevant
    if liked < 0.05 or share > liked / 5:
        return []
    return [
        f"New items get {share:.1%} of the places, and {liked:.0%} of what people went on to like"
        " was new: keep some places for them, ranked among themselves (`tfrec recommend"
        " --candidates`), until they have behaviour."
    ]


def _cold_quality(found: Evaluation) -> list[str]:
    cold = found.slice("cold")
    if cold is None:
        return []
    ours, chance = _value(cold, MODEL, found), _value(cold, "random", found)
    if ours is not None and chance is not None and ours < 2 * chance:
        return [
            "New items are ranked little better than by chance: give them content (text or pictures"
            " with an `encoder`), and raise `item.id_dropout` so that training relies on it."
        ]
    content = _value(cold, "content-kNN", found)
    if ours is not None and content is not None and ours < content:
        return [
            "Plain content neighbours place new items better than the model: raise"
            " `item.id_dropout`, or train on content alone (`--config content`) and compare."
        ]
    return []


def _modalities(found: Evaluation) -> list[str]:
    said = []
    for part in found.slices:
        if part.group != "modality" or not part.name.startswith("without "):
            continue
        name = part.name.removeprefix("without ")
        partner = found.slice(f"with {name}")
        if partner is None or part.users < 30:
            continue
        here, there = (slice_.systems[MODEL].metrics[found.primary] for slice_ in (part, partner))
        if here.high is not None and there.low is not None and here.high < there.low:
            said.append(
                f"Items without {name} are found clearly less often: fill it where it is missing,"
                " or raise `item.modality_dropout` so that the model learns to do without."
            )
    return said[:2]


def _training(found: Evaluation, history: Sequence[dict[str, Any]]) -> list[str]:
    metric = next((key for key in (history[0] if history else {}) if "@" in key), None)
    if metric is None or len(history) < 3:
        return []
    values = [epoch[metric] for epoch in history]
    best = values.index(max(values))
    if best == len(values) - 1:
        return [
            "The validation curve still rises at the last epoch: train longer"
            " (`--set training.epochs=…`)."
        ]
    if best <= 1 and len(values) > 4:
        return [
            "The best epoch came almost at once: lower `optimizer.learning_rate`, or add"
            " `optimizer.weight_decay`."
        ]
    return []


def _catalogue(found: Evaluation) -> list[str]:
    ours = found.catalogue[MODEL]
    coverage, lift = ours.get("coverage@10"), ours.get("popularity_lift@10")
    if coverage is not None and coverage < 0.05 and found.users * 10 > found.slices[0].candidates:
        return [
            f"Only {coverage:.1%} of the catalogue is ever shown in a top 10: check `loss.log_q`,"
            " which keeps popular items from crowding out the rest."
        ]
    if lift is not None and lift > 1:
        return [
            f"What is recommended is {1 + lift:.1f} times as popular as what people chose before:"
            " check `loss.log_q`, or re-rank for variety."
        ]
    return []


def _certainty(found: Evaluation) -> list[str]:
    compared = found.slices[0].compared
    if compared is None or not compared.low < 0 < compared.high or compared.detectable is None:
        return []
    return [
        f"The difference to {compared.baseline} could be chance: {found.slices[0].users:,} users"
        f" show one of {compared.detectable:.4f} or more. Evaluate more users, or several seeds."
    ]


def _value(part: Slice, system: str, found: Evaluation) -> float | None:
    figures = part.systems.get(system)
    return None if figures is None else figures.metrics[found.primary].value
