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
from safebench.card.model import ApiModel, NoChatTemplate, WeightsModel
from safebench.card.training import NoTraining

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


@dataclass(frozen=True)
class Mandatory:
    """A field that counts."""

    path: str
    when: When
    absent_is_value: bool
    """Whether leaving the field out states something (no system prompt) and counts as reported."""
    instead: str | None
    """Field beside it that may be given in its place."""


def _is(field: str, *words: str, called: str | None = None) -> When:
    """Return the condition that a field of the mapping itself has one of some words."""
    text = _either(called or field, words)
    return When(text, lambda at: getattr(at.owner, field, None) in words)


def _method(*words: str) -> When:
    return When(_either("method", words), lambda at: getattr(at.stage, "method", None) in words)


def _either(name: str, words: tuple[str, ...]) -> str:
    *others, last = (f"`{word}`" for word in words)
    return f"{name} {', '.join(others)}{' or ' if others else ''}{last}"


def _reported(words: str = "", holds: Callable[[Where], bool] = lambda at: True) -> When:
    text = f"in a report{', ' if words else ''}{words}"
    return When(text, lambda at: at.reports and holds(at))


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


def _counted(at: Where) -> bool:
    """Whether the number of examples is stated, or nobody is to run the card and count them."""
    return at.trains and not (
        at.card.is_to_be_run and isinstance(at.owner, Dataset) and at.owner.examples is None
    )


def _one_construct(at: Where) -> bool:
    return not isinstance(getattr(at.owner, "construct", None), tuple)


ALWAYS = When("always", lambda at: True)
TRAINED = When("unless the method is `none`", lambda at: at.trains)
REPORT = _reported()
_WEIGHTS = When(
    "unless access is `api`", lambda at: isinstance(at.owner, WeightsModel) or at.owner is None
)
_ELSEWHERE = When(
    "the set has neither `path` nor `answers`, and its `id` does not begin with `builtin:`",
    _elsewhere,
)
_ADAM = When(
    "unless the method is `none`; `optimizer` has `adam` in it, in any case, or is not reported",
    _adaptive,
)
_COUNTED = When("unless the method is `none`, or a plan that is to be run leaves it out", _counted)
_SAMPLED = When(
    "`do_sample` is true", lambda at: isinstance(at.owner, Decoding) and at.owner.do_sample
)
_PULLED = _is("kind", "dpo", "kto", "grpo", called="objective")
_REFERRED = _is("kind", "dpo", "kto", "ppo", "grpo", called="objective")
_REWARDED = _is("kind", "ppo", "grpo", called="objective")
_PPO = _is("kind", "ppo", called="objective")
_GRPO = _is("kind", "grpo", called="objective")
_OTHER = _is("kind", "other", called="objective")
_UNPINNABLE = _reported(
    "where the revision is `unpinnable`", lambda at: isinstance(at.owner, Unpinnable)
)
_TEMPLATE = _reported(
    "unless the source is `none`",
    lambda at: at.owner is not None and not isinstance(at.owner, NoChatTemplate),
)
_LOADED = _reported(
    "unless the method is `none` or access `api`",
    lambda at: at.trains and isinstance(at.owner, WeightsModel),
)
_SERVED = _reported(
    "where access is `api`, unless the method is `none`",
    lambda at: at.trains and isinstance(at.owner, ApiModel),
)
_LOCAL = _reported(
    "where the set has a `path`",
    lambda at: isinstance(at.owner, Dataset) and at.owner.path is not None,
)
_TUNED = _reported("unless the method is `none`", lambda at: at.trains)
_ONE_CONSTRUCT = _reported("unless `construct` is a list", _one_construct)
_EVIDENCE = When("the card has evidence", lambda at: at.card.given_evidence is not None)

