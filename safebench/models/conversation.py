"""The chat template of a card, and the check that it sends the whole conversation.

A template may refuse a role, and one without a place for `system` may drop it silently; lm-eval
then leaves the message out, and the responses are those of a run without it. So each message is
looked for in the rendered text. The card gives the day that a template writes and its further
arguments: `bind` adds them to every call of a tokenizer's `apply_chat_template`, whichever library
makes it, and bounds what the template may spend.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, cast

from safebench.card.base import NotReported, require
from safebench.card.card import Card
from safebench.card.model import ChatTemplateFromFile, ChatTemplateFromTokenizer, NoChatTemplate
from safebench.card.pinned import check_same, update
from safebench.errors import CardError, SafebenchError
from safebench.models.quiet import raised_as
from safebench.models.rendering import TemplateFailedError, names_read, try_chat

LEFT_OUT = "take prompting.system_prompt out of the card, or give a template that has a place for \
it (model.chat_template: {source: file, path: ...})"
"""The remedy where a template has no place for a system prompt."""
PLACE = "model.chat_template"
"""Where a card names its chat template."""
DEFAULT_TEMPLATE = "default"
"""Name of the template that is applied, where a tokenizer has several."""
_PROBE = "What is the capital of France?"
_CLOCK = "strftime_now"
_DATES = "dates_of_the_card"
_FIXED_CLOCK = f"{{% macro {_CLOCK}(format) %}}{{{{ {_DATES}[format] }}}}{{% endmacro %}}\n"
"""Put before a template that asks for the date; Jinja drops the line break after it."""
_ALWAYS = frozenset(
    f"messages tools documents add_generation_prompt raise_exception range namespace dict {_CLOCK}"
    " bos_token eos_token pad_token unk_token sep_token cls_token mask_token".split()
)
"""Names that a template may read without an argument of the card."""
_MAX_BYTES = 2**20

Template = ChatTemplateFromTokenizer | ChatTemplateFromFile
"""A card's entry for a template that exists."""


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
    except SafebenchError:
        raise
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


@dataclass
class _Bound:
    """A tokenizer's `apply_chat_template`, with what the card says of its template."""

    tokenizer: Any
    place: str
    date: str | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self, conversation: Any, *rest: Any, **named: Any) -> Any:
        """Render as the tokenizer's class does, after a trial has stayed within bounds."""
        named = {**self.arguments, **named}
        several = bool(conversation) and isinstance(conversation[0], list | tuple)
        text, dates = self._text(named), dict[str, str]()
        for messages in conversation if several else [conversation]:
            if text is not None:
                dates |= try_chat(text, self._values(messages, named), self.place, self.date)
        if text is not None and dates:
            # transformers hands a template plain data alone, and its own clock.
            named |= {"chat_template": _FIXED_CLOCK + text, _DATES: dates}
        own = type(self.tokenizer).apply_chat_template
        return own(self.tokenizer, conversation, *rest, **named)

    def _text(self, named: Mapping[str, Any]) -> str | None:
        text = named.get("chat_template") or self.tokenizer.chat_template
        if text and not isinstance(text, str):
            text = self.tokenizer.get_chat_template()
        return text or None  # where there is none, the tokenizer says so

    def _values(self, messages: Iterable[Mapping[str, Any]], named: Any) -> dict[str, Any]:
        """Return the values that transformers gives a template."""
        return {
            "messages": [{k: v for k, v in one.items() if v is not None} for one in messages],
            "tools": named.get("tools"),
            "documents": None,
            "add_generation_prompt": False,
            **getattr(self.tokenizer, "special_tokens_map", {}),
            **{name: value for name, value in named.items() if name not in taken_arguments()},
        }


def bind(
    tokenizer: Any,
    place: str,
    *,
    date: str | None = None,
    arguments: Mapping[str, Any] | None = None,
) -> None:
    """Have a tokenizer render its chat template as a card says, in every library that asks it.

    Args:
        tokenizer: Changed in place.
        place: Where the card says what follows, for messages.
        date: Day that the template gets, YYYY-MM-DD, at 00:00; without it, asking is refused.
        arguments: Further values for the template, as in the card: `a.b` is `b` in a mapping `a`.

    Raises:
        CardError: the date is invalid, or the template never reads it or an argument.
    """
    given = nested(arguments or {})
    text = tokenizer.chat_template
    if (date or given) and isinstance(text, str):
        _check_read(text, place, date, given)
    tokenizer.apply_chat_template = _Bound(tokenizer, place, date, given)


