"""The engine that a run generates with, chosen by its settings."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from safebench.card.base import NotReported, Section, require
from safebench.card.model import ApiModel, ChatTemplateFromFile, WeightsModel
from safebench.card.results import Environment
from safebench.errors import ModelError, RunError
from safebench.models.arguments import parse_backend_args
from safebench.models.conversation import PLACE, nested
from safebench.models.interface import Engine, EngineSpec
from safebench.models.registry import LOADING, OURS, open_engine
from safebench.study.api_models import names_of
from safebench.study.plan import Plan


@dataclass(frozen=True)
class Settings:
    """How to execute a plan; nothing here changes what the card asks for."""

    batch_size: int = 256
    device: str | None = None
    """Of torch; the accelerator if there is one when None, all of them when `auto`."""
    threads: int | None = None
    """Threads of one CPU operation; the library's choice if None."""
    attention: str | None = None
    """Attention implementation of transformers; its choice if None."""
    backend: str = OURS
    """`hf` is ours; otherwise an lm-eval model by name."""
    backend_args: str = ""
    """Its arguments, as lm-eval's --model_args."""
    executor: str = "local"
    """Where the workers run: `local` is this machine, `ray` a cluster."""
    workers: int | None = None
    """Units done at once; by default one on each accelerator, or one where there is none."""
    save_state_every: float = 15.0
    """Minutes between two states of a fine-tuning that it can go on from; 0 saves none."""
    address: str | None = None
    """Of a Ray cluster; None starts an instance on this machine."""


def make_engine(plan: Plan, settings: Settings, device: str) -> Engine:
    """Return the engine of a run; weights are loaded when they are first used.

    Raises:
        ModelError: no such backend, or an argument is wrong.
        MissingDependencyError: its package is not installed.
        RunError: arguments that the backend does not take.
    """
    ours, model = settings.backend == OURS, plan.card.model
    if not ours and settings.attention is not None:
        raise RunError(
            f"--attention is for the backend {OURS}, and --backend is {settings.backend}",
            fix="name it in --backend-args, as that backend calls it",
        )
    if ours and settings.backend_args:
        raise RunError(
            f"--backend-args is given, but the backend {OURS} takes none",
            fix="use --device, --attention and --batch-size, or name another --backend",
        )
    spec = EngineSpec(
        plan.base,
        plan.tokenizer,
        name=settings.backend,
        args=parse_backend_args(settings.backend_args),
        batch_size=settings.batch_size,
    )
    if settings.backend in LOADING:
        loaded: WeightsModel = plan.card.loadable_model
        rank = getattr(getattr(plan.card.hyperparameters, "lora", None), "r", None)
        spec = replace(
            spec,
            dtype=str(require(loaded.dtype, "model.dtype")),
            quantization=str(require(loaded.quantization, "model.quantization")),
            adapter_rank=rank if isinstance(rank, int) else None,
            device=device,
            attention=settings.attention,
        )
        return open_engine(spec)
    if isinstance(model, ApiModel):
        spec = replace(spec, names=names_of(model), served=True)
    spec = replace(spec, template_arguments=_template_arguments(model))
    engine = open_engine(spec)
    if engine.takes_chat:
        _check_templated_there(model, engine)
    if spec.served and not engine.is_server:
        raise ModelError(
            f"model.access is `api`, and the backend {settings.backend} asks no HTTP server "
            "in a form that is known here",
            fix="use local-chat-completions or local-completions with the server's base_url, "
            "or openai-chat-completions",
        )
    return engine


def _template_arguments(model: ApiModel | WeightsModel) -> dict[str, Any]:
    """Return the card's arguments of the chat template, nested as a server takes them."""
    given: Any
    if isinstance(model, ApiModel):
        given, place = model.template_arguments, "model.template_arguments"
    else:
        given, place = getattr(model.chat_template, "arguments", None), f"{PLACE}.arguments"
    return nested(require(given, place) or {})


def _check_templated_there(model: ApiModel | WeightsModel, engine: Engine) -> None:
    """Refuse a template's file and date where the server applies a template of its own.

    Raises:
        RunError: the card gives one of them.
    """
    template = getattr(model, "chat_template", None)
    for is_set, what in (
        (isinstance(template, ChatTemplateFromFile), "is a file"),
        (getattr(template, "date", None) is not None, "has a date"),
    ):
        if is_set:
            raise RunError(
                f"model.chat_template {what}, but the backend {engine.name} sends conversations: "
                "its server applies a template and a clock of its own",
                fix="use local-completions, for which the template is applied here",
            )


def environment_of(engine: Engine, declared: Environment | None = None) -> dict[str, Any]:
    """Return an engine's part of the environment as plain values.

    What the engine cannot know about its server is taken from `declared`, the plan's environment.
    """
    fields = {
        name: getattr(declared, name, value) if isinstance(value, NotReported) else value
        for name, value in engine.environment().items()
    }
    return {
        name: value.model_dump(mode="json") if isinstance(value, Section) else value
        for name, value in fields.items()
    }
