"""LaTeX: tables and a methods section to \\input; needs booktabs alone, any engine."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import replace

from safebench.analysis.report import ScoreReport
from safebench.cli.score_formats.paper import fill
from safebench.cli.tables import Table
from safebench.words import setting

_ESCAPES = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_\allowbreak{}",
    "/": r"/\allowbreak{}",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\symbol{34}",
    "`": r"\symbol{96}",
}
_MINUS = re.compile(r"(?<![\w.-])-(?=[.\d])")
_LIGATURES = re.compile(r"(?<=-)-|(?<=')'")
_LAST_LATIN = 0x17F
_NEXT = r" \\ "
_LONG = 40  # characters of a column that is set in lines
_BROKEN = 14  # characters of a head that is set in two lines
_FIRST, _OTHER = 0.34, 0.3
"""Shares of a line that columns set in lines take."""
_LINE, _CHAR, _GAP = 345.0, 4.4, 6.0
"""In pt: a line of LaTeX's article, a wide guess of a \\footnotesize letter, and what lies between
two columns. No table is wider than that line; one that would be is set as several."""


def render(report: ScoreReport) -> str:
    """Return the report in LaTeX; what a card says is escaped."""
    filters: dict[str, Callable[..., object]] = {
        "text": _text,
        "cell": _cell,
        "head": _head,
        "label": _label,
        "alignment": _alignment,
        "narrow": _narrow,
    }
    return fill("latex.tex", report, filters)


def _narrow(table: Table) -> list[Table]:
    """Return a table as one or several that fit a line; each begins with the first column."""
    first, *others = range(len(table.columns))
    parts, room = [[first]], _LINE - _width(table, first)
    for at in others:
        width = _width(table, at)
        if width > room and len(parts[-1]) > 1:
            parts.append([first])
            room = _LINE - _width(table, first)
        parts[-1].append(at)
        room -= width
    return [
        replace(
            table,
            columns=tuple(table.columns[at] for at in part),
            rows=tuple(
                replace(row, cells=tuple(row.cells[at] for at in part)) for row in table.rows
            ),
        )
        for part in parts
    ]


def _width(table: Table, at: int) -> float:
    """Return about how wide a column is, in pt."""
    head = max(map(len, _lines(table.columns[at].title)))
    if (share := _share(table, at)) is not None:
        return max(share * _LINE, head * _CHAR) + _GAP
    return max(head, _longest(table, at)) * _CHAR + _GAP


def _share(table: Table, at: int) -> float | None:
    """Return the share of a line that a column set in lines takes; None where it is not."""
    if _longest(table, at) <= _LONG:
        return None
    return _OTHER if at else _FIRST


def _longest(table: Table, at: int) -> int:
    return max(len(row.cells[at]) for row in table.rows)


def _alignment(table: Table) -> str:
    """Return how columns are set: long ones in lines, numbers at the right."""
    shares = [_share(table, at) for at in range(len(table.columns))]
    plain = ["l", *"r" * (len(shares) - 1)]
    return "".join(
        one if share is None else f"p{{{setting(share).lstrip('0')}\\linewidth}}"
        for one, share in zip(plain, shares, strict=True)
    )


def _head(title: str) -> str:
    """Return the head of a column; side by side, long ones would take a page's width."""
    lines = [_text(line) for line in _lines(title)]
    return lines[0] if len(lines) == 1 else rf"\shortstack[r]{{{_NEXT.join(lines)}}}"


def _lines(title: str) -> list[str]:
    """Return a head in lines: task above construct, or what is long in two."""
    task, found, construct = title.partition(": ")
    if found:
        return [task, construct]
    places = [at for at, char in enumerate(title) if char == " "]
    if len(title) <= _BROKEN or not places:
        return [title]
    at = min(places, key=lambda place: abs(place - len(title) / 2))
    return [title[:at], title[at + 1 :]]


def _cell(cell: str) -> str:
    # After \\ a bracket would be read as an optional argument.
    text = _text(cell)
    return f"{{}}{text}" if text.startswith(("[", "*")) else text


def _label(name: str) -> str:
    return "".join(c if c.isascii() and c.isalnum() else "-" for c in name)


def _text(text: str) -> str:
    """Return text that LaTeX prints as it stands, on one line.

    Characters other than Latin letters are given by number: no engine prints them all.
    """
    plain = "".join(_char(c) for c in " ".join(text.split()))
    return _MINUS.sub("$-$", _LIGATURES.sub(r"{}\g<0>", plain))


def _char(char: str) -> str:
    if char in _ESCAPES:
        return _ESCAPES[char]
    if char.isascii() and char.isprintable():
        return char
    if ord(char) <= _LAST_LATIN and unicodedata.category(char).startswith("L"):
        return char
    return f"[U+{ord(char):04X}]"
