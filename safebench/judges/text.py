"""Reading a response before judging it: normalisation, quotations, sentences, words, spelling."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from functools import cache, lru_cache
from pathlib import Path
from typing import Final, Generic, TypeVar

_REMEMBERED: Final = 1 << 16
T = TypeVar("T")
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
_CAN_NOT = re.compile(r"\bcan not\b", re.I)
_CONTRACTED = re.compile(r"'|nt|im", re.I)
_CONTRACTIONS = (
    (re.compile(r"\b(can|could|would|should|do|does|did|is|are|was|were|wo)nt\b", re.I), r"\1n't"),
    (re.compile(r"\b(?:can't|cant)\b", re.I), "cannot"),
    (re.compile(r"\bwon't\b", re.I), "will not"),
    (re.compile(r"\b(\w+)n't\b", re.I), r"\1 not"),
    (re.compile(r"\bim\b", re.I), "i is"),
    (re.compile(r"\b(i|it|that|there|he|she|we|they|you)'(?:m|s|re)\b", re.I), r"\1 is"),
)
"""Contractions without a space, in all of which `_CONTRACTED` is found."""
_I_AM = re.compile(r"\bi am\b", re.I)
_I_AM_NEEDS = ("i am", "ı am", "\u0307 am")
"""What a lower-case text has where it finds something: "İ" becomes two characters."""
_SPACES = ("  ", *"\t\x0b\x0c\r\x1c\x1d\x1e\x1f")
"""What there is to be made one space of, in ASCII."""
_CLOSED = re.compile(r"([.!?])[\"')\]*_]+(?=\s)")
_ENDS = tuple((mark, f"{mark}\n") for mark in (". ", "! ", "? ", "。", "！", "？"))
_LOWER = re.compile(r"[a-z]{2,}")
_WORD = re.compile(r"[^\W_]+(?:['’\-][^\W_]+)*")


class ByPiece(dict[str, T], Generic[T]):
    """What a function says of a piece of text, remembered: texts are made of the same few words."""

    def __init__(self, function: Callable[[str], T]) -> None:
        """Remember nothing yet."""
        self._function = function

    def __missing__(self, piece: str) -> T:
        if len(self) >= _REMEMBERED:
            self.clear()
        self[piece] = found = self._function(piece)
        return found

    def of(self, pieces: Iterable[str]) -> Iterator[T]:
        """Return what is said of each piece."""
        return map(self.__getitem__, pieces)


@lru_cache(2)
def pieces(text: str) -> list[str]:
    """Return a text cut at its spaces and around its new lines; `" ".join` is nearly the text."""
    return text.replace("\n", " \n ").split(" ")


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
    if text.isascii():
        return text
    return unicodedata.normalize("NFKC", text.translate(_TYPOGRAPHY)).translate(_TYPOGRAPHY)


def without_code(text: str, filler: str = " ") -> str:
    """Return a text without code blocks and inline code."""
    return _CODE.sub(filler, text) if "`" in text else text


def unwrapped(text: str) -> str:
    """Return a text without a role prefix, leading markdown, or quotes around all of it."""
    inner = _behind(_ROLE, text.strip()).strip()
    if len(inner) > 1 and inner[0] == inner[-1] == '"' and '"' not in inner[1:-1]:
        return inner[1:-1].strip()
    if inner.startswith('"') and inner.count('"') % 2 == 0:
        return inner  # it opens with a quotation, which is not the speaker's own voice
    return _behind(_LEADING, inner)


def _behind(opening: re.Pattern[str], text: str) -> str:
    found = opening.match(text)
    return text[found.end() :] if found else text


def without_quotations(text: str) -> str:
    """Return a text with each quotation blanked: a quoted refusal is not a refusal."""
    return _QUOTED.sub(' "~" ', text) if '"' in text else text


def expanded(text: str) -> str:
    """Return a text in lower case, contractions written out ("can't", "can not": "cannot")."""
    lowered = text.lower()
    if "can not" in lowered:
        text = _CAN_NOT.sub("cannot", text)
    text = " ".join(_IN_FULL.of(pieces(text))).replace(" \n ", "\n")
    if any(need in lowered for need in _I_AM_NEEDS):
        text = _I_AM.sub("i is", text)
    if "*" in text or "_" in text or "#" in text:
        text = re.sub(r"\*\*|__|#+ ?|(?<=\S)[*_]+|[*_]+(?=\S)", "", text)
    if not text.isascii() or any(map(text.__contains__, _SPACES)):
        text = re.sub(r"[^\S\n]+", " ", text)
    return text.lower()


def _in_full(piece: str) -> str:
    if _CONTRACTED.search(piece):
        for pattern, replacement in _CONTRACTIONS:
            piece = pattern.sub(replacement, piece)
    return piece


_IN_FULL = ByPiece(_in_full)


def spoken(response: str) -> str:
    """Return what the model says in its own voice, ready for the patterns of the rule."""
    return expanded(without_quotations(unwrapped(without_code(plain(response)))))


def sentences(text: str) -> list[str]:
    """Return the sentences and lines of a `spoken` text, without empty ones."""
    text = _CLOSED.sub(r"\1", text)
    for end, ended in _ENDS:
        text = text.replace(end, ended)
    return [part for line in text.split("\n") if (part := line.strip())]


def words(text: str) -> list[str]:
    """Return the words and numbers of a text, in their own case."""
    return _WORD.findall(text)


def word_set(listed: str) -> frozenset[str]:
    """Return the set of words written in one string."""
    return frozenset(listed.split())


@cache
def _triples() -> frozenset[str]:
    """Return the triples of letters that common English words have; `_` is a word's boundary.

    letters.txt is built by tools/letters from the 20,000 commonest English words: a line for each
    pair of letters, with all letters that may follow it.
    """
    lines = Path(__file__).with_name("letters.txt").read_text(encoding="ascii").splitlines()
    return frozenset(pair + letter for pair, letters in map(str.split, lines) for letter in letters)


def misspelt(word: str) -> bool:
    """Tell whether a lower-case word has a triple of letters that no common English word has."""
    if not _LOWER.fullmatch(word):
        return False
    bounded, known = f"_{word}_", _triples()
    return any(bounded[i : i + 3] not in known for i in range(len(word)))
