"""Options of a resolved configuration that contradict each other, told before anything is read."""

from __future__ import annotations

from tfrec.config.model import ModelConfig
from tfrec.errors import DescriptionError
from tfrec.model import build_model
from tfrec.schema import Manifest
from tfrec.training.defaults import resolve

__all__ = ["check_fit", "check_options"]


def check_fit(config: ModelConfig, manifest: Manifest) -> None:
    """Refuses a configuration that asks for what the data hasn't, before anything is written.

    Args:
        config: As it was read.
        manifest: Of prepared data.

    Raises:
        DescriptionError: One line on the first that is wrong.
    """
    resolved, _ = resolve(config, manifest)
    check_options(resolved)
    build_model(resolved, manifest)


def check_options(config: ModelConfig, replicas: int = 1) -> None:
    """Refuses an option that would do nothing, or a batch that can't be divided.

    Args:
        config: Resolved.
        replicas: Replicas that share a batch.

    Raises:
        DescriptionError: One line on the first that is wrong.
    """
    loss, training = config.loss, config.training
    sampled = "in_batch, bpr or bce"
    rules = (
        ("loss.cache", loss.cache, ("in_batch",), "in_batch"),
        ("loss.hard_negatives", loss.hard_negatives, ("in_batch", "bpr", "bce"), sampled),
        ("loss.negatives", loss.negatives, ("in_batch", "bpr", "bce"), sampled),
    )
    for where, value, types, shown in rules:
        if value and loss.type not in types:
            raise DescriptionError(
                where,
                f"it is for loss.type {shown}; {loss.type} has no place for it",
                received=str(value),
                remedy=f"Set loss.type={types[0]}, or {where}=0",
            )
    if loss.learn_temperature and loss.type == "tfrs":
        raise DescriptionError(
            "loss.learn_temperature",
            "TensorFlow Recommenders' task has a fixed temperature",
            received="loss.type: tfrs",
            remedy="Set loss.type=in_batch, the same loss",
        )
    optimizer = config.optimizer
    if optimizer.balance_noise and not optimizer.balance:
        raise DescriptionError(
            "optimizer.balance_noise",
            "it belongs to the modulation of gradients",
            received="balance: 0",
            remedy="Set optimizer.balance=0.3 too",
        )
    if (optimizer.balance or optimizer.modality_rates) and (optimizer.average or replicas > 1):
        raise DescriptionError(
            "optimizer.balance, optimizer.modality_rates",
            "steps of a modality's own length go with one device and without moving averages",
            received=f"{replicas} replicas, average: {optimizer.average}",
            remedy="Set optimizer.average=0 and leave --strategy out",
        )
    size, parts = int(training.batch_size or 0), replicas * training.micro_batches
    if size % parts:
        raise DescriptionError(
            "training.batch_size",
            f"it must divide into {replicas} replicas × {training.micro_batches} micro-batches",
            received=str(size),
            remedy=f"Set training.batch_size={max(size // parts, 1) * parts}",
        )
