"""Engines by the name given with --backend: one line for each.

An engine's module is imported when the engine is opened, so that a dry run needs no model library.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable

from safebench.models.interface import Engine, EngineSpec

OURS = "hf"
"""The engine whose noise does not depend on the batch."""
LOADING = frozenset({OURS, "vllm"})
"""Engines that load weights as the card says: dtype and quantization."""
ENGINES = {
    OURS: "transformers_engine:HfEngine",
    "azure-openai-chat-completions": "openai_engine:OpenAIEngine",
    "local-chat-completions": "openai_engine:OpenAIEngine",
    "local-completions": "openai_engine:OpenAIEngine",
    "openai-chat-completions": "openai_engine:OpenAIEngine",
    "openai-completions": "openai_engine:OpenAIEngine",
    "vllm": "vllm_engine:VllmEngine",
}
"""Module and class of each engine; lm-eval's other models share one."""


def open_engine(spec: EngineSpec) -> Engine:
    """Return the engine of a name; any name not listed above is looked up in lm-eval.

    Raises:
        ModelError: no such backend, or an argument is wrong.
        MissingDependencyError: its package is not installed.
    """
    module, _, kind = ENGINES.get(spec.name, "lm_eval_engine:LmEvalEngine").partition(":")
    found: Callable[[EngineSpec], Engine] = getattr(
        importlib.import_module(f"safebench.models.{module}"), kind
    )
    return found(spec)
