"""Text of a stranger, as a terminal may see it."""

from __future__ import annotations


def visible(text: str) -> str:
    """Return a text with control and direction characters as escapes: cards are not trusted."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
