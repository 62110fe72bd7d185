"""What is compared: configurations, and variants of them."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass

from tfrec.config.loading import load_config
from tfrec.config.model import ModelConfig
from tfrec.config.presets import find_model_config
from tfrec.errors import DescriptionError

__all__ = ["System", "read_systems"]


@dataclass(frozen=True)
class System:
    """One of the compared.

    Attributes:
        label: Its row in the table and its folder: the configuration's name and what varies.
        config: Its seed to be set.
    """

    label: str
    config: ModelConfig

    def seeded(self, seed: int) -> ModelConfig:
        """The configuration under a seed."""
        training = self.config.training.model_copy(update={"seed": seed})
        return self.config.model_copy(update={"training": training})


def read_systems(
    configs: Sequence[str], overrides: Sequence[str] = (), vary: Sequence[str] = ()
) -> list[System]:
    """Reads configurations; each is multiplied by what varies.

    Args:
        configs: Paths or names of shipped ones.
        overrides: KEY=VALUE, for all.
        vary: KEY=VALUE,VALUE,…; several make every combination.

    Returns:
        At least one, labels all different.

    Raises:
        DescriptionError: A configuration or an override is wrong, or two systems are the same.
    """
    choices = [_choices(text) for text in vary]
    found: dict[str, System] = {}
    for name in configs:
        path = find_model_config(name)
        for chosen in itertools.product(*choices):
            config = load_config(path, ModelConfig, [*overrides, *chosen])
            parts = [config.name, *(text.rpartition("=")[2] for text in chosen)]
            label = re.sub(r"[^A-Za-z0-9._-]+", "_", "-".join(parts))
            if label in found:
                raise DescriptionError(
                    name,
                    "what is compared has different names",
                    received=f"{label} twice",
                    remedy="Change `name` in one of the files",
                )
            found[label] = System(label, config)
    return list(found.values())


def _choices(text: str) -> list[str]:
    key, equals, values = text.partition("=")
    if not equals or not key or not all(values.split(",")):
        raise DescriptionError(
            f"--vary {text}",
            "what varies is written KEY=VALUE,VALUE",
            received=text,
            remedy="For example --vary item.fusion.type=gated,weighted",
        )
    return [f"{key}={value}" for value in values.split(",")]
