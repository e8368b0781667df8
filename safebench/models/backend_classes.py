"""lm-eval's classes of models: finding one by name, and what its arguments may be."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from lm_eval.api.registry import get_model, model_registry

from safebench.errors import MissingDependencyError, ModelError, visible
from safebench.models.backend_api import ATTEMPTS, REPLY_SECONDS
from safebench.models.backend_args import Value

OURS = frozenset({"hf", "hf-auto", "huggingface", "safebench_hf"})
"""Names under which our own engine answers."""

OPENAI = frozenset(
    {
        "azure-openai-chat-completions",
        "litellm",
        "litellm-chat",
        "litellm-chat-completions",
        "local-chat-completions",
        "local-completions",
        "openai-chat-completions",
        "openai-completions",
    }
)
"""Classes whose requests have OpenAI's form, with a field for a seed."""
SEEDED = OPENAI | {"vllm"}
"""Classes that can send a seed for every response."""
_EXTRAS = {"vllm": "vllm", "vllm-vlm": "vllm", "openvino": "optimum"}


def backend_names() -> list[str]:
    """Return the names of lm-eval's models that can answer."""
    return sorted(name for name in model_registry if name not in OURS)


def find_class(name: str) -> Any:
    """Return lm-eval's class of that name.

    Raises:
        ModelError: there is none.
        MissingDependencyError: its package is not installed.
    """
    if name in OURS:
        raise ModelError(
            f"backend {name!r} is lm-eval's own for transformers",
            fix="leave --backend out: safebench loads transformers weights itself",
        )
    if name not in model_registry:
        known = backend_names()
        near = get_close_matches(name, known, n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else f"one of: {', '.join(known)}"
        raise ModelError(f"no backend named {name!r}", fix=hint)
    try:
        return get_model(name)
    except ImportError as problem:
        raise missing(name, problem) from problem


def missing(name: str, problem: ImportError) -> MissingDependencyError:
    """Return the error that says what to install."""
    extra = "litellm" if name.startswith("litellm") else _EXTRAS.get(name)
    if extra is None and (name in OPENAI or "[api]" in str(problem)):
        extra = "api"
    return MissingDependencyError(
        f"backend {name!r} needs a package that is not installed: {first_line(problem)}",
        fix=f'pip install "lm-eval[{extra}]"' if extra else f"pip install {problem.name or name}",
    )


def api_arguments(
    name: str, cls: Any, args: Mapping[str, Value], *, served: bool = False
) -> dict[str, Value]:
    """Return the arguments of an API's class with its defaults.

    `served`: there is no tokenizer here, so that text is sent, unless the arguments name one.

    Raises:
        ModelError: the class takes no such argument, or one of them cannot be.
    """
    taken = {
        parameter
        for base in cls.__mro__
        for parameter in inspect.signature(base.__init__).parameters
    } - {"self", "args", "kwargs"}
    for argument in args:
        if argument not in taken:
            near = get_close_matches(argument, sorted(taken), n=1)
            raise ModelError(
                f"backend {name} takes no argument {argument!r}",
                fix=f"did you mean {near[0]}?" if near else "leave it out",
            )
    filled = dict(args)
    if not {"model", "pretrained"} & set(filled):
        filled["model"] = "{model}"
    has_tokenizer = bool({"tokenizer", "tokenizer_backend"} & set(filled))
    if served and not has_tokenizer:
        # Otherwise lm-eval would ask the Hub, or OpenAI, for one of the model's name.
        filled["tokenizer_backend"], filled["tokenized_requests"] = None, False
    elif name == "local-completions" and not has_tokenizer:
        # lm-eval would ask the server for one, then the Hub for one of the model's name.
        filled["tokenizer_backend"], filled["tokenizer"] = "huggingface", "{base}"
        filled.setdefault("revision", "{revision}")
    if name.startswith("local-") and not filled.get("base_url"):
        raise ModelError(
            f"backend {name} needs the address of its server",
            fix="give base_url=http://HOST:PORT/v1/chat/completions (or /v1/completions)",
        )
    for argument, default in (
        ("num_concurrent", 1),
        ("max_retries", ATTEMPTS),
        ("timeout", REPLY_SECONDS),
    ):
        positive(filled, argument, default)
    return filled


def positive(args: Mapping[str, Value], name: str, default: int) -> int:
    """Return an argument that counts something; raises ModelError."""
    value = args.get(name, default)
    if type(value) is not int or value < 1:
        raise ModelError(
            f"backend argument {name}={value!r} is not a whole number of at least 1",
            fix=f"give {name}={default}",
        )
    return value


def first_line(problem: BaseException) -> str:
    """Return the first line of what a library raised, short and printable."""
    lines = str(problem).strip().splitlines()
    return visible(lines[0][:300]) if lines else type(problem).__name__
