"""What lm-eval's results say of the prompts of a task, and the prompts as its samples hold them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from safebench.errors import visible
from safebench.importing.draft.facts import Fact, show
from safebench.importing.lm_eval import results as lm_eval
from safebench.importing.lm_eval.doc import Doc
from safebench.importing.lm_eval.folder import Run
from safebench.importing.record import Record
from safebench.importing.sent import (
    EXAMPLES,
    PREFILL,
    SYSTEM,
    TEMPLATE,
    Header,
    Sent,
    words_of_template,
)

_ROLES = frozenset({"system", "user", "assistant"})
_EXPLAINED = ("description", "gen_prefix")
"""Of a task's configuration: what is put around its prompts."""


def header_of(run: Run, first: Doc) -> Header:
    """Return what the results say of the prompts of a task, of which one is given."""
    record = run.results
    if record is None:
        return Header(run.samples)
    template = record.data.get("chat_template")
    template = template if isinstance(template, str) and template else None
    return Header(
        record.file,
        tuple(_said(record, run.task, first)),
        template=template,
        in_turns=record.flag("fewshot_as_multiturn"),
        words=_words(record, run.task, template),
    )


def _said(record: Record, task: str, first: Doc) -> Iterator[Fact]:
    keys = {EXAMPLES: f"n-shot.{task}", PREFILL: f"configs.{task}.gen_prefix"}
    for fact in lm_eval.facts(record):
        of_column = fact.place == PREFILL and str(fact.value) in first.doc
        if fact.place in (SYSTEM, TEMPLATE) or (keys.get(fact.place) == fact.key and not of_column):
            yield fact


def _words(record: Record, task: str, template: str | None) -> frozenset[str] | None:
    """Return the words around a prompt that the results explain; None where they leave some out."""
    configs = record.mapping("configs")
    config = configs.mapping(task) if configs else None
    if config is None or not {"chat_template", "system_instruction"} <= set(record.data):
        return None
    if template is None and record.data.get("chat_template_sha") is not None:
        return None
    arguments = lm_eval.model_arguments(record.mapping("config") or Record(record.file, {}))
    texts = [template or "", str(arguments), *(str(config.data.get(key)) for key in _EXPLAINED)]
    if any("{{" in text for text in texts[2:]):  # what a document makes of it is not known here
        return None
    return _ROLES.union(*map(words_of_template, texts))


def sent_of(doc: Doc, context: str, prompt: str | None, header: Header) -> Sent:
    """Return a prompt as it was sent; `context` is the text of its request."""
    return Sent(doc.at, _turns(context), header, prompt)


def _turns(context: str) -> tuple[tuple[str, str], ...]:
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


def other_settings(run: Run, sent: dict[str, Any], *, differ: bool) -> Iterator[str]:
    """Yield what the results say of the decoding and the samples do not; `differ`: of the task."""
    record = run.results
    configs = record.mapping("configs") if record else None
    config = configs.mapping(run.task) if configs else None
    if record is None or config is None:
        return
    keys = [config.key("generation_kwargs")] if differ else []
    given = (record.mapping("config") or config).data.get("gen_kwargs")
    keys += [
        f"config.gen_kwargs.{name} {show(value)}"
        for name, value in _pairs(given)
        if name in sent and _number(sent[name]) != _number(value)
    ]
    for key in keys:
        yield (
            f"{visible(str(run.samples))}: {run.task} was asked with other settings than "
            f"{visible(key)} of {visible(str(record.file))} says; those of the samples count"
        )


def _pairs(given: Any) -> Iterable[tuple[str, Any]]:
    """Return the settings of a command line, which older results keep as a text."""
    if isinstance(given, dict):
        return list(given.items())
    parts = (part.partition("=") for part in given.split(",")) if isinstance(given, str) else ()
    return [(name.strip(), value.strip()) for name, sign, value in parts if sign]


def _number(value: Any) -> object:
    """Return a value of which 1 and 1.0, and True and true, are the same."""
    text = str(value).strip().lower()
    try:
        return float(text)
    except ValueError:
        return text
