"""A remedy that a program can apply: operations of RFC 6902 on a card, and on its text.

The text keeps its comments and its layout: what changes is a key, a value, or a line. Every change
is read again, and is made only where the text then says exactly what the operations say.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Sequence
from typing import Any

from safebench.card.document import Document, Edit, Patch, Pointer, ReadError
from safebench.card.read import parse_document
from safebench.card.shape import get
from safebench.card.write import flow, key

_LINE = re.compile(r"\r\n|\r|\n")


def patched(data: Any, patch: Patch) -> Any:
    """Return a copy of plain data after some operations; raises LookupError or TypeError."""
    data = copy.deepcopy(data)
    for edit in patch:
        value = edit.value
        if edit.op == "move":
            value = get(data, edit.source[:-1]).pop(edit.source[-1])
        holder, last = get(data, edit.path[:-1]), edit.path[-1]
        if edit.op == "remove":
            del holder[last]
        elif edit.op != "replace" and isinstance(holder, list):
            holder.insert(int(last), value)
        else:
            holder[last] = value
    return data


def patched_text(raw: bytes, name: str, patch: Patch) -> bytes | None:
    """Return the bytes of a card after some operations; None where its layout does not allow it."""
    try:
        wanted = patched(parse_document(raw, name).data, patch)
        text = raw.decode()
        for edit in patch:
            document = parse_document(text.encode(), name)
            text = _edited(text, document, edit)
        found = parse_document(text.encode(), name).data
    except (ReadError, LookupError, TypeError, ValueError):
        return None
    return text.encode() if _same(found, wanted) else None


def _same(one: Any, other: Any) -> bool:
    # repr tells 1 from 1.0 and true; a field that was moved may have another place among its fields
    return repr(one) == repr(other) or (one == other and type(one) is type(other))


def _edited(text: str, document: Document, edit: Edit) -> str:
    at = _Offsets(text)
    if edit.op == "remove":
        return _without(text, at, document, edit.path)
    if edit.op == "replace":
        start, end = at.span(document.values[edit.path])
        return text[:start] + flow(edit.value) + text[end:]
    if edit.op == "move" and edit.source[:-1] == edit.path[:-1]:
        start, end = at.span(document.keys[edit.source])
        return text[:start] + key(str(edit.path[-1])) + text[end:]
    if edit.op == "add":
        return _with(text, at, document, edit.path, flow(edit.value))
    start, end = at.span(document.values[edit.source])
    written = text[start:end]  # as somebody wrote it, 2e-5 and not 0.00002
    value = flow(get(document.data, edit.source)) if "\n" in written else written
    text = _without(text, at, document, edit.source)
    document = parse_document(text.encode(), document.path)
    return _with(text, _Offsets(text), document, edit.path, value)


def _with(text: str, at: _Offsets, document: Document, path: Pointer, value: str) -> str:
    """Return a text in which a mapping begins with one more field."""
    entry = f"{key(str(path[-1]))}: {value}"
    holder = path[:-1]
    start, _ = at.span(document.values[holder])
    if text[start : start + 1] == "{":
        more = ", " if get(document.data, holder) else ""
        return f"{text[: start + 1]}{entry}{more}{text[start + 1 :]}"
    first = min(p for k, p in document.keys.items() if k[:-1] == holder)
    start = at.of(first.line, first.column)
    newline = "\r\n" if "\r\n" in text else "\n"
    return f"{text[:start]}{entry}{newline}{' ' * (first.column - 1)}{text[start:]}"


def _without(text: str, at: _Offsets, document: Document, path: Pointer) -> str:
    """Return a text without a field, its line included where it stands alone on it."""
    start, _ = at.span(document.keys[path])
    _, end = at.span(document.values[path])
    line = at.of(document.keys[path].line, 1)
    after = _LINE.search(text, end)
    rest = text[end : after.start() if after else None].strip()
    if not text[line:start].strip() and not rest:
        return text[:line] + (text[after.end() :] if after else "")
    if not text[line:start].strip() and rest.startswith("#"):
        return text[:start] + text[end:].lstrip(" ")
    if following := re.match(r"\s*,\s*", text[end:]):
        return text[:start] + text[end + following.end() :]
    before = re.search(r",\s*\Z", text[:start])
    return text[: before.start() if before else start] + text[end:]


class _Offsets:
    """Where lines of a text begin."""

    def __init__(self, text: str) -> None:
        mark = 1 if text.startswith("\ufeff") else 0  # which no place counts
        self._starts = [mark, *(match.end() for match in _LINE.finditer(text))]

    def of(self, line: int, column: int) -> int:
        return self._starts[line - 1] + column - 1

    def span(self, place: Sequence[int]) -> tuple[int, int]:
        line, column, end_line, end_column = place
        return self.of(line, column), self.of(end_line, end_column)
