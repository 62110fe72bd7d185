"""The model configuration (`configs/models/*.yaml`): towers, fusion, loss, optimizer, loop.

Each default is stated once, here. A default of `None` is chosen from the manifest's counts when
training starts, printed, and saved resolved in `RUN/config.yaml`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from tfrec.config.augmentation import AugmentationConfig

__all__ = [
    "ClosedFormConfig",
    "Component",
    "GraphConfig",
    "IdsConfig",
    "ItemTowerConfig",
    "LossConfig",
    "ModelConfig",
    "NewItemsConfig",
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
        bias: Whether an item has a bias beside its vector; a popular item needs one when vectors
            have unit length.
        id_dropout: Share of training items whose id is hidden, so that content alone learns to
            place an item that nobody has met (DropoutNet, Volkovs et al. 2017).
        modality_dropout: Chance that a present modality is hidden in a training step.
    """

    use_id: bool = True
    features: tuple[str, ...] | None = None
    towers: dict[str, Component] = Field(default_factory=dict)
    fusion: Component = Component(type="gated")
    bias: bool = True
    id_dropout: float = Field(0.1, ge=0, lt=1)
    modality_dropout: float = Field(0.0, ge=0, lt=1)


class QueryTowerConfig(_Frozen):
    """The query tower.

    Attributes:
        use_id: Whether the user's id has an embedding.
        history: Encoder of the ordered history; `None` leaves it out.
        history_length: Most recent events that are read.
        history_content: Width of the content vectors that are added to the history's items, so
            that an item nobody has met counts in a history too; 0 leaves them out.
        negatives: Whether events that are not positive stay in the history.
        profile, context: Whether profile and context features are used.
        towers: Tower by profile or context feature or by modality; a feature's own entry wins.
    """

    use_id: bool = False
    history: Component | None = Component(type="mean")
    history_length: int = Field(50, ge=1, le=4096)
    history_content: int = Field(64, ge=0, le=4096)
    negatives: bool = False
    profile: bool = True
    context: bool = True
    towers: dict[str, Component] = Field(default_factory=dict)


class GraphConfig(_Frozen):
    """Ids spread over the graph of users and the items they liked in the train part (LightGCN).

    A user's vector then sums over the user's items, in training those of the graph, else those of
    the history that is given; so it takes the place of `query.history`.

    Attributes:
        layers: How far: 1 reaches a user's items, 3 what others like who like them.
        max_positives: Positives of the train part that it may hold; more are refused. Each step
            goes over all of them: 0.4 s for 200,000 (width 64, 3 layers, two busy cores), and
            1 GB for a million.
    """

    layers: int = Field(3, ge=1, le=8)
    max_positives: int = Field(1_000_000, ge=1)


class LossConfig(_Frozen):
    """The objective.

    Attributes:
        type: `full`: softmax over the whole catalogue; `in_batch`: over the batch's items; `tfrs`:
            the same by TensorFlow Recommenders' own task; `bpr`, `bce`: against sampled items.
            `None` takes `full` for a catalogue that fits and `in_batch` for a larger one, or one
            whose content would cost much in every step.
        temperature: Divides scores.
        learn_temperature: Whether `temperature` is only where a learned one starts.
        normalize: Whether vectors have unit length.
        log_q: Whether in-batch scores are corrected by items' frequency in the train part.
        remove_accidental_hits: Whether another row's equal item is not a negative.
        negatives: Items drawn uniformly, for each batch, from those that are ever a target: beside
            the batch's own for `in_batch`, alone for `bpr` and `bce`.
        cache: Item vectors of former batches that are negatives too (`in_batch`; cross-batch
            negatives, Wang et al. 2021).
        hard_negatives: Items a row drawn from those that the model itself ranks highest for the
            row's user among the unseen; for all types but `full`, which has every item, and `tfrs`.
        hard_pool: How many of the highest they are drawn from.
        mine_every: Epochs between two rankings of the catalogue for them.
        propensity_power: A target counts for (its item's count)^-power: inverse propensity, so
            that what was shown often doesn't drown the rest. 0 counts each event alike.
        dwell_weight: From 0, dwell times don't count, to 1: an example counts for log(1 + seconds)
            over its mean.
        history_contrast: How much a second term counts, by which two random views of a history
            (cropped, masked, reordered) are more alike than those of other users; for an encoder of
            histories (CL4SRec, Xie et al. 2022; 0.1 there). It costs two more passes of it.
        repeats: Whether a positive on an item that the user had before is a target too; without,
            training asks what serving asks: which new item.
    """

    type: Literal["full", "in_batch", "tfrs", "bpr", "bce"] | None = None
    temperature: float = Field(0.1, gt=0)
    learn_temperature: bool = False
    normalize: bool = True
    log_q: bool = True
    remove_accidental_hits: bool = True
    negatives: int = Field(0, ge=0)
    cache: int = Field(0, ge=0)
    hard_negatives: int = Field(0, ge=0)
    hard_pool: int = Field(50, ge=1, le=1024)
    mine_every: int = Field(1, ge=1)
    propensity_power: float = Field(0.0, ge=0, le=1)
    dwell_weight: float = Field(0.0, ge=0, le=1)
    history_contrast: float = Field(0.0, ge=0)
    repeats: bool = False


