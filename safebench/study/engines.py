"""The engine that a run generates with, chosen by its settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from safebench.card.base import Section, known
from safebench.card.model import WeightsModel
from safebench.errors import RunError
from safebench.models.engine import Engine, HfEngine
from safebench.study.plan import Plan
from safebench.study.runnable import loadable

OURS = "hf"


@dataclass(frozen=True)
class Settings:
    """How to execute, as far as it is not the card's to say."""

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


def make_engine(plan: Plan, settings: Settings, device: str) -> Engine:
    """Return what generates; a model of ours is loaded when it is first used.

    Raises:
        ModelError: no such backend, or an argument is wrong.
        MissingDependencyError: its package is not installed.
        RunError: arguments that the backend does not take.
    """
    if settings.backend != OURS:
        if settings.attention is not None:
            raise RunError(
                f"--attention is for the backend {OURS}, and --backend is {settings.backend}",
                fix="name it in --backend-args, as that backend calls it",
            )
        # lm-eval's clients of servers are not imported for nothing.
        from safebench.models.backends import NamedEngine, parse_backend_args

        return NamedEngine(
            settings.backend,
            parse_backend_args(settings.backend_args),
            base=plan.base.source,
            revision=plan.base.commit,
            tokenizer=plan.tokenizer,
            batch_size=settings.batch_size,
        )
    if settings.backend_args:
        raise RunError(
            f"--backend-args is given, but the backend {OURS} takes none",
            fix="use --device, --attention and --batch-size, or name another --backend",
        )
    model: WeightsModel = loadable(plan.card)
    return HfEngine(
        plan.base,
        plan.tokenizer,
        dtype=str(known(model.dtype, "model.dtype")),
        quantization=str(known(model.quantization, "model.quantization")),
        device=device,
        attention=settings.attention,
        batch_size=settings.batch_size,
    )


def described(engine: Engine) -> dict[str, Any]:
    """Return an engine's part of the environment as plain values."""
    return {
        name: value.model_dump(mode="json") if isinstance(value, Section) else value
        for name, value in engine.environment().items()
    }
