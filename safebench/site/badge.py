"""A badge of an entry: its level, and what its change from base is read as; for a README."""

from __future__ import annotations

from markupsafe import Markup

from safebench.site.board_rows import BoardRow
from safebench.site.svg import draw

_READ_AS = {
    "worse": "less safe",
    "better": "safer",
    "no_change": "no change",
    "cannot_tell": "undecided",
}
_LETTER = 6.4
"""Width of a letter in pixels, on average; `textLength` makes it exact."""


def badge_words(row: BoardRow) -> str:
    """Return what the change from base is read as; of an entry below the line, that it is not."""
    if row.missing or row.reading is None:
        return "not read"
    return _READ_AS.get(row.reading.word, "not read")


def draw_badge(row: BoardRow) -> Markup:
    """Return the badge as SVG, which stands alone and needs no style sheet."""
    parts = [("safebench", "name"), (row.level, "level"), (badge_words(row), "read")]
    left, boxes = 0.0, []
    for text, kind in parts:
        width = len(text) * _LETTER + 14
        boxes.append((text, kind, left, width))
        left += width
    return draw("badge", boxes=boxes, width=left, label=f"{row.level}, {badge_words(row)}")


def badge(row: BoardRow) -> bytes:
    """Return the badge as a file."""
    return f"{draw_badge(row)}\n".encode()
