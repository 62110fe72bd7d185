"""The gate: rules that a run must pass before it may be exported."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from tfrec.config import load_config
from tfrec.errors import DescriptionError, RunError
from tfrec.evaluation.figures import Check, Evaluation, Slice, Verdict

__all__ = ["GateConfig", "judge", "load_gate", "read_last", "write_verdict"]

MODEL = "model"
BLESSED = "BLESSED"
NOT_BLESSED = "NOT_BLESSED"


class GateConfig(BaseModel):
    """Thresholds, as a YAML file holds them.

    Attributes:
        better_than: Baselines that the model's primary metric must exceed over the whole catalogue;
            one that wasn't evaluated is passed over. `best` stands for whichever is best.
        significantly: Whether the paired interval against the best baseline must lie above 0.
        minimum: Least values by `METRIC` or `SLICE/METRIC`, for example `cold/recall@20: 0.1` or
            `coverage@10: 0.2`.
        maximum: Greatest values, likewise, for example `gini@10: 0.9`, `popularity_lift@10: 2`,
            `calibration_error@20: 0.01` or `latency_p95_ms: 50`.
        largest_drop: How much lower than the last blessed run's the primary metric may be in any
            slice; needs that run.
        least_users: Slices with fewer users are too noisy for `largest_drop` and are passed over.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    better_than: tuple[str, ...] = ("popularity",)
    significantly: bool = False
    minimum: dict[str, float] = Field(default_factory=dict)
    maximum: dict[str, float] = Field(default_factory=dict)
    largest_drop: float | None = Field(None, ge=0)
    least_users: int = Field(100, ge=1)


def load_gate(path: str | Path | None) -> GateConfig:
    """Reads thresholds; the default gate without a file.

    Raises:
        DescriptionError: The file is missing or breaks a rule.
    """
    return GateConfig() if path is None else load_config(path, GateConfig)


def judge(
    gate: GateConfig,
    slices: tuple[Slice, ...],
    catalogue: dict[str, dict[str, float | None]],
    primary: str,
    last: Evaluation | None = None,
) -> Verdict:
    """Applies the rules.

    Args:
        gate: The rules.
        slices: Of the evaluation; the first is the whole catalogue.
        catalogue: Figures over the catalogue, by system.
        primary: The metric that is compared.
        last: What the last blessed run had, for `largest_drop`.

    Returns:
        Blessed when every rule holds; the reason names the first that doesn't.

    Raises:
        DescriptionError: The gate looks at the last blessed run, and there is none.
        RunError: That run was evaluated on another part, or by another metric.
    """
    whole = slices[0]
    ours = whole.systems[MODEL].metrics[primary].value
    checks = []
    for name in gate.better_than:
        if name == "best":
            theirs = [
                system.metrics[primary].value
                for other, system in whole.systems.items()
                if other != MODEL
            ]
            bar = max((value for value in theirs if value is not None), default=None)
        elif name in whole.systems:
            bar = whole.systems[name].metrics[primary].value
        else:
            continue
        passed = ours is not None and (bar is None or ours > bar)
        label = "the best baseline" if name == "best" else name
        checks.append(
            Check(rule=f"{primary} above {label}", passed=passed, found=ours, required=bar)
        )
    if gate.significantly and whole.compared is not None:
        low = whole.compared.low
        rule = f"{primary} above {whole.compared.baseline} with 95 % confidence"
        checks.append(Check(rule=rule, passed=low > 0, found=low, required=0.0))
    for bounds, word, sign in ((gate.minimum, "least", 1), (gate.maximum, "most", -1)):
        for key, required in bounds.items():
            found = _find(key, slices, catalogue)
            passed = found is not None and sign * found >= sign * required
            checks.append(
                Check(rule=f"{key} at {word}", passed=passed, found=found, required=required)
            )
    if gate.largest_drop is not None:
        checks += _against_last(gate, gate.largest_drop, slices, primary, last)
    failed = [check for check in checks if not check.passed]
    if failed:
        first = failed[0]
        reason = f"{first.rule}: {_shown(first.found)} against {_shown(first.required)}"
        more = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
        return Verdict(blessed=False, reason=reason + more, checks=tuple(checks))
    told = "; ".join(
        f"{check.rule}: {_shown(check.found)} against {_shown(check.required)}" for check in checks
    )
    return Verdict(blessed=True, reason=told or "the gate has no rule", checks=tuple(checks))


def _against_last(
    gate: GateConfig,
    largest_drop: float,
    slices: tuple[Slice, ...],
    primary: str,
    last: Evaluation | None,
) -> list[Check]:
    if last is None:
        raise DescriptionError(
            "largest_drop",
            "it is measured against a blessed run",
            received="no such run",
            remedy="Name it with --last RUN, or take the rule out of the gate for a first run",
        )
    if last.primary != primary:
        raise RunError(
            "--last",
            f"the last blessed run must have been judged by {primary}",
            received=last.primary,
            remedy="Evaluate it again with the same --k",
        )
    checks = []
    for part in slices:
        before = last.slice(part.name)
        if before is None or part.users < gate.least_users or MODEL not in before.systems:
            continue
        old = before.systems[MODEL].metrics[primary].value
        new = part.systems[MODEL].metrics[primary].value
        if old is None:
            continue
        bar = old - largest_drop
        checks.append(
            Check(
                rule=f"{part.name}/{primary} no worse than the last blessed run's",
                passed=new is not None and new >= bar,
                found=new,
                required=bar,
            )
        )
    return checks


def read_last(run: str | Path, split: str) -> Evaluation:
    """The figures of the run that was blessed before.

    Args:
        run: Its directory.
        split: The part that must have been evaluated.

    Raises:
        RunError: It isn't blessed, its metrics.json is missing or damaged, or of another part.
    """
    root = Path(run)
    if not (root / BLESSED).is_file():
        raise RunError(
            str(root), "the last run must be a blessed one", received="no BLESSED in it",
            remedy="Name the run that is in production",
        )  # fmt: skip
    try:
        found = Evaluation.model_validate_json((root / "metrics.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunError(
            str(root / "metrics.json"), "the figures must be whole",
            received=type(error).__name__, remedy=f"Run `tfrec evaluate {root}` again",
        ) from error  # fmt: skip
    if found.split != split:
        raise RunError(
            str(root), f"the last run must have been evaluated on the {split} part",
            received=found.split, remedy=f"Run `tfrec evaluate {root} --split {split}`",
        )  # fmt: skip
    return found


def _find(
    key: str, slices: tuple[Slice, ...], catalogue: dict[str, dict[str, float | None]]
) -> float | None:
    where, slash, metric = key.rpartition("/")
    if not slash and metric in catalogue.get(MODEL, {}):
        return catalogue[MODEL][metric]
    for found in slices:
        if found.name == (where or slices[0].name) and metric in found.systems[MODEL].metrics:
            return found.systems[MODEL].metrics[metric].value
    # A slice that the data lacks can't pass: else a typing error would open the gate.
    return None


def _shown(value: float | None) -> str:
    return "no value" if value is None else f"{value:.4f}"


def write_verdict(run: str | Path, verdict: Verdict) -> Path:
    """Writes RUN/BLESSED or RUN/NOT_BLESSED, one line of reason in it, and removes the other."""
    root = Path(run)
    name, other = (BLESSED, NOT_BLESSED) if verdict.blessed else (NOT_BLESSED, BLESSED)
    # The old verdict goes first: between the two writes a run is rather not blessed than wrongly.
    (root / other).unlink(missing_ok=True)
    path = root / name
    path.write_text(verdict.reason + "\n", encoding="utf-8")
    return path
