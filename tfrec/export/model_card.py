"""`model_card.md`: what a version is, what it was trained on, how good it was found to be."""

from __future__ import annotations

from tfrec import __version__
from tfrec.export.card_metrics import card_metrics
from tfrec.export.source import ServingSource
from tfrec.export.verify import Verification
from tfrec.training import Run

__all__ = ["model_card"]


def model_card(
    run: Run,
    source: ServingSource,
    index: str,
    verification: Verification,
    verdict: str,
    signatures: list[str],
) -> str:
    """The card's text, in Markdown.

    Args:
        run: The trained run.
        source: What the graph was built from.
        index: What finds the items, in one line.
        verification: What was proved about the version.
        verdict: Of the evaluation, one line.
        signatures: Their names.
    """
    manifest = run.manifest
    features = ", ".join(f"{s.name} ({s.modality})" for s in source.item_features) or "ids alone"
    rows = [
        ("data", f"{manifest.dataset.name}, fingerprint `{manifest.fingerprint}`"),
        ("catalogue", f"{manifest.items:,} items, {manifest.warm_items:,} with behaviour"),
        ("users", f"{manifest.users:,}"),
        ("events", ", ".join(f"{k} {v:,}" for k, v in manifest.events.items())),
        ("configuration", f"`{run.config.name}`, seed {run.config.training.seed}"),
        ("item features", features),
        ("vector width", str(run.model.dimension)),
        ("index", index),
        ("evaluation", verdict),
        ("largest difference from Keras", f"{verification.largest_difference:.1e}"),
        ("requests proved", f"{verification.requests} over {len(signatures)} signatures"),
        ("time of one `recommend`", f"{verification.milliseconds:.2f} ms where it was exported"),
        ("tfrec", __version__),
    ]
    table = "\n".join(f"| {name} | {value} |" for name, value in rows)
    return f"""# {source.name}

Recommends items to users by a query tower and an item tower; the score is their inner product.

| | |
|---|---|
{table}

## Metrics

{card_metrics(run.layout.root / "metrics.json")}

## Signatures

{", ".join(f"`{name}`" for name in signatures)}; `serving_default` is `recommend`.

## Limits

- Meant for ranking this catalogue for people; not for decisions about people.
- Histories of known users are those of the data; send `history` for what happened since.
- Items that the data doesn't hold can be embedded by `embed_item`, and not recommended until they
  are indexed.
- The metrics are of held-out behaviour in the data, not of an experiment with people.
"""
