"""Run the frozen encoders of all features, and reduce their vectors where that is asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from preprocessing.planning import Plan
from preprocessing.projecting import FitMoments, project_feature
from preprocessing.stages import Stages

__all__ = ["represent_features"]


def represent_features(
    stages: Stages,
    plan: Plan,
    hashes: Mapping[str, Sequence[bytes | None]],
    *,
    catalogue: Path,
    prepared: Sequence[tuple[int, Path]],
    items: int,
    work: Path,
    root: Path,
    cache: Path | None,
) -> dict[str, dict[str, Any]]:
    """Leaves `vectors-NAME.npy` and `index-NAME.npy` of each encoded feature in `work`.

    Args:
        stages: Runs the pipelines.
        plan: What is read.
        hashes: Of each item's content, by feature.
        catalogue: The validated items.
        prepared: First item and file of each run of prepared items.
        items: Catalogue size.
        work: Folder of what lies between the stages.
        root: The data directory, for fitted maps.
        cache: Folder with vectors of earlier runs.

    Returns:
        What the manifest tells of each feature.

    Raises:
        EncoderNotFoundError: A handle names nothing here.
        DataError: The train part doesn't allow the wanted reduction.
    """
    known: dict[str, dict[str, Any]] = {}
    for name, config in plan.encoded.items():
        # Loads TensorFlow and keras-hub, which data without encoders does without.
        from preprocessing.encoding import encode_feature

        encoder = encode_feature(
            stages,
            name,
            config,
            hashes[name],
            root=plan.root,
            catalogue=catalogue,
            prepared=prepared,
            work=work,
            cache=cache,
        )
        known[name] = {
            "encoded_dim": encoder.dimension,
            "encoder_fingerprint": encoder.fingerprint,
        }
        if config.reduce is None:
            continue
        starts = [start for start, _ in prepared]
        tasks = [
            FitMoments(
                key=f"items-{shard:05d}",
                start=start,
                stop=stop,
                index=work / f"index-{name}.npy",
                vectors=work / f"vectors-{name}.npy",
                trained=work / "trained.npy",
                prepared=path,
                label=config.reduce.label,
            )
            for shard, ((start, path), stop) in enumerate(
                zip(prepared, [*starts[1:], items], strict=True)
            )
        ]
        place = f"transforms/{name}.npz"
        vectors = work / f"vectors-{name}.npy"
        project_feature(stages, name, config.reduce, tasks, vectors, root / place)
        known[name] |= {"encoded_dim": config.reduce.dimension, "projection": place}
    return known
