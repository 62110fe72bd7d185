"""Options of a resolved configuration that contradict each other, told before anything is read."""

from __future__ import annotations

import json
from typing import Any

from tfrec.config.model import ModelConfig
from tfrec.errors import DescriptionError
from tfrec.model import build_model
from tfrec.schema import Manifest
from tfrec.training.defaults import can_start_from_factors, is_causal, resolve
from tfrec.training.ids_view import ids_alone

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
    if resolved.ids.enabled:
        check_options(resolve(ids_alone(config, manifest), manifest)[0])


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
    if loss.history_contrast and config.query.history is None:
        raise DescriptionError(
            "loss.history_contrast",
            "it compares views of histories",
            received=f"{loss.history_contrast:g}, and no query.history",
            remedy="Set a query.history, or loss.history_contrast=0",
        )
    if training.start == "factors" and not can_start_from_factors(config):
        raise DescriptionError(
            "training.start",
            "factors are put into tables of items and of histories or users",
            received="factors, and no such tables",
            remedy="Set training.start=random, or item.use_id=true and a query.history",
        )
    optimizer = config.optimizer
    if optimizer.balance_noise and not optimizer.balance:
        raise DescriptionError(
            "optimizer.balance_noise",
            "it belongs to the modulation of gradients",
            received="balance: 0",
            remedy="Set optimizer.balance=0.3 too",
        )
    if config.graph is not None:
        _check_graph(config)
    if training.positions == "all":
        _check_positions(config)
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


def _check_graph(config: ModelConfig) -> None:
    query = config.query
    rules: tuple[tuple[str, Any, Any, str], ...] = (
        ("item.use_id", config.item.use_id, True, "ids are what a graph spreads"),
        ("query.use_id", query.use_id, True, "ids are what a graph spreads"),
        ("query.history", query.history, None, "with a graph a user is a sum over the history"),
        ("query.negatives", query.negatives, False, "a graph and its histories are of likes"),
        ("optimizer.balance", config.optimizer.balance, 0, "it asks for vectors outside of a step"),
    )
    for where, value, wanted, why in rules:
        if value != wanted:
            shown = json.dumps(wanted)
            raise DescriptionError(
                where,
                f"{why}, so it must be {shown} beside `graph`",
                received=str(getattr(value, "type", value)).lower(),
                remedy=f"Set {where}={shown}, or leave `graph` out",
            )


def _check_positions(config: ModelConfig) -> None:
    history, loss, training = config.query.history, config.loss, config.training
    causal = history is not None and is_causal(history)
    time = history.options.get("time") if history is not None else None
    gru = "query.history.type=gru or transformer"
    rules: tuple[tuple[str, bool, str, str, str], ...] = (
        ("graph", config.graph is not None, "a graph has no positions", "given", "leave it out"),
        (
            "query.history",
            not causal,
            "an encoder with a state at every position is needed",
            "null" if history is None else history.type,
            f"set {gru}",
        ),
        (
            "query.history.time",
            causal and time != "gap",
            "ages are counted back from one question, and every position asks its own",
            str(time),
            "set query.history.time=gap",
        ),
        (
            "loss.type",
            loss.type == "tfrs",
            "TensorFlow Recommenders' task can't take a user's own rows out of the negatives",
            "tfrs",
            "set loss.type=in_batch",
        ),
        (
            "training.popularity_power",
            training.popularity_power != 1,
            "a span is read whole, so each of its targets comes once an epoch",
            str(training.popularity_power),
            "set training.popularity_power=1; loss.propensity_power weighs targets",
        ),
        (
            "optimizer.balance",
            config.optimizer.balance > 0,
            "it asks for one query an example",
            str(config.optimizer.balance),
            "set optimizer.balance=0",
        ),
    )
    for where, wrong, why, received, remedy in rules:
        if wrong:
            raise DescriptionError(
                where,
                f"{why} with training.positions: all",
                received=received,
                remedy=f"{remedy[0].upper()}{remedy[1:]}, or training.positions=last",
            )
