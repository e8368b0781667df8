"""How values read on the board: hostile text made harmless to look at, absences in words."""

from __future__ import annotations

import unicodedata
from typing import Any

from markupsafe import Markup, escape

from safebench.card.base import NotReported

# Characters that change how their neighbours are drawn: bidirectional overrides and isolates.
_BIDI = {*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x061C}


def clean(text: str) -> str:
    """Return text in which invisible control characters are visible, as `<U+202E>`.

    Line breaks and tabs stay. Lone surrogates, which no encoding can carry, are shown as well.
    """
    if text.isascii() and text.isprintable():  # nearly every text, and read at once
        return text
    return "".join(c if _plain(c) else f"<U+{ord(c):04X}>" for c in text)


def _plain(char: str) -> bool:
    if char in "\n\t":
        return True
    return ord(char) not in _BIDI and unicodedata.category(char) not in {"Cc", "Cs", "Zl", "Zp"}


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
