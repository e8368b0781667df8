"""The prompt template of a judge: read where the card says it is, checked, and filled in.

A template's text is never copied into a card. It lies in a file beside it, in an installed Python
distribution as a literal, or in the judge's own tokenizer; its SHA-256 (of the text, UTF-8) has to
be the card's. A distribution is read and never imported: its imports are heavy, and code of its
own. Filled in is literally what the card names, all places at once, so that a response that holds
`{prompt}` stays as it is.
"""

from __future__ import annotations

import ast
import hashlib
import re
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path, PurePosixPath
from typing import Any, Final

from safebench.card.base import NotReported, require
from safebench.card.judge import DistributionTemplate, FileTemplate, ModelJudge, OwnTemplate
from safebench.errors import CardError, JudgeError
from safebench.judges.interface import Exchange, Missing
from safebench.models.conversation import bind, missing_from, nested, taken_arguments
from safebench.models.interface import Conversation
from safebench.models.quiet import raised_as

TO_FILL: Final = "TO FILL IN"
"""Beginning of a value that a preset cannot know."""
_MAX_BYTES: Final = 2**20
_SYMBOL: Final = re.compile(r"(\w+)(?:\[(\d+)\])?")
_PROBE: Final = Exchange("What is the capital of France?", "It is Paris, on the river Seine.")


def template_of(entry: ModelJudge) -> FileTemplate | DistributionTemplate | OwnTemplate:
    """Return a judge's template; raises CardError where the card gives none."""
    found = require(entry.template, f"the template of judge {entry.name}")
    if found is None:
        raise CardError(
            f"judge {entry.name} has no template: nothing says where its prompt text comes from",
            fix="give `template` with source: file, distribution or tokenizer; `safebench judges` "
            "has those of known judges",
        )
    return found


def check_template(entry: ModelJudge, place: str) -> None:
    """Check that a template has places for what the judge sees, and for nothing else.

    Raises:
        CardError: names what does not fit.
    """
    template, alone = template_of(entry), entry.sees == "response"
    at = f"{place}.template"
    if isinstance(template, OwnTemplate):
        if template.prompt or template.response or not template.chat or template.system:
            raise CardError(
                f"{at}: the judge's own chat template is given a conversation, and has no places",
                fix="leave prompt, response, system and chat out",
            )
        if alone:
            raise CardError(
                f"{place}.sees is `response`, but a chat template is given the prompt, too",
                fix="set sees: prompt_and_response, or give a template of another source",
            )
        for name in template.arguments or {}:
            if name.partition(".")[0] in taken_arguments():
                raise CardError(
                    f"{at}.arguments.{name} is an argument of the tokenizer, not of its template",
                    fix="give what the template's text uses",
                )
        return
    if template.response is None:
        raise CardError(
            f"{at} has no `response`: nothing of it would be judged",
            fix="give the text that the response is put in place of, such as {response}",
        )
    if (template.prompt is None) is not alone:
        raise CardError(
            f"{at} has {'a' if alone else 'no'} `prompt`, but {place}.sees is `{entry.sees}`",
            fix="give the text that the prompt is put in place of, with sees: prompt_and_response; "
            "or leave it out, with sees: response",
        )
    if template.prompt == template.response:
        raise CardError(
            f"{at}: prompt and response have one place, {template.prompt!r}",
            fix="name the place of each",
        )
    if template.system and not template.chat:
        raise CardError(
            f"{at}.system is given, but with chat: false there is no message to put it in",
            fix="set chat: true, or write it into the template",
        )


def check_filled(entry: ModelJudge) -> None:
    """Check that a template's arguments have values; raises CardError where one is a placeholder.

    Apart from `check_template`, so that a dry run lists it with whatever else is missing.
    """
    for name, value in _unfilled(entry).items():
        raise CardError(
            f"judge {entry.name}: template.arguments.{name} is {value!r}", fix="give its value"
        )


