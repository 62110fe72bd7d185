"""The model configuration (`configs/models/*.yaml`): towers, fusion, loss, optimizer, loop.

Each default is stated once, here. A default of `None` is chosen from the manifest's counts when
training starts, printed, and saved resolved in `RUN/config.yaml`.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = [
    "Component",
    "ItemTowerConfig",
    "LossConfig",
    "ModelConfig",
    "OptimizerConfig",
    "QueryTowerConfig",
    "TrainingConfig",
]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Component(BaseModel):
    """A registered class by name, and the keyword arguments that build it.

    Written `{type: gated, dropout: 0.1}`; the options are checked against the class's signature
    when it is created, so that a third party's component has typed options too.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    type: str

    @property
    def options(self) -> dict[str, Any]:
        """Everything but `type`."""
        return dict(self.model_extra or {})


class ItemTowerConfig(_Frozen):
    """The candidate tower.

    Attributes:
        use_id: Whether the item's id is one of the fused modalities.
        features: Names of item features that are used; `None` uses all that the data has.
        towers: Tower by feature name or by modality; a feature's own entry wins.
        fusion: How the modalities' vectors become one.
        id_dropout: Share of training items whose id is hidden, so that content alone learns to
            place an item that nobody has met (DropoutNet, Volkovs et al. 2017).
        modality_dropout: Chance that a present modality is hidden in a training step.
    """

    use_id: bool = True
    features: tuple[str, ...] | None = None
    towers: dict[str, Component] = Field(default_factory=dict)
    fusion: Component = Component(type="gated")
    id_dropout: float = Field(0.1, ge=0, lt=1)
    modality_dropout: float = Field(0.0, ge=0, lt=1)


class QueryTowerConfig(_Frozen):
    """The query tower.

    Attributes:
        use_id: Whether the user's id has an embedding.
        history: Encoder of the ordered history; `None` leaves it out.
        history_length: Most recent events that are read.
        profile, context: Whether profile and context features are used.
    """

    use_id: bool = False
    history: Component | None = Component(type="mean")
    history_length: int = Field(50, ge=1, le=4096)
    profile: bool = True
    context: bool = True


class LossConfig(_Frozen):
    """In-batch sampled softmax and its corrections."""

    temperature: float = Field(0.1, gt=0)
    normalize: bool = True
    log_q: bool = True
    remove_accidental_hits: bool = True


class OptimizerConfig(_Frozen):
    """Optimizer of dense variables and of embedding tables."""

    learning_rate: float = Field(1e-3, gt=0)
    embedding_learning_rate: float | None = Field(None, gt=0)
    weight_decay: float = Field(0.0, ge=0)
    clip_norm: float | None = Field(None, gt=0)


class TrainingConfig(_Frozen):
    """The loop."""

    batch_size: int | None = Field(None, ge=2)
    epochs: int | None = Field(None, ge=1)
    patience: int = Field(3, ge=1)
    seed: int = Field(0, ge=0)
    monitor: str = "ndcg@20"
    jit_compile: bool = False
    mixed_precision: Literal["none", "mixed_bfloat16", "mixed_float16"] = "none"


class ModelConfig(_Frozen):
    """A whole model configuration."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    dimension: int | None = Field(None, ge=2, le=4096)
    item: ItemTowerConfig = ItemTowerConfig()
    query: QueryTowerConfig = QueryTowerConfig()
    loss: LossConfig = LossConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    training: TrainingConfig = TrainingConfig()