class OptimizerConfig(_Frozen):
    """Optimizer of dense variables (AdamW) and of embedding tables.

    Attributes:
        learning_rate: Of dense variables.
        embedding: Of tables: their step costs what the used rows cost. `None` takes `adam`, or
            `adagrad`, with half the memory, for large tables.
        embedding_learning_rate: Of tables; `None` chooses by the optimizer.
        weight_decay: Of dense variables and of used rows.
        clip_norm: Greatest norm of a variable's gradient.
        schedule: `constant`, or `cosine`: both rates fall to nothing over the training's steps.
        warmup: Share of the training's steps in which both rates rise from nothing.
        average: Decay of the moving average of weights that is measured and kept in their place,
            by step (Polyak & Juditsky 1992); 0 keeps the weights themselves.
        balance: How strongly a modality that leads is slowed down while it does (OGM, Peng et al.
            2022, their α; 0.1 to 1); 0 leaves all alike.
        balance_noise: Whether a slowed modality's gradient gets noise (their GE).
        modality_rates: By item feature, or `item_id`: a factor of the steps of its own weights.
    """

    learning_rate: float = Field(1e-3, gt=0)
    embedding: Literal["adam", "adagrad", "rowwise_adagrad", "sgd", "ftrl"] | None = None
    embedding_learning_rate: float | None = Field(None, gt=0)
    weight_decay: float = Field(0.0, ge=0)
    clip_norm: float | None = Field(None, gt=0)
    schedule: Literal["constant", "cosine"] = "constant"
    warmup: float = Field(0.0, ge=0, lt=1)
    average: float = Field(0.0, ge=0, lt=1)
    balance: float = Field(0.0, ge=0)
    balance_noise: bool = False
    modality_rates: dict[str, Annotated[float, Field(ge=0)]] = Field(default_factory=dict)


class TrainingConfig(_Frozen):
    """The loop.

    Attributes:
        batch_size: Examples a step; with `positions: all` targets, about.
        micro_batches: Parts that a batch is computed in, one after another, before the weights
            move (gradient accumulation): the memory of a part. In-batch negatives are the part's.
        positions: What a history is asked for: `last`, the event that comes after it; each target
            is an example with a history of its own. `all`: the event after each of its positions,
            in one pass (SASRec, Kang & McAuley 2018), for encoders with a state at each: `gru` and
            `transformer`, which then read gaps between events in place of ages.
        epochs: At most.
        patience: Epochs without a better `monitor` before training stops.
        popularity_power: An item is a target (its count)^power times: 1 as in the data, 0 each
            item equally often (temperature sampling).
        start: Where id tables begin: `random`, or at `factors` of the train part, by a truncated
            SVD. `None` takes `factors` where a truncated SVD takes a minute at most.
        seed: Of weights, order and dropout.
        monitor: A metric of the validation part, over the whole catalogue without seen items:
            `ndcg@K` or `recall@K`.
        media: `distilled` trains towers on raw media item by item, first, to say what behaviour
            says, and fixes them; `joint` trains them in every step, at its cost.
        validation_users: Users that it is measured on, at most.
        jit_compile: Whether steps are compiled by XLA.
        mixed_precision: Type of activations.
    """

    batch_size: int | None = Field(None, ge=2)
    micro_batches: int = Field(1, ge=1)
    positions: Literal["last", "all"] = "last"
    epochs: int | None = Field(None, ge=1)
    patience: int = Field(3, ge=1)
    popularity_power: float = Field(1.0, ge=0, le=1)
    start: Literal["factors", "random"] | None = None
    seed: int = Field(0, ge=0)
    monitor: str = Field("ndcg@20", pattern=r"^(ndcg|recall)@[1-9][0-9]*$")
    media: Literal["distilled", "joint"] = "distilled"
    validation_users: int = Field(5_000, ge=1)
    jit_compile: bool = False
    mixed_precision: Literal["none", "mixed_bfloat16", "mixed_float16"] = "none"


