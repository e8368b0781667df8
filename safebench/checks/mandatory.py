"""Which fields are mandatory, kept in one place (spec/v1/levels.md says the same in words).

A path such as `decoding[].max_new_tokens` counts once per item of the list. An empty or absent list
counts as one item, a section that is absent or `not_reported` as all its unconditional fields.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from safebench.card.base import Unpinnable
from safebench.card.card import Card
from safebench.card.data import Dataset
from safebench.card.decoding import Decoding
from safebench.card.judge import EnsembleJudge, ModelJudge, ModerationJudge
from safebench.card.model import ApiModel, NoChatTemplate, WeightsModel
from safebench.card.training import (
    DpoObjective,
    FullTraining,
    GrpoObjective,
    KtoObjective,
    LoraTraining,
    NoTraining,
    OtherObjective,
    PpoObjective,
    PromptTraining,
    QloraTraining,
)

STAGES = "hyperparameters.earlier_stages"


@dataclass(frozen=True)
class Where:
    """What a condition looks at."""

    card: Card
    owner: Any
    """Mapping that holds the field; None when it is not there."""
    stage: Any
    """Stage of training that the field belongs to: the section, or one of its earlier stages."""

    @property
    def reports(self) -> bool:
        """Whether the card has results."""
        return self.card.given_results is not None

    @property
    def trains(self) -> bool:
        """Whether anything is fine-tuned, as far as the card says."""
        return not isinstance(self.card.hyperparameters, NoTraining)


@dataclass(frozen=True)
class When:
    """A condition under which a field counts."""

    words: str
    """As the standard says it."""
    holds: Callable[[Where], bool]


def _kind(words: str, *kinds: type) -> When:
    return When(words, lambda at: isinstance(at.owner, kinds))


def _method(words: str, *kinds: type) -> When:
    return When(words, lambda at: isinstance(at.stage, kinds))


def _reported(words: str = "", holds: Callable[[Where], bool] = lambda at: True) -> When:
    text = f"the card has results{', and ' if words else ''}{words}"
    return When(text, lambda at: at.reports and holds(at))


ALWAYS = When("always", lambda at: True)
TRAINED = When("unless the method is `none`", lambda at: at.trains)
REPORT = _reported()


@dataclass(frozen=True)
class Mandatory:
    """A field that counts."""

    path: str
    when: When = ALWAYS
    absent_is_value: bool = False
    """Whether leaving the field out states something (no system prompt) and counts as reported."""
    instead: str | None = None
    """Field beside it that may be given in its place."""


def _each(when: When, section: str, names: str) -> tuple[Mandatory, ...]:
    return tuple(Mandatory(f"{section}.{name}", when) for name in names.split())


def _adaptive(at: Where) -> bool:
    optimizer = getattr(at.stage, "optimizer", None)
    return at.trains and (not isinstance(optimizer, str) or "adam" in optimizer.lower())


def _elsewhere(at: Where) -> bool:
    """Whether a set lies neither beside the card nor in the program, nor is made by a run."""
    dataset = at.owner
    if not isinstance(dataset, Dataset):
        return False
    shipped = isinstance(dataset.id, str) and dataset.id.startswith("builtin:")
    return dataset.path is None and dataset.answers is None and not shipped


def _one_construct(at: Where) -> bool:
    return not isinstance(getattr(at.owner, "construct", None), tuple)


_WEIGHTS = When(
    "unless access is `api`", lambda at: isinstance(at.owner, WeightsModel) or at.owner is None
)
_API = _kind("access `api`", ApiModel)
_LOW_RANK = _method("method `lora`, `dora` or `qlora`", LoraTraining, QloraTraining)
_PULLED = _kind("objective `dpo`, `kto` or `grpo`", DpoObjective, KtoObjective, GrpoObjective)
_UNPINNABLE = _reported("the revision is `unpinnable`", lambda at: isinstance(at.owner, Unpinnable))
_TRAINING = (
    "objective optimizer learning_rate lr_scheduler weight_decay max_grad_norm checkpoints "
    "max_length packing precision loss_on sharding"
)

MANDATORY: tuple[Mandatory, ...] = (
    Mandatory("model.base.id"),
    *_each(_WEIGHTS, "model", "dtype quantization chat_template"),
    *_each(_API, "model", "provider snapshot moderation"),
    Mandatory("model.checkpoint_rule", TRAINED),
    *_each(TRAINED, "data[]", "examples template"),
    *_each(
        When(
            "the set has no `path`, is not answered by the base model, and is not shipped with "
            "the program (`builtin:`)",
            _elsewhere,
        ),
        "data[]",
        "id revision",
    ),
    *_each(TRAINED, "hyperparameters", _TRAINING),
    *_each(
        When("the optimizer is one of the Adam family, or not reported", _adaptive),
        "hyperparameters",
        "adam_beta1 adam_beta2 adam_epsilon",
    ),
    Mandatory("hyperparameters.warmup_steps", TRAINED, instead="warmup_ratio"),
    Mandatory("hyperparameters.epochs", TRAINED, instead="steps"),
    *_each(TRAINED, "hyperparameters.batch_size", "per_device gradient_accumulation devices"),
    *_each(_LOW_RANK, "hyperparameters.lora", "r alpha dropout target_modules bias rslora"),
    *_each(
        _method("method `qlora`", QloraTraining),
        "hyperparameters.quantization",
        "type double compute_dtype",
    ),
    *_each(
        _method("method `prompt`", PromptTraining),
        "hyperparameters.prompt",
        "kind virtual_tokens init",
    ),
    Mandatory("hyperparameters.trainable", _method("method `full`", FullTraining)),
    Mandatory("hyperparameters.objective.beta", _PULLED),
    Mandatory(
        "hyperparameters.objective.reference_model",
        _kind(
            "objective `dpo`, `kto`, `ppo` or `grpo`",
            DpoObjective,
            KtoObjective,
            PpoObjective,
            GrpoObjective,
        ),
    ),
    Mandatory(
        "hyperparameters.objective.reward",
        _kind("objective `ppo` or `grpo`", PpoObjective, GrpoObjective),
    ),
    *_each(
        _kind("objective `ppo`", PpoObjective),
        "hyperparameters.objective",
        "kl_coefficient clip_range",
    ),
    Mandatory("hyperparameters.objective.generations", _kind("objective `grpo`", GrpoObjective)),
    *_each(
        _kind("objective `other`", OtherObjective), "hyperparameters.objective", "name settings"
    ),
    *_each(TRAINED, "seeds", "training controls"),
    *_each(ALWAYS, "decoding[]", "repetition_penalty max_new_tokens stop repeats"),
    Mandatory(
        "decoding[].temperature",
        When(
            "`do_sample` is true",
            lambda at: isinstance(at.owner, Decoding) and at.owner.do_sample,
        ),
    ),
    Mandatory("prompting.system_prompt", absent_is_value=True),
    Mandatory("prompting.prefill", absent_is_value=True),
    *_each(ALWAYS, "prompting", "few_shot turns language attack"),
    *_each(ALWAYS, "judge[]", "id revision sees votes"),
    *_each(
        _kind("kind `classifier` or `llm`", ModelJudge),
        "judge[]",
        "prompt_template_sha256 parser on_parse_failure decoding lineage",
    ),
    *_each(_kind("kind `moderation_api`", ModerationJudge), "judge[]", "provider threshold"),
    *_each(_kind("kind `ensemble`", EnsembleJudge), "judge[]", "members combine"),
    Mandatory("tasks"),
    Mandatory("model.base.revision", REPORT),
    *_each(_UNPINNABLE, "model.base.revision", "first_request last_request"),
    *_each(_UNPINNABLE, "judge[].revision", "first_request last_request"),
    Mandatory(
        "model.chat_template.sha256",
        _reported(
            "the source is not `none`",
            lambda at: at.owner is not None and not isinstance(at.owner, NoChatTemplate),
        ),
    ),
    Mandatory(
        "model.weights",
        _reported(
            "something is trained whose weights can be loaded",
            lambda at: at.trains and isinstance(at.owner, WeightsModel),
        ),
    ),
    Mandatory(
        "model.jobs",
        _reported(
            "something is trained through an API",
            lambda at: at.trains and isinstance(at.owner, ApiModel),
        ),
    ),
    Mandatory(
        "data[].sha256",
        _reported(
            "the set has a `path`",
            lambda at: isinstance(at.owner, Dataset) and at.owner.path is not None,
        ),
    ),
    Mandatory(
        "data[].rendered_sha256", _reported("the method is not `none`", lambda at: at.trains)
    ),
    Mandatory("seeds.generation", REPORT),
    *_each(REPORT, "tasks[]", "version construct dataset_sha256 prompts primary"),
    *_each(_reported("the task has one construct", _one_construct), "tasks[]", "metric direction"),
    *_each(
        REPORT,
        "environment",
        "harness python libraries backend device batch_size attention tensor_parallel "
        "kv_cache_dtype serving_quantization determinism sampling_scheme",
    ),
    *_each(
        When("the card has evidence", lambda at: at.card.given_evidence is not None),
        "evidence",
        "response_policy runs",
    ),
)
