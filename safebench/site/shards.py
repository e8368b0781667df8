"""data/v2: what the page's script sorts, filters and draws by, as classic scripts.

`fetch` and modules do not work on file://, so each file assigns data. `core.js` has what every view
needs: the entries in the order of the board, what is sorted by and what is chosen by; a file of
each group has the rest of its columns, and is loaded when a view shows one. `index.json` names all
with their digests, for other programs.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from safebench.site.board_rows import BoardRow
from safebench.site.columns import ON_PAGE, BoardColumn
from safebench.site.families import Ordered
from safebench.site.paging import BELOW
from safebench.site.shown import Shown
from safebench.site.text import clean

FOLDER = "data/v2"
SCHEMA = "safebench/board-data/2"
_GROUPS = ("board", "more")
"""A file each: columns that a page shows at first, and those that a reader asks for."""
_AS_WORDS = 4
"""So many times fewer different texts than entries, and each is written once."""


def shards(entries: Ordered) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of the scripts."""
    rows, main, lines = entries.rows, {}, []
    rest: dict[str, dict[str, Any]] = {group: {} for group in _GROUPS}
    for column in ON_PAGE:
        cells = [_clean(column.show(row)) for row in rows]
        found: dict[str, Any] = {"beside": _texts(cell.beside for cell in cells)}
        mains = _texts(cell.main for cell in cells)
        if column.is_default or column.is_choice:
            main[column.key] = mains
        else:
            found["main"] = mains
        if column is ON_PAGE[0]:
            lines = _lines(cells)  # what an entry is, which is searched too
        else:
            found["lines"] = _lines(cells)
        rest["board" if column.is_default else "more"][column.key] = found
    core = _core(entries, rows) | {"main": main, "lines": lines, "rest": {}}
    yield f"{FOLDER}/core.js", _script("window.safebench", core)
    for group, columns in rest.items():
        yield f"{FOLDER}/cols-{group}.js", _script(f"window.safebench.rest.{group}", columns)


def _core(entries: Ordered, rows: Sequence[BoardRow]) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "total": len(rows),
        "columns": [_declared(column) for column in ON_PAGE],
        "families": [
            {"name": clean(f.name), "sections": [[s.heading, len(s.rows)] for s in f.sections]}
            for f in entries.families
        ],
        "below": [BELOW, len(entries.below)],
        "ids": "\n".join(row.id for row in rows),
    }


def _declared(column: BoardColumn) -> dict[str, Any]:
    found = {
        "key": column.key,
        "head": column.head,
        "text": column.is_text,
        "order": column.order,
        "shown": column.is_default,
        "choice": column.is_choice,
        "plain": column.is_plain,
    }
    return {name: value for name, value in found.items() if value}


def _lines(cells: Sequence[Shown]) -> list[Any]:
    most = max((len(cell.subs) for cell in cells), default=0)
    return [_texts(c.subs[n] if n < len(c.subs) else "" for c in cells) for n in range(most)]


def _texts(given: Iterable[str]) -> Any:
    """Return texts in one: joined, or as different words with a number for each entry."""
    texts = list(given)
    words = list(dict.fromkeys(texts))
    if len(words) * _AS_WORDS > len(texts):
        return "\n".join(texts)
    number = {word: n for n, word in enumerate(words)}
    return [words, [number[text] for text in texts]]


def _clean(cell: Shown) -> Shown:
    lines = tuple(_line(sub) for sub in cell.subs)
    return Shown(_line(cell.main), _line(cell.beside), lines)


def _line(text: str) -> str:
    return clean(" ".join(text.split())) if "\n" in text or "\t" in text else clean(text)


def _script(name: str, content: Any) -> bytes:
    text = json.dumps(content, ensure_ascii=True, separators=(",", ":"))
    return f"{name}={text};\n".encode("ascii")


def index(sums: dict[str, str], sizes: dict[str, int], total: int) -> bytes:
    """Return index.json: every file of the folder, and what its columns are."""
    content = {
        "schema": SCHEMA,
        "entries": total,
        "columns": [
            _declared(column) | ({"formula": column.formula} if column.formula else {})
            for column in ON_PAGE
        ],
        "files": [
            {"path": name, "sha256": sums[name], "bytes": sizes[name]} for name in sorted(sums)
        ],
    }
    return (json.dumps(content, indent=1, ensure_ascii=True) + "\n").encode("ascii")
