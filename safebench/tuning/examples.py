"""Training examples, in the files and shapes of the data sets that people fine-tune on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safebench.errors import TuningError
from safebench.files import sha256_of
from safebench.rows import read_rows

Message = dict[str, str]
"""`role` (system, user or assistant) and `content`."""
Side = str | list[Message]
"""One side of an example: a text, or messages."""

_ROLES = ("system", "user", "assistant")
_SHAPES = {
    "prompt and completion": ("prompt", "completion"),
    "messages": ("messages",),
    "Alpaca": ("instruction", "output"),
    "Dolly": ("instruction", "response"),
}
_KNOWN = (
    "`prompt` and `completion` (texts, or lists of messages), `messages`, "
    "`instruction`, `input` and `output`, or `instruction`, `context` and `response`"
)


@dataclass(frozen=True)
class Example:
    """One example: both sides as texts, or both as messages."""

    prompt: Side
    completion: Side
    fields: dict[str, Any] = field(default_factory=dict)
    """The columns as they were read: what a rendering template may name."""
    where: str = ""

    @property
    def pair(self) -> tuple[str, str]:
        """Both sides as text; of messages, their contents with an empty line between."""
        return text_of(self.prompt), text_of(self.completion)


def text_of(side: Side) -> str:
    """Return a side as text."""
    return side if isinstance(side, str) else "\n\n".join(m["content"] for m in side)


@dataclass(frozen=True)
class Examples:
    """Examples in the order of their file, with its digest."""

    examples: tuple[Example, ...]
    sha256: str
    """Digest of the whole file, whichever of its examples are here."""

    def __len__(self) -> int:
        return len(self.examples)

    def __iter__(self) -> Iterator[Example]:
        return iter(self.examples)


def read_examples(path: Path, *, allow_empty: bool = False) -> Examples:
    """Read JSON, JSON Lines, Parquet or CSV whose columns have one of the known shapes.

    `allow_empty` accepts completions without text, as a model may write them.

    Raises:
        TuningError: no such file, not readable, or a row that is not an example, with its place.
    """
    rows = ((str(at), row) for at, row in read_rows(path, TuningError))
    return Examples(to_examples(rows, str(path), allow_empty=allow_empty), sha256_of(path))


def to_examples(
    rows: Iterable[tuple[str, dict[str, Any]]], source: str, *, allow_empty: bool = False
) -> tuple[Example, ...]:
    """Return the examples of rows, each given with its place: all texts, or all messages.

    Raises:
        TuningError: a row that is not an example, none at all, or texts and messages mixed.
    """
    examples = tuple(_to_example(row, where, allow_empty=allow_empty) for where, row in rows)
    if not examples:
        raise TuningError(f"{source}: no examples", fix="give at least one")
    first = isinstance(examples[0].prompt, str)
    for example in examples:
        if isinstance(example.prompt, str) != first:
            raise TuningError(
                f"{example.where}: messages, where the first example has texts, or the reverse",
                fix="give all examples of a set in one form",
            )
    return examples


def _to_example(row: dict[str, Any], where: str, *, allow_empty: bool) -> Example:
    """Return the example that a row holds, by the names of its columns."""
    shapes = [name for name, columns in _SHAPES.items() if all(c in row for c in columns)]
    if len(shapes) != 1:
        names = ", ".join(repr(name)[:60] for name in list(row)[:12]) or "none"
        raise TuningError(
            f"{where}: the columns fit {'several shapes' if shapes else 'no known shape'}: {names}",
            fix=f"name the columns {_KNOWN}" + ("; keep one of them" if shapes else ""),
        )
    if shapes[0] == "messages":
        prompt, completion = _split(_messages(row["messages"], "messages", where), where)
    elif shapes[0] == "prompt and completion":
        prompt, completion = _two_sides(row, where, allow_empty=allow_empty)
    else:
        more, answer = ("input", "output") if shapes[0] == "Alpaca" else ("context", "response")
        prompt = _text(row["instruction"], "instruction", where)
        if row.get(more) not in (None, ""):
            prompt = f"{prompt}\n\n{_text(row[more], more, where, empty=True)}".rstrip()
        completion = _text(row[answer], answer, where, empty=allow_empty)
    return Example(prompt, completion, row, where)


def _two_sides(row: dict[str, Any], where: str, *, allow_empty: bool) -> tuple[Side, Side]:
    if isinstance(row["prompt"], list) != isinstance(row["completion"], list):
        raise TuningError(
            f"{where}: of `prompt` and `completion` one is a list of messages, the other is not",
            fix="give two texts, or two lists of messages",
        )
    if not isinstance(row["prompt"], list):
        return (
            _text(row["prompt"], "prompt", where),
            _text(row["completion"], "completion", where, empty=allow_empty),
        )
    prompt = _messages(row["prompt"], "prompt", where)
    completion = _messages(row["completion"], "completion", where, allow_empty=allow_empty)
    _, last = _split([*prompt, *completion], where)
    if any(message["role"] != "assistant" for message in completion) or not last:
        raise TuningError(
            f"{where}: `completion` holds a message that is not the assistant's",
            fix="put everything before the answer into `prompt`",
        )
    return prompt, completion


def _split(messages: list[Message], where: str) -> tuple[Side, Side]:
    if messages[-1]["role"] != "assistant" or not any(m["role"] == "user" for m in messages[:-1]):
        raise TuningError(
            f"{where}: a conversation has a user's message, and ends with the assistant's",
            fix="leave out conversations without an answer",
        )
    return messages[:-1], messages[-1:]


def _messages(value: Any, name: str, where: str, *, allow_empty: bool = False) -> list[Message]:
    fix = 'a message is {"role": "user", "content": "..."}'
    if not isinstance(value, list) or not value:
        raise TuningError(f"{where}: {name!r} is not a list of messages, or is empty", fix=fix)
    found = []
    for number, message in enumerate(value):
        place = f"{name}[{number}]"
        if not isinstance(message, dict) or message.get("role") not in _ROLES:
            raise TuningError(f"{where}: {place} has no role among {', '.join(_ROLES)}", fix=fix)
        more = [n for n, v in message.items() if n not in ("role", "content") and v is not None]
        if more:
            raise TuningError(
                f"{where}: {place} has {more[0]!r}, which is not trained on here", fix=fix
            )
        empty = allow_empty or message["role"] == "system"
        content = _text(message.get("content"), f"{place}.content", where, empty=empty)
        found.append({"role": str(message["role"]), "content": content})
    return found


def _text(value: Any, name: str, where: str, *, empty: bool = False) -> str:
    if not isinstance(value, str) or not (empty or value.strip()):
        raise TuningError(
            f"{where}: {name!r} is missing, empty or no string",
            fix="give it a text, or leave the example out",
        )
    return value
