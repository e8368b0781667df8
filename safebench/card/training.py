"""How a model was fine-tuned: what is trained (method), for what (objective), and how."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from safebench.card.base import (
    AboveZero,
    Count,
    Name,
    NotNegative,
    Positive,
    Proportion,
    Reported,
    Section,
    Settings,
    Text,
)
from safebench.card.model import Dtype, WeightsRef

BelowOne = Annotated[float, Field(ge=0.0, lt=1.0)]


class BatchSize(Section):
    """The effective batch size and its factors, in examples."""

    per_device: Reported[Positive]
    """Examples per device and step."""
    gradient_accumulation: Reported[Positive] = 1
    """Steps accumulated before an update."""
    devices: Reported[Positive] = 1
    """Devices that train in parallel."""
    effective: Reported[Positive] | None = None
    """Product of the three; filled by a run."""


class LoraFields(Section):
    """Low-rank adaptation (Hu et al. 2021)."""

    r: Reported[Positive]
    """Rank."""
    alpha: Reported[float]
    """Scale: updates are multiplied by alpha / r, or by alpha / sqrt(r) under `rslora`."""
    dropout: Reported[BelowOne]
    """Dropout probability on the adapter's input."""
    target_modules: Reported[tuple[Text, ...] | Literal["all-linear"]]
    """Names of the adapted modules, or all linear ones."""
    bias: Reported[Literal["none", "all", "lora_only"]] = "none"
    """Which biases are trained too."""
    rslora: Reported[bool] = False
    """Whether the scale is rank-stabilised (Kalajdzievski 2023)."""


class QuantizationFields(Section):
    """Quantization of the frozen base weights during training (Dettmers et al. 2023)."""

    type: Reported[Literal["nf4", "fp4", "int8"]]
    """Format of the weights."""
    double: Reported[bool] = False
    """Whether the quantization constants are quantized too."""
    compute_dtype: Reported[Dtype]
    """Type that weights are expanded to for computation."""


class PromptFields(Section):
    """Trained embeddings before the prompt."""

    kind: Reported[Literal["prompt", "prefix", "ptuning"]]
    """Prompt tuning, prefix tuning, or p-tuning."""
    virtual_tokens: Reported[Positive]
    """Number of trained positions."""
    init: Reported[Text] = "random"
    """How they are initialised: `random`, or the text they start from."""


class DpoObjective(Section):
    """Direct preference optimisation (Rafailov et al. 2023)."""

    kind: Literal["dpo"]
    """Which objective."""
    beta: Reported[AboveZero]
    """Strength of the pull towards the reference model."""
    loss: Reported[Text] = "sigmoid"
    """Form of the loss, by its name in trl."""
    reference_model: Reported[Literal["base"] | WeightsRef] = "base"
    """Model that is stayed close to."""


class KtoObjective(Section):
    """Kahneman-Tversky optimisation (Ethayarajh et al. 2024)."""

    kind: Literal["kto"]
    """Which objective."""
    beta: Reported[AboveZero]
    """Strength of the pull towards the reference model."""
    desirable_weight: Reported[NotNegative] = 1.0
    """Weight of the loss on desirable examples."""
    undesirable_weight: Reported[NotNegative] = 1.0
    """Weight of the loss on undesirable examples."""
    reference_model: Reported[Literal["base"] | WeightsRef] = "base"
    """Model that is stayed close to."""


class PpoObjective(Section):
    """Proximal policy optimisation against a reward model (Schulman et al. 2017)."""

    kind: Literal["ppo"]
    """Which objective."""
    reward: Reported[Text | WeightsRef]
    """The reward: a model, or a function in words."""
    kl_coefficient: Reported[NotNegative]
    """Weight of the divergence from the reference model."""
    clip_range: Reported[AboveZero]
    """How far one update may move the ratio of probabilities."""
    reference_model: Reported[Literal["base"] | WeightsRef] = "base"
    """Model that is stayed close to."""


class GrpoObjective(Section):
    """Group relative policy optimisation (Shao et al. 2024)."""

    kind: Literal["grpo"]
    """Which objective."""
    reward: Reported[Text | WeightsRef]
    """The reward: a model, or a function in words."""
    beta: Reported[NotNegative]
    """Weight of the divergence from the reference model."""
    generations: Reported[Positive]
    """Answers per prompt that are compared."""
    reference_model: Reported[Literal["base"] | WeightsRef] = "base"
    """Model that is stayed close to."""


class OtherObjective(Section):
    """An objective that has no entry of its own."""

    kind: Literal["other"]
    """Which objective."""
    name: Reported[Text]
    """What it is called, and where it is defined."""
    settings: Reported[Settings]
    """Its constants, by name."""


