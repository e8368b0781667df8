"""How values read on the board: hostile text made harmless to look at, absences in words."""

from __future__ import annotations

import unicodedata
from typing import Any

from markupsafe import Markup, escape

from safebench.card.base import NotReported

# Characters that are drawn as nothing, and are no format characters (Cf) of Unicode: fillers, the
# grapheme joiner, vowels without a form, the empty braille pattern.
_BLANK = {0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0}
# Two format characters that scripts and emoji are written with; between plain letters they hide.
_JOINERS = "\u200c\u200d"


def clean(text: str) -> str:
    """Return text in which what cannot be seen is visible, as `<U+202E>` or `<U+200B>`.

    Controls, what turns the direction round, and characters of no width; joiners stay beside what
    is not ASCII. Line breaks and tabs stay. Lone surrogates, which no encoding can carry, are shown
    as well.
    """
    if text.isascii() and text.isprintable():  # nearly every text, and read at once
        return text
    return "".join(
        char if _plain(char) or _joins(text, at) else f"<U+{ord(char):04X}>"
        for at, char in enumerate(text)
    )


def _plain(char: str) -> bool:
    if char in "\n\t":
        return True
    code = ord(char)
    if code in _BLANK or code & 0xFFFE == 0xFFFE or 0xFDD0 <= code <= 0xFDEF:  # no characters
        return False
    return unicodedata.category(char) not in {"Cc", "Cf", "Cs", "Zl", "Zp"}


def _joins(text: str, at: int) -> bool:
    if text[at] not in _JOINERS:
        return False
    around = text[at - 1 : at], text[at + 1 : at + 2]
    return all(char and not char.isascii() and _plain(char) for char in around)


def finalize(value: Any) -> Any:
    """Clean whatever a template prints; markup made here passes as it is."""
    return clean(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def reported(value: object) -> object:
    """Return a value of a card, or its absence in words."""
    return f"not reported: {value.not_reported}" if isinstance(value, NotReported) else value


def ticks(text: str) -> Markup:
    """Return text with what stands between backticks as code."""
    parts = [escape(clean(part)) for part in text.split("`")]
    marked = (f"<code>{part}</code>" if i % 2 else str(part) for i, part in enumerate(parts))
    return Markup("").join(Markup(part) for part in marked)  # noqa: S704 - parts are escaped
