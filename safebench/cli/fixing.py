"""`safebench validate --fix`: remedies that leave no choice, written into the card."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from safebench.card.document import Document, Edit, Pointer, dotted
from safebench.card.patch import patched_text
from safebench.card.read import parse_document, read_bytes
from safebench.card.shape import get
from safebench.card.write import flow
from safebench.checks import check_document
from safebench.files import leads_out, replace_file

_MOST = 1_000
"""Changes of one card: each of them may bring another problem to light."""


def fix_file(path: Path) -> Iterator[str]:
    """Mend a card where only one remedy is possible; yield what was changed, in words.

    The file is written once, after the last change, and not at all where nothing is to be done.

    Raises:
        ReadError: it cannot be read.
    """
    if leads_out(path):
        return
    raw = before = read_bytes(path)
    for _ in range(_MOST):
        document = parse_document(raw, str(path))
        mended = _mended(document, raw, path)
        if mended is None:
            break
        raw, words = mended
        yield from words
    if raw != before:
        replace_file(path, raw)


def _mended(document: Document, raw: bytes, path: Path) -> tuple[bytes, list[str]] | None:
    # Nothing that lies beside the card is looked at: structure and plain rules have the remedies.
    for finding in check_document(document, None).findings:
        better = patched_text(raw, str(path), finding.patch) if finding.patch else None
        if better is not None and better != raw:
            where = f"{path}:{finding.line}"
            return better, [f"{where}: {_words(edit, document)}" for edit in finding.patch]
    return None


def _words(edit: Edit, document: Document) -> str:
    name = dotted(edit.path)
    if edit.op == "move":
        return f"{dotted(edit.source)} -> {name}"
    if edit.op == "add":
        return f"{name}: {flow(edit.value)} (added)"
    old = flow(_old(document, edit.path))
    return f"{name}: {old} -> {flow(edit.value) if edit.op == 'replace' else '(removed)'}"


def _old(document: Document, pointer: Pointer) -> object:
    return get(document.data, pointer)