def _unfilled(entry: ModelJudge) -> dict[str, str]:
    given = entry.template.arguments if isinstance(entry.template, OwnTemplate) else None
    texts = {name: str(value) for name, value in (given or {}).items()}
    return {name: text for name, text in texts.items() if text.startswith(TO_FILL)}


def read_template(entry: ModelJudge, folder: Path, tokenizer: Any = None) -> str:
    """Return the text of a judge's template.

    Args:
        entry: The card's judge.
        folder: Where the card lies.
        tokenizer: The judge's, for its own chat template.

    Raises:
        CardError, JudgeError: it is not there, is not the one that the card pins, or has no place
            for what is judged.
    """
    template = template_of(entry)
    check_filled(entry)
    if isinstance(template, FileTemplate):
        text, where = _file(folder / template.path, entry.name), str(folder / template.path)
    elif isinstance(template, DistributionTemplate):
        text = _literal(template, entry.name)
        where = f"{template.symbol} in {template.file} of {template.distribution}"
    else:
        text, where = tokenizer.chat_template, f"the chat template of {entry.id}"
        if not isinstance(text, str):
            raise JudgeError(
                f"judge {entry.name}: its tokenizer carries no chat template, or several",
                fix="give a template of another source",
            )
    digest = hashlib.sha256(text.encode()).hexdigest()
    pinned = entry.prompt_template_sha256
    if isinstance(pinned, NotReported) or pinned != digest:
        declared = "none" if isinstance(pinned, NotReported) else pinned
        raise JudgeError(
            f"judge {entry.name}: {where} has SHA-256 {digest}, but prompt_template_sha256 is "
            f"{declared}",
            fix="use the template that the card was made with; where this one is meant, give its "
            "digest, and the judge another name",
        )
    for name in ("prompt", "response"):
        mark = getattr(template, name)
        if mark is not None and mark not in text:
            raise JudgeError(
                f"judge {entry.name}: {where} has no {mark!r}, the place of the {name}",
                fix=f"give `template.{name}` as it stands in the text",
            )
    return text


def fill(entry: ModelJudge, text: str, exchange: Exchange) -> Conversation | str:
    """Return what a judge is asked about an exchange: messages, or a text that is sent as it is."""
    template = template_of(entry)
    if isinstance(template, OwnTemplate):
        user = {"role": "user", "content": exchange.prompt}
        return Conversation((user, {"role": "assistant", "content": exchange.response}))
    places = {str(template.response): exchange.response}
    if template.prompt is not None:
        places[template.prompt] = exchange.prompt
    marks = "|".join(re.escape(mark) for mark in sorted(places, key=len, reverse=True))
    filled = re.sub(marks, lambda found: places[found[0]], text)
    if not template.chat:
        return filled
    system = [{"role": "system", "content": template.system}] if template.system else []
    return Conversation((*system, {"role": "user", "content": filled}))


def render(entry: ModelJudge, tokenizer: Any, asked: Conversation | str) -> str:
    """Return what a judge is asked as text, by its tokenizer's chat template.

    Raises:
        JudgeError: the template refuses it.
    """
    if isinstance(asked, str):
        return asked
    arguments = nested(getattr(template_of(entry), "arguments", None) or {})
    arguments.setdefault("add_generation_prompt", True)
    with raised_as(JudgeError, f"judge {entry.name}: its chat template", fix="see `template`"):
        messages = [dict(message) for message in asked.messages]
        return str(tokenizer.apply_chat_template(messages, tokenize=False, **arguments))