# Condition, section, names of its fields; a section in several lines keeps them in order.
_FIELDS: tuple[tuple[When, str, str], ...] = (
    (ALWAYS, "model.base", "id"),
    (_WEIGHTS, "model", "dtype quantization chat_template"),
    (_is("access", "api"), "model", "provider snapshot moderation"),
    (TRAINED, "model", "checkpoint_rule"),
    (_COUNTED, "data[]", "examples"),
    (TRAINED, "data[]", "template"),
    (_ELSEWHERE, "data[]", "id revision"),
    (TRAINED, "hyperparameters", "objective optimizer learning_rate lr_scheduler weight_decay"),
    (TRAINED, "hyperparameters", "max_grad_norm checkpoints max_length packing precision loss_on"),
    (TRAINED, "hyperparameters", "sharding"),
    (_ADAM, "hyperparameters", "adam_beta1 adam_beta2 adam_epsilon"),
    (TRAINED, "hyperparameters", "warmup_steps epochs"),
    (TRAINED, "hyperparameters.batch_size", "per_device gradient_accumulation devices"),
    (
        _method("lora", "dora", "qlora"),
        "hyperparameters.lora",
        "r alpha dropout target_modules bias rslora",
    ),
    (_method("qlora"), "hyperparameters.quantization", "type double compute_dtype"),
    (_method("prompt"), "hyperparameters.prompt", "kind virtual_tokens init"),
    (_method("full"), "hyperparameters", "trainable"),
    (_PULLED, "hyperparameters.objective", "beta"),
    (_REFERRED, "hyperparameters.objective", "reference_model"),
    (_REWARDED, "hyperparameters.objective", "reward"),
    (_PPO, "hyperparameters.objective", "kl_coefficient clip_range"),
    (_GRPO, "hyperparameters.objective", "generations"),
    (_OTHER, "hyperparameters.objective", "name settings"),
    (TRAINED, "seeds", "training controls"),
    (ALWAYS, "decoding[]", "repetition_penalty max_new_tokens stop repeats"),
    (_SAMPLED, "decoding[]", "temperature"),
    (ALWAYS, "prompting", "system_prompt prefill few_shot turns language attack"),
    (ALWAYS, "judge[]", "id revision sees votes"),
    (
        _is("kind", "classifier", "llm"),
        "judge[]",
        "prompt_template_sha256 parser on_parse_failure decoding lineage",
    ),
    (_is("kind", "moderation_api"), "judge[]", "provider threshold"),
    (_is("kind", "ensemble"), "judge[]", "members combine"),
    (ALWAYS, "", "tasks"),
    (REPORT, "model.base", "revision"),
    (_UNPINNABLE, "model.base.revision", "first_request last_request"),
    (_UNPINNABLE, "judge[].revision", "first_request last_request"),
    (_TEMPLATE, "model.chat_template", "sha256"),
    (_LOADED, "model", "weights"),
    (_SERVED, "model", "jobs"),
    (_LOCAL, "data[]", "sha256"),
    (_TUNED, "data[]", "rendered_sha256"),
    (REPORT, "seeds", "generation"),
    (REPORT, "tasks[]", "version construct dataset_sha256 prompts primary"),
    (_ONE_CONSTRUCT, "tasks[]", "metric direction"),
    (REPORT, "environment", "harness python libraries backend device batch_size attention"),
    (REPORT, "environment", "tensor_parallel kv_cache_dtype serving_quantization determinism"),
    (REPORT, "environment", "sampling_scheme"),
    (_EVIDENCE, "evidence", "response_policy runs"),
)
_ABSENT_IS_VALUE = ("prompting.system_prompt", "prompting.prefill")
_INSTEAD = {"hyperparameters.warmup_steps": "warmup_ratio", "hyperparameters.epochs": "steps"}
MANDATORY: tuple[Mandatory, ...] = tuple(
    Mandatory(path, when, path in _ABSENT_IS_VALUE, _INSTEAD.get(path))
    for when, section, names in _FIELDS
    for path in (f"{section}.{name}".removeprefix(".") for name in names.split())
)
