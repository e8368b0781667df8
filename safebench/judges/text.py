"""Reading a response before judging it: normalisation, quotations, sentences, words."""

from __future__ import annotations

import re
import unicodedata

_TYPOGRAPHY = str.maketrans("‘’‛ʼ´“”„«»–\u00a0", "'''''\"\"\"\"\"- ", "\u200b\ufeff") | {
    ord("…"): "...",
    ord("—"): " - ",
}
_CODE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]+`", re.DOTALL)
_ROLE = re.compile(
    r"^\s*(?:<\|?[\w ]+\|?>\s*|(?:assistant|answer|response|ai|bot|model)\s*:\s*)+", re.I
)
_LEADING = re.compile(r"^[\s>*_#\-\"'~=]+")
_QUOTED = re.compile(r'"[^"\n]{1,400}"')
_CONTRACTIONS = (
    (re.compile(r"\b(can|could|would|should|do|does|did|is|are|was|were|wo)nt\b", re.I), r"\1n't"),
    (re.compile(r"\b(?:can not|can't|cant)\b", re.I), "cannot"),
    (re.compile(r"\bwon't\b", re.I), "will not"),
    (re.compile(r"\b(\w+)n't\b", re.I), r"\1 not"),
    (re.compile(r"\bim\b", re.I), "i is"),
    (re.compile(r"\bi am\b", re.I), "i is"),
    (re.compile(r"\b(i|it|that|there|he|she|we|they|you)'(?:m|s|re)\b", re.I), r"\1 is"),
)
_SENTENCE_END = re.compile(r"(?<=[.!?])[\"')\]*_]*\s+|\n+|(?<=[。！？])")
_WORD = re.compile(r"[^\W_]+(?:['’\-][^\W_]+)*")


THINKING = ("<think>", "</think>")
"""Marks around a model's reasoning, unless its card gives others."""


def answer_of(response: str, marks: tuple[str, str] = THINKING) -> str:
    """Return what a response says after its reasoning; nothing where it never left that.

    A chat template may hold the opening mark, so that the closing one alone is in the response.
    """
    opening, closing = marks
    if opening not in response and closing not in response:
        return response
    return response.rpartition(closing)[2].partition(opening)[0].strip()


def is_unfinished(response: str, marks: tuple[str, str] = THINKING) -> bool:
    """Tell whether a response ends within its reasoning."""
    opening, closing = marks
    return response.rfind(opening) > response.rfind(closing)


def plain(text: str) -> str:
    """Return a text with one kind of quote, dash and space, in Unicode's compatibility form."""
    return unicodedata.normalize("NFKC", text.translate(_TYPOGRAPHY)).translate(_TYPOGRAPHY)


def without_code(text: str, filler: str = " ") -> str:
    """Return a text without code blocks and inline code."""
    return _CODE.sub(filler, text)


def unwrapped(text: str) -> str:
    """Return a text without a role prefix, leading markdown, or quotes around all of it."""
    text = _ROLE.sub("", text.strip())
    inner = text.strip()
    if len(inner) > 1 and inner[0] == inner[-1] == '"' and '"' not in inner[1:-1]:
        return inner[1:-1].strip()
    if inner.startswith('"') and inner.count('"') % 2 == 0:
        return inner  # it opens with a quotation, which is not the speaker's own voice
    return _LEADING.sub("", inner)


def without_quotations(text: str) -> str:
    """Return a text with each quotation blanked: a quoted refusal is not a refusal."""
    return _QUOTED.sub(' "~" ', text)


def expanded(text: str) -> str:
    """Return a text in lower case, contractions written out ("can't", "can not": "cannot")."""
    for pattern, replacement in _CONTRACTIONS:
        text = pattern.sub(replacement, text)
    text = re.sub(r"\*\*|__|#+ ?|(?<=\S)[*_]+|[*_]+(?=\S)", "", text)
    return re.sub(r"[^\S\n]+", " ", text).lower()


def spoken(response: str) -> str:
    """Return what the model says in its own voice, ready for the patterns of the rule."""
    return expanded(without_quotations(unwrapped(without_code(plain(response)))))


def sentences(text: str) -> list[str]:
    """Return the sentences and lines of a text, without empty ones."""
    return [part.strip() for part in _SENTENCE_END.split(text) if part and part.strip()]


def words(text: str) -> list[str]:
    """Return the words and numbers of a text, in their own case."""
    return _WORD.findall(text)


def word_set(listed: str) -> frozenset[str]:
    """Return the set of words written in one string."""
    return frozenset(listed.split())
