"""From examples to training text: chat template, plain text, or a rendering template."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safebench.card.base import require
from safebench.card.data import RenderingTemplate
from safebench.card.model import ChatTemplateFromFile, NoChatTemplate, WeightsModel
from safebench.errors import CardError, TuningError
from safebench.models.conversation import (
    bind_template,
    missing_from,
    plain,
    template_digest,
    template_file,
)
from safebench.models.loading import load_tokenizer, locate
from safebench.models.quiet import raised_as
from safebench.models.rendering import TemplateFailedError, names_read, render
from safebench.tuning.examples import Example, text_of
from safebench.tuning.interface import Rows

_UNKNOWN_ROLE = "leave out a role that it does not know (often `system`), or give another template"


@dataclass(frozen=True)
class FileTemplate:
    """A Jinja template that renders the prompt of an example; its completion stays as it is."""

    template: str
    path: Path
    sha256: str


def read_template(
    template: str | RenderingTemplate, folder: Path, pointer: str
) -> str | FileTemplate:
    """Return `chat` or `plain` as it is, a file's template compiled.

    Raises:
        CardError: no such file, not UTF-8, other bytes than the card says, or no Jinja.
    """
    if isinstance(template, str):
        return template
    path = template_file(template.path, folder, pointer)
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    if template.sha256 != digest:
        raise CardError(
            f"{pointer}.sha256 is not that of {path}, which is {digest}",
            fix="use the file that the card was made with, or give its actual digest",
        )
    try:
        text = content.decode()
        names_read(text, str(path), chat=False)
    except (UnicodeDecodeError, TemplateFailedError) as problem:
        raise CardError(
            f"{pointer}.path: {path}: not a Jinja template in UTF-8 ({problem})",
            fix="correct the template",
        ) from problem
    return FileTemplate(text, path, digest)


def as_rows(
    examples: Iterable[Example], template: str | FileTemplate, system_prompt: str | None
) -> Rows:
    """Return examples in a trainer's form: conversations, or prompt and completion as texts.

    The system prompt is put before conversations that have none of their own. A rendering template
    may name `prompt`, `completion` (as text) and the columns of the file.

    Raises:
        TuningError: messages where texts are needed, or the template cannot render an example.
    """
    return [_row(example, template, system_prompt) for example in examples]


def _row(
    example: Example, template: str | FileTemplate, system_prompt: str | None
) -> dict[str, Any]:
    prompt, completion = example.prompt, example.completion
    if isinstance(template, FileTemplate):
        return {"prompt": _rendered(example, template), "completion": text_of(completion)}
    if template == "plain":
        if isinstance(prompt, str):
            return {"prompt": prompt, "completion": completion}
        raise TuningError(
            f"{example.where}: messages cannot be joined as plain text",
            fix="set template: chat, or give a rendering template",
        )
    if isinstance(prompt, str):
        prompt = [{"role": "user", "content": prompt}]
    if isinstance(completion, str):
        completion = [{"role": "assistant", "content": completion}]
    if system_prompt and prompt[0]["role"] != "system":
        prompt = [{"role": "system", "content": system_prompt}, *prompt]
    return {"prompt": prompt, "completion": completion}


def _rendered(example: Example, template: FileTemplate) -> str:
    prompt, completion = example.pair
    values = {**example.fields, "prompt": prompt, "completion": completion}
    try:
        text = render(template.template, values, where=str(template.path))
        text.encode()
    except (TemplateFailedError, UnicodeEncodeError) as problem:
        raise TuningError(
            f"{example.where}: {template.path} cannot render this example: {problem}",
            fix="use only columns that every example has",
        ) from problem
    if not text.strip():
        raise TuningError(
            f"{example.where}: {template.path} renders this example as nothing",
            fix="correct the template",
        )
    return text


def rendered_sha256(rows: Sequence[dict[str, Any]], tokenizer: Any) -> str:
    """Return the SHA-256 of the examples as text, one JSON string a line.

    Raises:
        TuningError: there is no chat template, or it refuses an example.
    """
    digest = hashlib.sha256()
    for number, row in enumerate(rows, start=1):
        if isinstance(row["prompt"], str):
            text = row["prompt"] + row["completion"]
        else:
            text = _conversation(row["prompt"] + row["completion"], tokenizer, number)
        digest.update(json.dumps(text, ensure_ascii=False).encode() + b"\n")
    return digest.hexdigest()


def _conversation(messages: list[dict[str, str]], tokenizer: Any, number: int) -> str:
    if not tokenizer.chat_template:
        raise TuningError(
            "data.template is `chat`, but there is no chat template for training",
            fix="give model.chat_template or model.training_chat_template, or set template: plain",
        )
    what = f"the chat template cannot render training example {number}"
    with raised_as(TuningError, what, fix=_UNKNOWN_ROLE):
        text = str(tokenizer.apply_chat_template(messages, tokenize=False))
    # Earlier turns of the assistant may be shortened on purpose: many templates drop reasoning.
    lost = missing_from(text, [m for m in messages if m["role"] != "assistant"])
    if lost is not None:
        raise TuningError(
            f"the chat template leaves the {lost['role']} message of training example {number} "
            f"out: {plain(lost['content'])[:80]!r}",
            fix=_UNKNOWN_ROLE,
        )
    return text


def training_tokenizer(model: WeightsModel, folder: Path, tokenizer: Any) -> tuple[Any, str | None]:
    """Return the tokenizer for training, and the digest of its template if it has one of its own.

    `tokenizer` is the one for evaluation. It is returned as it is where the card has no
    `training_chat_template`, else a copy with that template.

    Raises:
        CardError: the template's file is missing, has other bytes, or the tokenizer has none.
    """
    pointer = "model.training_chat_template"
    template = require(model.training_chat_template, pointer)
    if template is None:
        return tokenizer, None
    training = copy.deepcopy(tokenizer)
    if isinstance(template, NoChatTemplate):
        training.chat_template = None
        return training, None
    if isinstance(template, ChatTemplateFromFile):
        path = template_file(template.path, folder, pointer)
        try:
            training.chat_template = path.read_bytes().decode()
        except UnicodeDecodeError as problem:
            raise CardError(
                f"{pointer}.path: {path}: not UTF-8", fix="save it as UTF-8"
            ) from problem
    elif isinstance(model.chat_template, ChatTemplateFromFile):
        # `tokenizer` carries the evaluation's template; the tokenizer's own is read again.
        revision = model.base.revision if isinstance(model.base.revision, str) else None
        own = load_tokenizer(locate(require(model.base.id, "model.base.id"), revision, folder))
        training.chat_template = own.chat_template
    digest = template_digest(training, template, pointer)
    bind_template(training, template, pointer)
    return training, digest