class ClosedFormConfig(_Frozen):
    """A view fitted in closed form beside the learned one (`tfrec.teachers`).

    Attributes:
        enabled: Whether there is one.
        rank: Width of its vectors, for items with behaviour and for items placed by content each.
        max_items: Items that it may hold, the most frequent first; others are placed by content. It
            needs about 12 n² bytes, and n³ operations a trial.
        max_trials: Trials of the search for its parameters at up to 6,000 items; fewer above.
        history_length: Latest events that it reads.
        unseen_weight: Of items without behaviour the learned view has two opinions: what its
            content towers say, and what its vectors of known items say once the content kernel has
            carried them over. Each spreads scores so much beside the closed form's own opinion,
            and less where validation gave the learned view less on known items: with 1 the three
            count alike at most, with 0 the learned view doesn't tell such items apart.
    """

    enabled: bool = False
    rank: int = Field(256, ge=2, le=2048)
    max_items: int = Field(16_000, ge=10)
    max_trials: int = Field(10, ge=1)
    history_length: int = Field(150, ge=1, le=4096)
    unseen_weight: float = Field(1.0, ge=0, le=10)


class IdsConfig(_Frozen):
    """A second learned view, of ids alone, beside one that fuses ids with content.

    Content tells similar items apart less well than their ids do where users' tastes don't follow
    it; so a model of both may rank known items worse than ids alone. Trained apart, as the learned
    view is but without features, profile and context, in a run of its own (`RUN/ids`); validation
    chooses its weight, or leaves it out.

    Attributes:
        enabled: Whether there is one, where items have features that the learned view reads.
    """

    enabled: bool = False


class PopularityConfig(_Frozen):
    """How popular an item is, as a term of the score (`tfrec.model.PopularityView`).

    After training, validation chooses its half-life and its weight, for users without a history and
    for others apart; without a gain there it is left out.

    Attributes:
        enabled: Whether there may be one.
    """

    enabled: bool = False


class NewItemsConfig(_Frozen):
    """How many new items are shown (`tfrec.model.NewItemsView`).

    What is expected of an item that nobody has met lies near the mean, so that among the best of a
    list there may be none; and what isn't shown is never met. After training a constant is added to
    the scores of items without behaviour, as small as gives them their share on the lists of
    validation's users. Their order, and that of the others, stays.

    Attributes:
        share: Of the places in lists of 20 that go to items without behaviour at least, as far as
            they are that share of the catalogue; 0 leaves all scores as they are.
    """

    share: float = Field(0.0, ge=0, lt=1)


class ModelConfig(_Frozen):
    """A whole model configuration."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    dimension: int | None = Field(None, ge=2, le=4096)
    item: ItemTowerConfig = ItemTowerConfig()
    query: QueryTowerConfig = QueryTowerConfig()
    graph: GraphConfig | None = None
    loss: LossConfig = LossConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    training: TrainingConfig = TrainingConfig()
    closed_form: ClosedFormConfig = ClosedFormConfig()
    ids: IdsConfig = IdsConfig()
    popularity: PopularityConfig = PopularityConfig()
    new_items: NewItemsConfig = NewItemsConfig()
    augmentation: AugmentationConfig | None = None