Objective = (
    Literal["sft"]
    | Annotated[
        DpoObjective | KtoObjective | PpoObjective | GrpoObjective | OtherObjective,
        Field(discriminator="kind"),
    ]
)


class Training(Section):
    """What every fine-tuning method shares."""

    objective: Reported[Objective] = "sft"
    """What is optimised: `sft` (supervised fine-tuning), or a preference or reward objective."""
    data: Reported[tuple[Name, ...]] | None = None
    """Names of the sets this stage trains on; absent is all sets of the condition."""
    optimizer: Reported[Text] = "adamw_torch"
    """Optimizer, by its name in transformers."""
    adam_beta1: Reported[BelowOne] = 0.9
    """First-moment decay."""
    adam_beta2: Reported[BelowOne] = 0.999
    """Second-moment decay."""
    adam_epsilon: Reported[AboveZero] = 1e-8
    """Numerical floor of the denominator."""
    optimizer_args: Reported[Settings] | None = None
    """Further constants of the optimizer, by name."""
    learning_rate: Reported[AboveZero]
    """Peak learning rate."""
    lr_scheduler: Reported[Text]
    """Schedule, by its name in transformers."""
    lr_scheduler_args: Reported[Settings] | None = None
    """Constants of the schedule, by name, e.g. the lowest rate."""
    warmup_steps: Reported[Count] | None = None
    """Optimizer steps of linear warm-up."""
    warmup_ratio: Reported[Proportion] | None = None
    """The same as a share of all steps, instead of `warmup_steps`."""
    weight_decay: Reported[NotNegative]
    """Decoupled weight decay."""
    max_grad_norm: Reported[AboveZero] = 1.0
    """Gradient clipping by global norm."""
    batch_size: Reported[BatchSize]
    """Examples per update."""
    epochs: Reported[Positive] | None = None
    """Passes over the training examples."""
    steps: Reported[Positive] | None = None
    """Optimizer steps, where training is not counted in epochs."""
    checkpoints: Reported[tuple[Positive, ...]]
    """Epochs (or steps, by `checkpoint_unit`) after which weights are kept and evaluated."""
    checkpoint_unit: Reported[Literal["epoch", "step"]] = "epoch"
    """What checkpoints are counted in."""
    max_length: Reported[Positive]
    """Longest example, in tokens; longer ones are cut."""
    packing: Reported[bool] = False
    """Whether several examples share a sequence."""
    precision: Reported[Dtype] = "float32"
    """Type of the weights during training."""
    loss_on: Reported[Literal["completion", "all"]]
    """Tokens that the loss is computed on."""
    sharding: Reported[Text] = "none"
    """How weights and optimizer state are spread over devices, e.g. `fsdp`, `zero3`."""
    extra: Reported[Settings] | None = None
    """Settings that have no field here, by the name the trainer gives them."""
    earlier_stages: Reported[tuple[Stage, ...]] | None = None
    """Stages before this one, in order; weights of this one are what is measured."""


class LoraTraining(Training):
    """Fine-tuning of low-rank adapters, or of weight-decomposed ones (DoRA, Liu et al. 2024)."""

    method: Literal["lora", "dora"]
    """What is trained."""
    lora: Reported[LoraFields]
    """The adapter's own settings."""


class QloraTraining(Training):
    """Fine-tuning of low-rank adapters on quantized base weights."""

    method: Literal["qlora"]
    """What is trained."""
    lora: Reported[LoraFields]
    """The adapter's own settings."""
    quantization: Reported[QuantizationFields]
    """How the base weights are quantized during training."""


class PromptTraining(Training):
    """Fine-tuning of embeddings before the prompt, the model itself frozen."""

    method: Literal["prompt"]
    """What is trained."""
    prompt: Reported[PromptFields]
    """The embeddings' own settings."""


class FullTraining(Training):
    """Fine-tuning of all weights, or of those that are named."""

    method: Literal["full"]
    """What is trained."""
    trainable: Reported[tuple[Text, ...] | Literal["all"]] = "all"
    """Names of the modules that are trained, or all of them."""


class NoTraining(Section):
    """No fine-tuning: an untuned model is measured."""

    method: Literal["none"]
    """What is trained."""


Stage = Annotated[
    LoraTraining | QloraTraining | PromptTraining | FullTraining, Field(discriminator="method")
]
Hyperparameters = Annotated[
    LoraTraining | QloraTraining | PromptTraining | FullTraining | NoTraining,
    Field(discriminator="method"),
]
