"""Places in English text that no writer leaves: impossible pairs of words, impossible spellings.

The pair lists hold closed-class words alone ("the of", "a the"), so content and style do not
matter. Only lower-case words are read, which leaves out names, acronyms and titles. A text in
another language is recognised by its commonest words or its letters and left alone.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

from safebench.judges.text import word_set

# "its" and "her" may end a phrase, so they are not here.
_DETERMINERS: Final = word_set("the a an my your our their his every")
_NO_NOUN: Final = word_set(
    "the a an of to and or but in is are was were be been for with from at by as that this these "
    "those it i you he she we they him them me us my your our their his its if then could would "
    "should because than into onto so who which what when where why how there here am until while"
)
_BE: Final = word_set("is are was were could would should")
_AFTER: Final = {
    **dict.fromkeys(_DETERMINERS, _NO_NOUN),
    "to": _BE | word_set("of i"),
    **dict.fromkeys(word_set("of with from into for by"), _BE | word_set("of be has have does")),
    **dict.fromkeys(
        word_set("i he she we they"), word_set("the a an of to for with my your at by")
    ),
    **dict.fromkeys(word_set("could would should cannot"), _BE | word_set("of to for with")),
    **dict.fromkeys(
        word_set("can't cannot won't don't doesn't didn't couldn't wouldn't"),
        _BE | word_set("of to for with the a an my your at by"),
    ),
    **dict.fromkeys(word_set("is are was were"), _BE),
    "and": word_set("or but"),
    "or": word_set("and but"),
}
"""Word -> words that cannot follow it."""
_FINE_PAIRS: Final = {
    "a": word_set("then to it what who because while is"),
    "the": word_set("then here who what why how when where if while this"),
    "an": word_set("if"),
    "every": word_set("so"),
    "his": word_set("and is or was to by in at for"),
    "and": word_set("or"),
}
"""Exceptions from `_AFTER`: word -> words that may follow it after all."""
_ENDS_OPEN: Final = (_DETERMINERS - {"his"}) | word_set("and or if because than")
_CAPITAL_INSIDE: Final = word_set(
    "The To If And Or Here In On For With It You Your First Then When Use Of But Is Are My We They "
    "This That These There By At From After Before"
)
_FINE_TWICE: Final = word_set(
    "that had very so really no yes bye ha haha hey well now many much long far more again there "
    "never too la na ho hot knock tut hush please wait boo night pretty big little blah ding "
    "chop tick cha step over practice sorry"
)
_ABBREVIATIONS: Final = word_set("etc vs eg ie approx dr mr mrs ms no st fig al cf inc ca pp")
_MERGED = re.compile(
    r"(?:of|in|to|and|on|for|with|from|at|by)(?:the|and|of|your|my)|(?:the|your)(?:to|of|and)|"
    r"you(?:need|can)"
)
_ENGLISH: Final = word_set("the of and to is you it in that for with are can this your be have not")
_OTHER: Final = word_set(
    "de la el los las un una que por para con del le les des et est pour dans une je vous der die "
    "das und ist nicht ein eine mit zu ich sie van het een niet met voor di che per sono non il um "
    "uma os em na do da se som och att det er og til jeg nie na w z jest ik"
)
_FORMULA = re.compile(r"\$[^$\n]{1,200}\$|\\[a-zA-Z]+")
_EMPHASIS = re.compile(r"\b(\w{3,})(?:, \1){2,}\b", re.IGNORECASE)  # "row, row, row"
_TOKEN = re.compile(r"[^\W_]+(?:['\-/.@&][^\W_]+)*|\n|\.\.+|[.!?,;:]|[^\w\s]")


class Glitches(NamedTuple):
    """Impossible pairs of words, and words with impossible spellings."""

    pairs: list[str]
    spellings: list[str]


_WORD = re.compile(r"[a-z]{2,}")


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
    if not _WORD.fullmatch(word):
        return False
    bounded = f"_{word}_"
    known = _triples()
    return any(bounded[i : i + 3] not in known for i in range(len(word)))


def glitches(text: str) -> Glitches:
    """Return the glitches of a text, each quoted; none if the text is not English."""
    found = Glitches([], [])
    tokens = _TOKEN.findall(_EMPHASIS.sub(r"\1", _FORMULA.sub(" X ", text)))
    if _foreign(text, tokens):
        return found
    cased = sum(token[:1].isupper() for token in tokens) > 0
    padded = ["\n", *tokens, "\n", "\n"]
    for before, token, after, later in zip(
        padded, padded[1:], padded[2:], padded[3:], strict=False
    ):
        odd = token.islower() and (misspelt(token) or _MERGED.fullmatch(token) is not None)
        if odd and repr(token) not in found.spellings:
            found.spellings.append(repr(token))
        if _clash(token, after, later) or (cased and _bad_case(before, token, after)):
            found.pairs.append(f"'{token} {after}'")
    return found


def _foreign(text: str, tokens: list[str]) -> bool:
    """Tell whether the text is in another language, whose words these lists would misread."""
    letters = sum(character.isalpha() for character in text)
    if sum(character.isalpha() and not character.isascii() for character in text) * 25 > letters:
        return True
    lowered = [token.lower() for token in tokens]
    return sum(token in _OTHER for token in lowered) > sum(token in _ENGLISH for token in lowered)


def _clash(token: str, after: str, later: str) -> bool:
    """Tell whether two neighbouring tokens cannot stand side by side."""
    word = token.lower()
    if after in {".", "!", "?", ","}:
        if token in {",", ":", ";"}:
            return True
        if after == "," and word == later.lower() and len(word) > 2 and word not in _FINE_TWICE:
            return word.isalpha()  # "first, first"
        opens = _DETERMINERS if after == "," else _ENDS_OPEN
        return token in opens and len(token) > 1
    if word == after.lower():
        return word.isalpha() and (len(word) > 1 or word == "a") and word not in _FINE_TWICE
    if after != after.lower() or (token != word and token not in {"The", "I", "You", "To"}):
        return False
    return after in _AFTER.get(word, ()) and after not in _FINE_PAIRS.get(word, ())


def _bad_case(before: str, token: str, after: str) -> bool:
    """Tell whether a sentence's first word is in mid-sentence, or a full stop ends nothing."""
    if not (_plain(before) and _plain(after)):
        return False
    if token in {".", "?", "!"}:
        return len(before) > 1 and before not in _ABBREVIATIONS
    return token in _CAPITAL_INSIDE


def _plain(token: str) -> bool:
    return token.isalpha() and token.islower() and token.isascii()
