"""Settings that follow from the data's size, where a configuration leaves them open.

- `dimension`: 32 below 5,000 train positives, 64 below 5 million, 128 from there.
- `training.batch_size`: a sixty-fourth of the positives, as a power of two from 64 to 1,024; 4,096
  from 10 million positives.
- `loss.type`: `full` up to 20,000 items, `in_batch` beyond. Where items have content, which a full
  softmax embeds anew for every item in every step, `in_batch` with `loss.negatives` 1,024 from
  three times as many items as such a step embeds. (On MovieLens small a step costs 0.4 of the full
  one's processor time; validation NDCG@20 of the learned view 0.0990, with the full one 0.0999.)
- `training.epochs`: so that 20 million examples are read, from 1 to 60.
- `optimizer.embedding`: `adam` up to 50 million table weights, `adagrad` beyond.
- `optimizer.embedding_learning_rate`: 0.05 for `adagrad`, `rowwise_adagrad` and `ftrl`, five times
  `learning_rate` for `adam`, `learning_rate` for `sgd`. (Five times gave ids on MovieLens small
  0.096 validation NDCG@20 in 5 epochs, once 0.093 in 18.)
- `query.history.time`: `gap` with `training.positions` `all`.
- `ids.enabled`: not where items have no features, so that the learned view is of ids already, or
  where queries are told by profiles alone.
- `training.start`: `factors` up to 20 million positives, where items have ids and a history or a
  user's id is read. (On MovieLens small, validation NDCG@20 of `ids` 0.115 instead of 0.096, of the
  learned view of `multimodal` 0.106 instead of 0.099.)
"""

from __future__ import annotations

from typing import Any

from tfrec.config.model import Component, ModelConfig
from tfrec.registry import lookup
from tfrec.schema import Manifest
from tfrec.towers import CausalHistory

__all__ = ["can_start_from_factors", "is_causal", "resolve"]

_FULL_SOFTMAX_ITEMS = 20_000
# Of a step that samples from a catalogue which would fit, since each item's content costs.
_NEGATIVES, _TIMES_EMBEDDED = 1_024, 3
_EXAMPLES = 20_000_000
_ADAM_WEIGHTS = 50_000_000
_ADAGRAD_RATE = 0.05
_FACTORED = 20_000_000
_ADAM_FACTOR = 5


def resolve(config: ModelConfig, manifest: Manifest) -> tuple[ModelConfig, list[str]]:
    """Fills in what a configuration leaves open.

    Args:
        config: As it was read.
        manifest: Of the prepared data.

    Returns:
        The configuration with nothing left open, and a line for each choice: what and why.
    """
    positives = manifest.positives.get("train", 0)
    told: list[str] = []

    def choose(where: str, given: Any, value: Any, why: str) -> Any:
        if given is not None:
            return given
        told.append(f"{where}: {value} ({why})")
        return value

    dimension = choose(
        "dimension",
        config.dimension,
        32 if positives < 5_000 else 64 if positives < 5_000_000 else 128,
        f"{positives:,} train positives",
    )
    batch_size = choose(
        "training.batch_size",
        config.training.batch_size,
        _batch_size(positives),
        f"{positives:,} train positives",
    )
    features = config.item.features
    content = len(manifest.item_features if features is None else features) > 0
    negatives, many = config.loss.negatives, _FULL_SOFTMAX_ITEMS
    if content:
        many = min(many, _TIMES_EMBEDDED * (batch_size + _NEGATIVES))
    if config.loss.type is None and many < manifest.items <= _FULL_SOFTMAX_ITEMS:
        negatives = choose("loss.negatives", negatives or None, _NEGATIVES, "items have content")
    loss = choose(
        "loss.type",
        config.loss.type,
        "full" if manifest.items <= many else "in_batch",
        f"{manifest.items:,} items",
    )
    epochs = choose(
        "training.epochs",
        config.training.epochs,
        min(max(_EXAMPLES // max(positives, 1), 1), 60),
        f"at most; training stops after {config.training.patience} without a better"
        f" {config.training.monitor}",
    )
    tables = (manifest.items * 2 + manifest.users * config.query.use_id) * dimension
    embedding = choose(
        "optimizer.embedding",
        config.optimizer.embedding,
        "adam" if tables <= _ADAM_WEIGHTS else "adagrad",
        f"{tables:,} weights in id tables",
    )
    start = config.training.start
    if can_start_from_factors(config):
        few = positives <= _FACTORED
        why = f"{positives:,} train positives"
        start = choose("training.start", start, "factors" if few else "random", why)
    query, history = config.query, config.query.history
    if config.training.positions == "all" and history is not None and is_causal(history):
        options = dict(history.options)
        given = options.pop("time", None)
        time = choose("query.history.time", given, "gap", "training.positions: all")
        history = Component(type=history.type, **options, time=time)
        query = query.model_copy(update={"history": history})
    ids, why = config.ids, ""
    if not content:
        why = "items have no features; the learned view is of ids"
    elif config.query.history is None and not config.query.use_id:
        why = "queries have neither history nor user id"
    if ids.enabled and why:
        ids = ids.model_copy(update={"enabled": False})
        told.append(f"ids.enabled: False ({why})")
    dense_rate = config.optimizer.learning_rate
    rate = choose(
        "optimizer.embedding_learning_rate",
        config.optimizer.embedding_learning_rate,
        {"adam": _ADAM_FACTOR * dense_rate, "sgd": dense_rate}.get(embedding, _ADAGRAD_RATE),
        embedding,
    )
    return (
        config.model_copy(
            update={
                "dimension": dimension,
                "query": query,
                "ids": ids,
                "loss": config.loss.model_copy(update={"type": loss, "negatives": negatives}),
                "training": config.training.model_copy(
                    update={"batch_size": batch_size, "epochs": epochs, "start": start or "random"}
                ),
                "optimizer": config.optimizer.model_copy(
                    update={"embedding": embedding, "embedding_learning_rate": rate}
                ),
            }
        ),
        told,
    )


def can_start_from_factors(config: ModelConfig) -> bool:
    """Whether there is a table on each side of the score that factors could be put into."""
    query = config.query
    return config.item.use_id and (query.history is not None or query.use_id)


def is_causal(history: Component) -> bool:
    """Whether an encoder has a state at every position.

    Raises:
        DescriptionError: No encoder has the name.
    """
    return issubclass(lookup("history", history.type, where="query.history"), CausalHistory)


def _batch_size(positives: int) -> int:
    if positives >= 10_000_000:
        return 4096
    return min(max(1 << max(positives // 64, 1).bit_length() - 1, 64), 1024)
