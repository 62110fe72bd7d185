"""The two optimizers of a training, from its configuration."""

from __future__ import annotations

from typing import Any

import keras

from tfrec.config.model import ModelConfig
from tfrec.optimizers import AveragedAdamW, RowOptimizer, WarmupSchedule, build_row_optimizer

__all__ = ["build_optimizers"]


def build_optimizers(
    config: ModelConfig, steps_per_epoch: int, *, static_shapes: bool = False
) -> tuple[RowOptimizer, Any]:
    """Builds the optimizer of embedding tables and that of all other weights.

    Args:
        config: Resolved.
        steps_per_epoch: By which the schedule's shares become steps.
        static_shapes: Whether steps are compiled, as they always are on a TPU.

    Returns:
        Both, unbuilt.
    """
    optimizer, training = config.optimizer, config.training
    steps = steps_per_epoch * int(training.epochs or 1)

    def rate(peak: float) -> Any:
        if optimizer.schedule == "constant" and not optimizer.warmup:
            return peak
        return WarmupSchedule(
            peak,
            steps=steps,
            warmup_steps=int(steps * optimizer.warmup),
            cosine=optimizer.schedule == "cosine",
        )

    sparse = build_row_optimizer(
        optimizer.embedding or "adam",
        rate(optimizer.embedding_learning_rate or optimizer.learning_rate),
        row_weight_decay=optimizer.weight_decay,
        clipnorm=optimizer.clip_norm,
        static_shapes=static_shapes or training.jit_compile,
        average=optimizer.average,
    )
    dense: Any = AveragedAdamW(
        rate(optimizer.learning_rate),
        weight_decay=optimizer.weight_decay,
        clipnorm=optimizer.clip_norm,
        average=optimizer.average,
    )
    # It is no weight of a layer: to decay it would pull the temperature to 1.
    dense.exclude_from_weight_decay(var_names=["log_temperature"])
    if training.mixed_precision == "mixed_float16":
        dense = keras.optimizers.LossScaleOptimizer(dense)
    return sparse, dense
