"""A training's figures for Weights & Biases; an extra, loaded when it is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tfrec.config.model import ModelConfig
from tfrec.errors import DescriptionError

__all__ = ["WandbLog"]


class WandbLog:
    """A run of Weights & Biases, open within a `with` block.

    `WANDB_MODE=offline` keeps it in the folder, without an account or a network; `wandb sync` sends
    it later.

    Args:
        project: Its name there.
        folder: Where `wandb/` is made.
        config: What is trained.

    Raises:
        DescriptionError: wandb isn't installed.
    """

    def __init__(self, project: str, folder: Path, config: ModelConfig) -> None:
        try:
            import wandb
        except ImportError as error:
            raise DescriptionError(
                "--wandb",
                "it needs Weights & Biases' client",
                received="no module wandb",
                remedy="pip install 'tfrec[wandb]'",
            ) from error
        folder.mkdir(parents=True, exist_ok=True)
        self._service: Any = wandb
        self._run: Any = wandb.init(
            project=project,
            name=folder.name,
            dir=str(folder),
            config=config.model_dump(mode="json"),
            settings=wandb.Settings(silent=True),
        )

    def write(self, row: Mapping[str, Any]) -> None:
        """Logs an epoch's row of the history."""
        values = {name: value for name, value in row.items() if name != "epoch"}
        self._run.log(values, step=int(row["epoch"]))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._run.finish(exit_code=0 if error is None else 1)
        # The log is another process', which on a busy machine still wrote it after `finish`.
        self._service.teardown()
