"""What lm-eval's results declare about prompts, and the prompts as its samples hold them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from safebench.errors import visible
from safebench.importing.facts import Fact, show
from safebench.importing.lm_eval.docs import Doc
from safebench.importing.lm_eval.folder import Run
from safebench.importing.lm_eval.results import model_arguments
from safebench.importing.prompts import (
    EXAMPLES,
    PREFILL,
    SYSTEM,
    TEMPLATE,
    PromptHeader,
    words_of_template,
)

_ROLES = frozenset({"system", "user", "assistant"})
_AROUND = ("description", "gen_prefix")
"""Keys of a task's configuration whose text surrounds its prompts."""


def header_of(run: Run, facts: Iterable[Fact], first: Doc) -> PromptHeader:
    """Return what the results declare about a task's prompts.

    Args:
        run: The task.
        facts: What its results say.
        first: One of its prompts.
    """
    record = run.results
    if record is None:
        return PromptHeader(run.samples)
    template = record.data.get("chat_template")
    template = template if isinstance(template, str) and template else None
    return PromptHeader(
        record.file,
        tuple(fact for fact in facts if _declares(fact, run.task, first)),
        template=template,
        in_turns=record.flag("fewshot_as_multiturn"),
        words=_words(run, template),
    )


def _declares(fact: Fact, task: str, first: Doc) -> bool:
    if fact.place == PREFILL:  # which may name a column of the documents
        return fact.key == f"configs.{task}.gen_prefix" and str(fact.value) not in first.doc
    return fact.place in (SYSTEM, TEMPLATE) or (
        fact.place == EXAMPLES and fact.key == f"n-shot.{task}"
    )


def _words(run: Run, template: str | None) -> frozenset[str] | None:
    """Return the words around a prompt that the results explain; None where some are missing."""
    top = {} if run.results is None else run.results.data
    if (
        run.results is None
        or not run.config.data
        or not {
            "chat_template",
            "system_instruction",
        }
        <= set(top)
    ):
        return None
    if template is None and top.get("chat_template_sha") is not None:
        return None
    arguments = model_arguments(run.results.at("config"))
    around = [str(run.config.data.get(key)) for key in _AROUND]
    if any("{{" in text for text in around):  # filled in from each document
        return None
    return _ROLES.union(*map(words_of_template, [template or "", str(arguments), *around]))


def turns_of(context: str) -> tuple[tuple[str, str], ...]:
    """Return the turns of a chat, which lm-eval keeps as JSON, or the text as one."""
    try:
        chat = json.loads(context) if context.startswith("[{") else None
    except (ValueError, RecursionError):
        chat = None
    messages = chat if isinstance(chat, list) else []
    turns = [
        (str(one["role"]), _text(one.get("content")))
        for one in messages
        if isinstance(one, dict) and "role" in one
    ]
    return tuple(turns) if turns and len(turns) == len(messages) else (("", context),)


def _text(content: Any) -> str:
    parts = content if isinstance(content, list) else [content]
    texts = (part.get("text") if isinstance(part, dict) else part for part in parts)
    return "\n".join(text for text in texts if isinstance(text, str))


def other_settings(run: Run, used: dict[str, Any], *, differ: bool) -> Iterator[str]:
    """Yield remarks on settings of decoding that the results name and the samples do not have.

    `used` are those of the samples; `differ`: the task's own are others.
    """
    if run.results is None or not run.config.data:
        return
    keys = [run.config.key("generation_kwargs")] if differ else []
    # on the command line or in older results, settings are one text
    overrides = run.results.at("config").data.get("gen_kwargs")
    keys += [
        f"config.gen_kwargs.{name} {show(value)}"
        for name, value in _pairs(overrides)
        if name in used and _number(used[name]) != _number(value)
    ]
    for key in keys:
        yield (
            f"{visible(str(run.samples))}: {run.task} was asked with other settings than "
            f"{visible(key)} of {visible(str(run.results.file))} says; those of the samples count"
        )


def _pairs(settings: Any) -> Iterable[tuple[str, Any]]:
    if isinstance(settings, dict):
        return settings.items()
    parts = settings.split(",") if isinstance(settings, str) else ()
    pairs = (part.partition("=") for part in parts)
    return [(name.strip(), value.strip()) for name, sign, value in pairs if sign]


def _number(value: Any) -> object:
    """Return a value of which 1 and 1.0, and True and true, are the same."""
    text = str(value).strip().lower()
    try:
        return float(text)
    except ValueError:
        return text
