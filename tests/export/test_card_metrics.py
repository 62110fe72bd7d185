"""The card says what metrics.json says."""

from __future__ import annotations

from pathlib import Path

from tests.evaluation.test_gate import CATALOGUE, evaluation, part
from tfrec.evaluation.figures import Contribution
from tfrec.export.card_metrics import card_metrics


def test_the_card_holds_each_slice_beside_the_best_baseline(tmp_path: Path) -> None:
    """Figures, the difference with its interval, spread, modalities, and the gate."""
    found = evaluation(
        (part("all", model=0.3, popularity=0.2, knn=0.29), part("odd", model=0.1, knn=0.2))
    )
    added = Contribution(name="cover", without=0.2, lost=0.1, low=0.05, high=0.15)
    path = tmp_path / "metrics.json"
    path.write_text(found.model_copy(update={"contributions": (added,)}).model_dump_json())
    text = card_metrics(path)
    assert "| all | 9 | 0.3000 | knn 0.2900 | +0.0100 [-0.0100, +0.0300] |" in text
    assert "| odd | 9 | 0.1000 | knn 0.2000 |" in text
    assert f"in anyone's top 10: {CATALOGUE['model']['coverage@10']:.3f}" in text
    assert "each modality adds: cover +0.1000" in text
    assert "gate, passed: ndcg@20 above popularity: 0.3000 against 0.2000" in text


def test_a_run_without_readable_figures_is_told(tmp_path: Path) -> None:
    """An export may be forced; the card then says so."""
    path = tmp_path / "metrics.json"
    assert card_metrics(path) == "The run was not evaluated."
    path.write_text("{}")
    assert "evaluate it again" in card_metrics(path)
