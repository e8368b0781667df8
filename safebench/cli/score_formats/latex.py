"""LaTeX: tables and a methods section to \\input; needs booktabs alone, any engine."""

from __future__ import annotations

import re
import unicodedata

from safebench.analysis.report import ScoreReport
from safebench.cli.score_formats.paper import fill
from safebench.cli.tables import Table

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
_LONG = 40  # characters of a first column that is set in lines


def render(report: ScoreReport) -> str:
    """Return the report in LaTeX; what a card says is escaped."""
    return fill(
        "latex.tex",
        report,
        {"text": _text, "cell": _cell, "head": _head, "label": _label, "alignment": _alignment},
    )


def _alignment(table: Table) -> str:
    """Return the alignment of columns: a long first column is wrapped, numbers are at the right."""
    longest = max(len(row.cells[0]) for row in table.rows)
    first = "p{.34\\linewidth}" if longest > _LONG else "l"
    return first + "r" * (len(table.columns) - 1)


def _head(title: str) -> str:
    """Return the head of a column, the task above the construct to save width."""
    task, found, construct = title.partition(": ")
    return rf"\shortstack[r]{{{_text(task)} \\ {_text(construct)}}}" if found else _text(title)


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
