"""The chat template of a card, and whether a conversation is in the text that it makes of it.

A template may refuse a role, and one that knows no `system` may pass over it in silence; lm-eval
then leaves the message out, and the responses are those of a run without it. So what was to be sent
is looked for in what was sent.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, cast

from safebench.card.base import NotReported, require
from safebench.card.card import Card
from safebench.card.model import ChatTemplateFromFile, ChatTemplateFromTokenizer, NoChatTemplate
from safebench.card.pinned import check_same, update
from safebench.errors import CardError

LEFT_OUT = "take prompting.system_prompt out of the card, or give a template that has a place for \
it (model.chat_template: {source: file, path: ...})"
"""What helps where a template has no place for a system prompt."""
_PROBE = "What is the capital of France?"
_MAX_BYTES = 2**20

Template = ChatTemplateFromTokenizer | ChatTemplateFromFile
"""What a card can say of a template that it has."""


def missing_from(text: str, messages: Iterable[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """Return the first message whose words are not in a text; None where all of them are.

    White space does not count, since templates trim it.
    """
    there = plain(text)
    return next((m for m in messages if plain(str(m["content"])) not in there), None)


def plain(text: str) -> str:
    """Return a text with single spaces."""
    return " ".join(text.split())


def require_system_prompt(tokenizer: Any, system_prompt: str | None) -> None:
    """Check that a tokenizer's chat template sends a system prompt, before anything is generated.

    Raises:
        CardError: it refuses the role, or leaves out what it says.
    """
    if not system_prompt:
        return
    messages = [
        {"role": "system", "content": system_prompt},
        {"role": "user", "content": _PROBE},
    ]
    try:
        text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    except Exception as problem:  # a template raises whatever its language lets it
        raise CardError(
            f"prompting.system_prompt is given, but the chat template refuses it: {problem}",
            fix=LEFT_OUT,
        ) from problem
    if missing_from(str(text), messages) is not None:
        raise CardError(
            "prompting.system_prompt is given, but the chat template leaves it out: of a "
            f"conversation with it the template makes {str(text)[:200]!r}",
            fix=LEFT_OUT,
        )


def pin_template(card: Card, folder: Path, tokenizer: Any) -> tuple[Card, bool]:
    """Give the tokenizer the card's chat template; tell whether there is one."""
    pointer = "model.chat_template"
    template = cast(
        "Template | NoChatTemplate", require(card.loadable_model.chat_template, pointer)
    )
    if isinstance(template, NoChatTemplate):
        return card, False
    if isinstance(template, ChatTemplateFromFile):
        path = template_file(template.path, folder, pointer)
        tokenizer.chat_template = path.read_text(encoding="utf-8")
    digest = template_digest(tokenizer, template, pointer)
    require_system_prompt(tokenizer, card.system_prompt)
    return update(card, model={"chat_template": {"sha256": digest}}), True


def template_digest(tokenizer: Any, template: Template, pointer: str) -> str:
    """Return the digest of a tokenizer's chat template.

    Raises:
        CardError: it has no template, or not the one whose digest stands at `pointer`.
    """
    if not tokenizer.chat_template:
        raise CardError(
            f"{pointer}.source is `tokenizer`, but the tokenizer carries no template",
            fix="set source: none, or source: file with a path",
        )
    digest = hashlib.sha256(str(tokenizer.chat_template).encode()).hexdigest()
    check_same(f"{pointer}.sha256", template.sha256, digest)
    return digest


def template_file(name: str | NotReported, folder: Path, pointer: str) -> Path:
    """Return a template's file, named at `pointer`.path relative to `folder`.

    Raises:
        CardError: it is not there, or is too large to be a template.
    """
    path = folder / require(name, f"{pointer}.path")
    if not path.is_file() or path.stat().st_size > _MAX_BYTES:
        raise CardError(
            f"{pointer}.path: {path}: no such file, or larger than 1 MiB",
            fix="give a Jinja file relative to the card",
        )
    return path
