"""How an entry, and a board, are cited: BibTeX and CITATION.cff."""

from __future__ import annotations

import re
from collections.abc import Sequence

import yaml

from safebench import __version__
from safebench.card.base import NotReported
from safebench.card.digest import protocol_digest
from safebench.site.board import Board
from safebench.site.board_rows import BoardRow
from safebench.site.sources import Entry
from safebench.site.text import clean

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{char: f"\\{char}" for char in "&%$#_{}"},
}


def bibtex(entry: Entry, row: BoardRow, board: Board) -> str:
    """Return an entry as a record of BibTeX; everything that TeX would act on is escaped."""
    about = entry.card.submission
    who = about.submitter
    name = None if isinstance(who, NotReported) else who.name
    author = name if isinstance(name, str) else row.organisation
    date = about.date if isinstance(about.date, str) else None
    parts = {
        "title": f"{{{_tex(row.title)}}}",
        "author": f"{{{_tex(author)}}}",
        "organization": _tex(row.organisation),
        "year": None if date is None else date[:4],
        "howpublished": _tex(f"{board.title}, entry {entry.id}"),
        "url": board.url and _tex(board.url),
        "note": f"Level {row.level}; protocol sha256 {protocol_digest(entry.card)[:12]}",
    }
    lines = [f"  {key} = {{{value}}}" for key, value in parts.items() if value]
    return f"@misc{{{re.sub(r'[^a-z0-9-]', '-', entry.id)},\n" + ",\n".join(lines) + "\n}"


def _tex(text: str) -> str:
    return "".join(_SPECIAL.get(char, char) for char in " ".join(clean(text).split()))


def citation_file(board: Board, rows: Sequence[BoardRow]) -> bytes:
    """Return CITATION.cff of a board, version 1.2.0; its date is the last card's."""
    dates = sorted(row.date for row in rows if row.date)
    content = {
        "cff-version": "1.2.0",
        "message": "If you use this board, please cite it, and the entries whose numbers you use.",
        "type": "dataset",
        "title": clean(board.title),
        "authors": [{"name": f"The submitters of {clean(board.title)}"}],
        **({"abstract": clean(board.description)} if board.description else {}),
        **({"url": board.url} if board.url else {}),
        **({"date-released": dates[-1]} if dates else {}),
        "keywords": ["safety", "fine-tuning", "language models", f"safebench {__version__}"],
    }
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100).encode()
