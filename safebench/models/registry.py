"""Engines by the name given with --backend: one line for each kind.

Openers import their engine when they are called, so that a dry run needs no model library.
"""

from __future__ import annotations

from collections.abc import Callable

from safebench.models.interface import Engine, EngineSpec

OURS = "hf"
"""The engine whose noise does not depend on the batch."""
LOADING = frozenset({OURS, "vllm"})
"""Engines that load weights as the card says: dtype and quantization."""


def _transformers(spec: EngineSpec) -> Engine:
    from safebench.models.transformers_engine import HfEngine

    return HfEngine(spec)


def _openai(spec: EngineSpec) -> Engine:
    from safebench.models.openai_engine import OpenAIEngine

    return OpenAIEngine(spec)


def _lm_eval(spec: EngineSpec) -> Engine:
    from safebench.models.lm_eval_engine import LmEvalEngine

    return LmEvalEngine(spec)


def _vllm(spec: EngineSpec) -> Engine:
    from safebench.models.vllm_engine import VllmEngine

    return VllmEngine(spec)


ENGINES: dict[str, Callable[[EngineSpec], Engine]] = {
    OURS: _transformers,
    "azure-openai-chat-completions": _openai,
    "local-chat-completions": _openai,
    "local-completions": _openai,
    "openai-chat-completions": _openai,
    "openai-completions": _openai,
    "vllm": _vllm,
}


def open_engine(spec: EngineSpec) -> Engine:
    """Return the engine of a name; any name not listed above is looked up in lm-eval.

    Raises:
        ModelError: no such backend, or an argument is wrong.
        MissingDependencyError: its package is not installed.
    """
    return ENGINES.get(spec.name, _lm_eval)(spec)
