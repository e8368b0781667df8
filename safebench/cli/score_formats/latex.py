"""LaTeX: tables and a methods section to \\input; needs booktabs alone, any engine."""

from __future__ import annotations

import re
import unicodedata

from safebench.analysis.report import ScoreReport
from safebench.cli.score_formats.paper import Grid, paper

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
    found = paper(report)
    parts = ["% \\usepackage{booktabs}  % made by safebench score --format latex"]
    parts += [_table(grid) for grid in found.grids]
    parts.append("\\paragraph{Methods.} " + _text(found.title) + ".")
    parts += [f"\\paragraph{{{_text(p.heading)}.}} {_text(p.text)}" for p in found.paragraphs]
    return "\n\n".join(parts)


def _table(grid: Grid) -> str:
    longest = max(len(row[0]) for row in grid.rows)
    first = "p{.34\\linewidth}" if longest > _LONG else "l"
    columns = first + "r" * (len(grid.head) - 1)
    return "\n".join(
        [
            "\\begin{table}",
            "\\centering\\footnotesize\\setlength{\\tabcolsep}{3pt}",
            f"\\caption{{{_text(grid.caption)}}}",
            f"\\label{{tab:{_label(grid.name)}}}",
            f"\\begin{{tabular}}{{{columns}}}",
            "\\toprule",
            _row(grid.head),
            "\\midrule",
            *(_row(row) for row in grid.rows),
            "\\bottomrule",
            "\\end{tabular}",
            "\\end{table}",
        ]
    )


def _row(cells: tuple[str, ...]) -> str:
    return " & ".join(_cell(cell) for cell in cells) + r" \\"


def _cell(cell: str) -> str:
    # After \\ a bracket would be read as an optional argument.
    text = _text(cell)
    return f"{{}}{text}" if text.startswith(("[", "*")) else text


def _label(name: str) -> str:
    return "".join(c if c.isascii() and c.isalnum() else "-" for c in name)


def _text(text: str) -> str:
    """Return text that LaTeX prints as it stands, on one line.

    Beyond Latin letters a character is named by its number: no engine prints them all.
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
