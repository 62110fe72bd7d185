"""The model and dataset files that tfrec ships: `configs/`, also inside an installed wheel."""

from __future__ import annotations

from pathlib import Path

from tfrec.errors import DescriptionError

__all__ = ["DEFAULT_MODEL", "find_dataset_config", "find_model_config"]

DEFAULT_MODEL = "multimodal"


def find_model_config(name_or_path: str) -> Path:
    """Finds a model configuration by path, or by the name of a shipped one.

    Args:
        name_or_path: `my/model.yaml`, or `ids`, `content`, `multimodal`, `sequence`, `large`,
            `pointwise`, `matrix-factorization`, `lightgcn`.

    Raises:
        DescriptionError: Neither exists; the message lists the shipped names.
    """
    return _find(name_or_path, "models")


def find_dataset_config(name_or_path: str) -> Path:
    """Finds a dataset description by path, or by the name of a shipped one.

    Args:
        name_or_path: `my/dataset.yaml`, or `music-simulated`, `movielens-small`.

    Raises:
        DescriptionError: Neither exists; the message lists the shipped names.
    """
    return _find(name_or_path, "datasets")


def _find(name_or_path: str, kind: str) -> Path:
    path = Path(name_or_path)
    if path.suffix in (".yaml", ".yml") or path.is_file():
        return path
    here = Path(__file__).resolve()
    # A checkout keeps them at its top; a wheel carries them as `tfrec/configs`.
    folders = [here.parents[2] / "configs" / kind, here.parents[1] / "configs" / kind]
    for folder in folders:
        candidate = folder / f"{name_or_path}.yaml"
        if candidate.is_file():
            return candidate
    known = sorted({file.stem for folder in folders for file in folder.glob("*.yaml")})
    raise DescriptionError(
        f"--config {name_or_path}" if kind == "models" else name_or_path,
        "a configuration is a YAML file or the name of a shipped one",
        received=name_or_path,
        remedy=f"Shipped: {', '.join(known)}",
    )
