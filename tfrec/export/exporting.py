"""From a run directory to a published version: build, prove, write the card, put in place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tfrec.errors import ExportError
from tfrec.export.archive import write_saved_model
from tfrec.export.catalogue_file import CatalogueFile
from tfrec.export.from_run import serving_source
from tfrec.export.gallery import write_gallery
from tfrec.export.index_choice import IndexOptions, choose_index
from tfrec.export.model_card import model_card
from tfrec.export.publish import publishing
from tfrec.export.serving_graph import ServingGraph
from tfrec.export.source import ServingSource
from tfrec.export.titles import title_feature
from tfrec.export.verify import Verification, verify_saved_model
from tfrec.export.warmup import sample_requests, write_warmup
from tfrec.index import Index
from tfrec.training import Run, load_run

__all__ = ["Export", "export_run"]

PICTURES = 5_000
_EXPLANATION_BYTES = 1_000_000_000
_SEARCH_BYTES = 1_000_000_000


@dataclass(frozen=True)
class Export:
    """A published version.

    Attributes:
        path: `MODELS/NAME/VERSION`.
        version: Its number.
        verification: What was proved before it was published.
        signatures: Names, `recommend` first.
        index: What finds the items, and how much of them, in one line.
    """

    path: Path
    version: int
    verification: Verification
    signatures: tuple[str, ...]
    index: str


def export_run(
    run: str | Path,
    model: str | Path,
    *,
    version: int | None = None,
    data: str | Path | None = None,
    force: bool = False,
    index: IndexOptions | None = None,
    explain: bool | None = None,
    pictures: int = PICTURES,
    key: bytes | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Export:
    """Publishes a run.

    Args:
        run: The run directory.
        model: `MODELS/NAME`.
        version: The version's number; the next one unless given.
        data: The prepared data, when it isn't where it was at training.
        force: Publishes also a run that was not blessed.
        index: What finds the items; exact for a small catalogue unless given.
        explain: Whether scores can be explained, which keeps each item's vector once for each part
            of it; unless given, where that takes at most 1 GB.
        pictures: Small pictures of at most so many items, for `tfrec serve --ui`.
        key: Signs the manifest of its files.
        say: Takes a line on each step.

    Raises:
        ExportError: The run isn't blessed, or the export fails a proof; nothing was published.
        DescriptionError: The index that is wanted can't reach the recall that is wanted.
        RunError: The run is missing or unfinished.
    """
    model = Path(model)
    verdict = _verdict(Path(run), force)
    trained = load_run(run, data=data)
    if explain is None:
        parts = len(trained.manifest.item_features) + 2
        size = 4 * trained.manifest.items * parts * trained.model.dimension
        explain = size <= _EXPLANATION_BYTES
        if not explain:
            say(f"no `explain`: it would take {size / 1e9:.1f} GB; insist by --explain")
    source = serving_source(trained, model.name, explain=explain, search=_may_search(trained, say))
    chosen = choose_index(source, index or IndexOptions(), say)
    graph = ServingGraph(source, chosen.index)
    requests = sample_requests(source)
    with publishing(model, version, key=key) as (number, folder):
        layers = [trained.model, *source.encoders.values()]
        write_saved_model(graph, folder, layers)
        say("graph written; proving it in a TF1-style session")
        verification = verify_saved_model(
            folder, source, requests, exact=chosen.tuning is None, error=chosen.index.error
        )
        write_warmup(folder, model.name, requests)
        _catalogue_file(trained, source, chosen.index).write(folder)
        write_gallery(trained, source, folder, pictures)
        signatures = list(graph.endpoints)
        card = model_card(trained, source, chosen.summary, verification, verdict, signatures)
        (folder / "model_card.md").write_text(card, encoding="utf-8")
    return Export(model / str(number), number, verification, tuple(signatures), chosen.summary)


def _catalogue_file(run: Run, source: ServingSource, index: Index) -> CatalogueFile:
    specs = run.manifest.item_features
    return CatalogueFile.of(
        source,
        index,
        id_column=run.manifest.dataset.items.id,
        features={spec.name: spec.config for spec in specs},
        title=title_feature(specs),
    )


def _may_search(run: Run, say: Callable[[str], None]) -> bool:
    """Every item is compared with a query, which is for catalogues up to some hundred thousands."""
    texts = [spec for spec in run.manifest.item_features if spec.modality == "text"]
    widths = [spec.encoded_dim or 0 for spec in texts]
    # The title, and each text.
    size = run.manifest.items * sum((*widths, max(widths, default=0)))
    if size > _SEARCH_BYTES:
        say(f"no `search`: vectors of texts would take {size / 1e9:.1f} GB in 8 bits")
    return size <= _SEARCH_BYTES


def _verdict(run: Path, force: bool) -> str:
    blessed, refused = run / "BLESSED", run / "NOT_BLESSED"
    if blessed.is_file():
        return f"blessed: {blessed.read_text(encoding='utf-8').strip()}"
    reason = "it was not evaluated"
    if refused.is_file():
        reason = refused.read_text(encoding="utf-8").strip() or "no reason given"
    if not force:
        raise ExportError(
            str(run),
            "only a blessed run is exported",
            received=f"not blessed: {reason}",
            remedy="Run `tfrec evaluate` on it first, improve it, or insist by --force",
        )
    return f"not blessed ({reason}); exported by --force"
