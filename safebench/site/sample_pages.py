"""The pages of a submission that show prompts and responses, folded, where the board shows any."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from markupsafe import escape

from safebench.errors import EvidenceError
from safebench.site.pages import Pages
from safebench.site.paging import pager
from safebench.site.samples import Texts, has_texts, text_page, texts
from safebench.site.sources import Entry
from safebench.site.text import clean

_PROMPTS, _BYTES = 50, 90_000
"""Prompts of a page, and bytes of their texts: a page of hostile ones is no longer than others."""


def sample_pages(pages: Pages, submission: Entry, title: str) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of every page of texts; nothing where none is shown."""
    if not has_texts(submission, pages.board):
        return
    try:
        shown = texts(submission)
    except EvidenceError:  # numbers rest on outcomes alone, and may be right
        shown = None
    parts = list(_parts(shown.texts if shown else ()))
    # Relative to each other: all lie in one folder.
    links = [f"{n}.html" for n in range(1, len(parts) + 1)]
    for number, part in enumerate(parts, start=1):
        page = pages.render(
            "samples.html",
            id=submission.id,
            title=title,
            shown=shown,
            part=part,
            pager=pager(number, links),
            number=number,
            unit=submission.card.checkpoint_unit,
            root="../../",
        )
        yield text_page(submission.id, number), page.encode()


def _parts(every: Sequence[Texts]) -> Iterator[list[Texts]]:
    part: list[Texts] = []
    room = _BYTES
    for one in every:
        size = _size(one)
        if part and (len(part) == _PROMPTS or size > room):
            yield part
            part, room = [], _BYTES
        part.append(one)
        room -= size
    yield part


def _size(one: Texts) -> int:
    """Return the bytes that the texts of a prompt take on a page."""
    texts = (one.prompt.text, one.base.text, one.tuned.text, one.sample.prompt, one.sample.category)
    return sum(len(escape(clean(text or "")).encode()) for text in texts)