def open_template(entry: ModelJudge, folder: Path, tokenizer: Any = None) -> str:
    """Return the text of a judge's template, ready to be filled in and rendered.

    The tokenizer, where there is one, is given the day and the arguments of the card, and its chat
    template is tried, before anything is spent.

    Raises:
        CardError, JudgeError: as `read_template`, or the chat template leaves something out, the
            system message say.
    """
    if tokenizer is None:
        return read_template(entry, folder)
    template = template_of(entry)
    arguments = template.arguments if isinstance(template, OwnTemplate) else None
    place = f"the template of judge {entry.name}"
    bind(tokenizer, place, date=template.date, arguments=arguments)
    text = read_template(entry, folder, tokenizer)
    asked = fill(entry, text, _PROBE)
    if isinstance(asked, Conversation):
        lacking = missing_from(render(entry, tokenizer, asked), asked.messages)
        if lacking is not None:
            raise JudgeError(
                f"judge {entry.name}: its chat template leaves out what the {lacking['role']} says",
                fix="take template.system out, or give a template with chat: false",
            )
    return text


def missing_template(entry: ModelJudge, folder: Path) -> list[Missing]:
    """Return what of a template is not on this machine; the judge's own lies by its weights."""
    if isinstance(entry.template, OwnTemplate):
        what = f"an argument of the template of judge {entry.name}:"
        return [
            Missing("template", f"{what} {name}", f"replace {text!r} in the card")
            for name, text in _unfilled(entry).items()
        ]
    if not isinstance(entry.template, FileTemplate | DistributionTemplate):
        return []
    try:
        read_template(entry, folder)
    except (CardError, JudgeError) as problem:
        return [Missing("template", str(problem), problem.fix or "")]
    return []


def _file(path: Path, name: str) -> str:
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise JudgeError(f"judge {name}: {path} is larger than 1 MiB", fix="give a template")
        return path.read_bytes().decode()
    except OSError as problem:
        raise JudgeError(
            f"judge {name}: {path}: {problem.strerror}",
            fix="put the template's file there; `safebench judges` says where known ones are",
        ) from problem
    except UnicodeDecodeError as problem:
        raise JudgeError(f"judge {name}: {path} is not UTF-8", fix="save it as UTF-8") from problem


def _literal(template: DistributionTemplate, name: str) -> str:
    """Return a literal of an installed distribution, read from its file."""
    get = f"pip install --no-deps {template.distribution}=={template.version}"
    try:
        installed: Distribution = distribution(template.distribution)
    except (PackageNotFoundError, ValueError):
        raise JudgeError(
            f"judge {name}: its template is in {template.distribution} {template.version}, which "
            "is not installed",
            fix=get,
        ) from None
    if installed.version != template.version:
        raise JudgeError(
            f"judge {name}: its template is in {template.distribution} {template.version}, and "
            f"{installed.version} is installed",
            fix=get,
        )
    path = PurePosixPath(template.file)
    if ".." in path.parts or path not in (installed.files or ()):
        raise JudgeError(
            f"judge {name}: {template.distribution} {template.version} has no {template.file}",
            fix="name the file as it stands in the distribution: package/module.py",
        )
    source = _file(Path(str(installed.locate_file(path))), name)
    found = _SYMBOL.fullmatch(template.symbol)
    try:
        literals = [] if found is None else _literals(ast.parse(source), found[1])
    except (SyntaxError, ValueError, RecursionError):
        literals = []
    place = int((found and found[2]) or 0)
    if place >= len(literals):
        raise JudgeError(
            f"judge {name}: {template.file} of {template.distribution} has no text "
            f"{template.symbol}; {len(literals)} under that name",
            fix="name a variable that a text is assigned to; NAME[1] is the second one",
        )
    return literals[place]


def _literals(tree: ast.Module, name: str) -> list[str]:
    """Return the texts assigned to a name anywhere in a module, in their order."""
    found = []
    for node in ast.walk(tree):
        targets = getattr(node, "targets", [getattr(node, "target", None)])
        value = getattr(node, "value", None)
        if (
            isinstance(node, ast.Assign | ast.AnnAssign)
            and any(isinstance(target, ast.Name) and target.id == name for target in targets)
            and isinstance(value, ast.Constant)
            and isinstance(value.value, str)
        ):
            found.append((node.lineno, value.value))
    return [text for _, text in sorted(found)]