def _check_read(text: str, place: str, date: str | None, given: Mapping[str, Any]) -> None:
    try:
        names = names_read(text, place)
    except TemplateFailedError as problem:
        raise CardError(f"{place}: no Jinja template: {problem}", fix="correct it") from problem
    if date is not None:
        try:
            datetime.fromisoformat(date)
        except ValueError:
            raise CardError(f"{place}.date is {date}: no such day", fix="give a day") from None
        if _CLOCK not in names:
            raise CardError(
                f"{place}.date is {date}, but the template never asks for the date",
                fix="take the date out of the card",
            )
    for name in given:
        if name in taken_arguments():
            raise CardError(
                f"{place}.arguments.{name} is an argument of the tokenizer, not of its template",
                fix="leave it out",
            )
        if name not in names:
            read = ", ".join(sorted(set(names) - _ALWAYS)) or "none"
            raise CardError(
                f"{place}.arguments.{name} is given, but the template never reads it",
                fix=f"take it out of the card; arguments that this template reads: {read}",
            )


def nested(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return arguments as a template gets them: `a.b` becomes the key `b` of a mapping `a`."""
    made: dict[str, Any] = {}
    for name, value in arguments.items():
        *outer, last = name.split(".")
        at = made
        for key in outer:
            at = at.setdefault(key, {})
        at[last] = value
    return made


@cache
def taken_arguments() -> frozenset[str]:
    """Return the names that `apply_chat_template` takes for itself."""
    try:
        from transformers import PreTrainedTokenizerBase
    except ImportError:  # then nothing is executed either
        return frozenset()
    taken = inspect.signature(PreTrainedTokenizerBase.apply_chat_template).parameters
    return frozenset(taken) - {"add_generation_prompt", "documents", "kwargs"}


def bind_template(tokenizer: Any, template: Template, place: str) -> None:
    """Bind a tokenizer to what a card says of its template; raises CardError as `bind` does."""
    date = require(template.date, f"{place}.date")
    arguments = require(template.arguments, f"{place}.arguments")
    bind(tokenizer, place, date=date, arguments=arguments)


def pin_template(card: Card, folder: Path, tokenizer: Any) -> tuple[Card, bool]:
    """Give the tokenizer the card's chat template; tell whether there is one."""
    template = cast("Template | NoChatTemplate", require(card.loadable_model.chat_template, PLACE))
    if isinstance(template, NoChatTemplate):
        return card, False
    if isinstance(template, ChatTemplateFromFile):
        path = template_file(template.path, folder, PLACE)
        tokenizer.chat_template = path.read_text(encoding="utf-8")
    digest = template_digest(tokenizer, template, PLACE)
    bind_template(tokenizer, template, PLACE)
    with raised_as(CardError, f"{PLACE}: the template cannot render a question"):
        question = [{"role": "user", "content": _PROBE}]
        tokenizer.apply_chat_template(question, tokenize=False, add_generation_prompt=True)
    require_system_prompt(tokenizer, card.system_prompt)
    return update(card, model={"chat_template": {"sha256": digest}}), True


def keep_default_template(tokenizer: Any) -> None:
    """Keep only the default of several named chat templates of a tokenizer."""
    templates = getattr(tokenizer, "chat_template", None)
    if isinstance(templates, Mapping) and DEFAULT_TEMPLATE in templates:
        tokenizer.chat_template = templates[DEFAULT_TEMPLATE]


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
    if not isinstance(tokenizer.chat_template, str):
        raise CardError(
            f"{pointer}.source is `tokenizer`, but the tokenizer carries the templates "
            f"{', '.join(map(str, tokenizer.chat_template))}, and none is called "
            f"{DEFAULT_TEMPLATE}",
            fix="copy the one that is meant to a file: source: file, with its path",
        )
    digest = hashlib.sha256(tokenizer.chat_template.encode()).hexdigest()
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
