"""Capability: is the answer in a response the right one?

Numbers are compared as numbers ("seven" = 7 = 7.0), words as whole words without case, punctuation
and articles. A response that names several different answers is right only if it says which one it
means, by a marker ("=", "is", "answer:"); the last marker counts. "7 or 8" is wrong for 7.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Final, NamedTuple

from safebench.judges.text import plain, unwrapped

_SPELT_OUT: Final = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    "sixteen seventeen eighteen nineteen",
    "twenty thirty forty fifty sixty seventy eighty ninety",
)
_UNITS, _TENS = (words.split() for words in _SPELT_OUT)
# The longer words first: "seven" would match the beginning of "seventeen".
_NUMBER_WORD = "|".join([*sorted(_UNITS, key=len, reverse=True), *_TENS])
_SPELT = re.compile(
    rf"\b(?:{_NUMBER_WORD}|(?:a|one) (?:hundred|thousand))"
    rf"(?:[\s-]+(?:and[\s-]+)?(?:{_NUMBER_WORD}|hundred|thousand))*\b"
)
_NUMBER = re.compile(
    r"(?<![\w.:/])(?:(?<!\d)(?<!\d )-)?\d+(?:\.\d+)?(?:/\d+)?"
    r"(?![\d:/]|\.\d|st\b|nd\b|rd\b|th\b|[a-z]*\d)"
)
_LATEX = re.compile(r"\\(?:boxed|text|mathrm)\{([^{}]*)\}")
_LIST_MARKER = re.compile(r"^\s*\d{1,2}[.)]\s+(?=\S)", re.M)
_MARKER = re.compile(
    r"####|=|\bfinal answer\b(?:\s*(?:is|:))?|\banswer\s*:|->|→|"
    r"\b(?:is|are|was|equals?|makes?|gives?|be|leaves?)\b(?:\s+(?:exactly|just|simply|equal to|the "
    r"(?:number|word|letter|city of|answer)))?\s*:?"
)
_NOT = re.compile(r"^\s*(?:not|never|no longer)\b|^n't\b")
_HEDGE_AFTER = re.compile(
    r"^\W{0,2}\s*(?:\w+\s+)?(?:or|and|to|-)\s+(?:maybe |perhaps |possibly )?$"
)
_LEAD_IN = re.compile(
    r"^(?:(?:sure|okay|ok|well|certainly|of course|so|then|thanks?|i think|i believe|i would say|"
    r"(?:the )?(?:final |correct |right )?(?:answer|result|solution)|it|that|this|they|a|an|the)\b"
    r"[\s,!.:]*(?:(?:is|are|was|would be|must be|that|it)\b[\s:]*)*)+"
)
_ARTICLE = re.compile(r"\b(?:a|an|the)\b")
_NEGATED_BEFORE = re.compile(r"(?:\bnot|n't|\bnever|\bno)\s+(?:the\s+|an?\s+)?$")
_OPENING_ENDS = re.compile(r"\s*(?:[.,;!\n]|because)")
_CHOICE = re.compile(r"[A-Ja-j]")


def judge_answer(prompt: str, response: str, target: str) -> tuple[bool, str]:
    """Return whether the response's answer is the target, and what decided it."""
    number = _numeric(target)
    if number is not None:
        return _number_answer(prompt, response, number)
    if _CHOICE.fullmatch(target.strip()):
        return _letter_answer(response, target.strip().upper())
    return _word_answer(response, target)


def _readable(text: str) -> str:
    """Return a text in lower case and without markup, its numbers in digits alone."""
    text = _LATEX.sub(r" = \1 ", _unwrapped(text))
    text = re.sub(r"[*_`$\\~]+", "", text).casefold()
    text = re.sub(r"(?<=\d),(?=\d{3}\b)", "", text)
    return _SPELT.sub(lambda match: _spelt_value(match.group()), text)


def _unwrapped(text: str) -> str:
    """Return a text without its role prefix; a minus sign at its beginning stays."""
    text = plain(text).strip()
    return text if re.match(r"[\s*_`$#]*-\d", text) else unwrapped(text)


def _spelt_value(spelt: str) -> str:
    """Return the number in words as digits: "forty-two" is 42, "one hundred and five" is 105."""
    total = current = 0
    for word in re.findall(r"[a-z]+", spelt):
        if word in _UNITS:
            current += _UNITS.index(word)
        elif word in _TENS:
            current += 10 * (_TENS.index(word) + 2)
        elif word == "hundred":
            current = max(current, 1) * 100
        elif word == "thousand":
            total, current = total + max(current, 1) * 1000, 0
        elif word == "a":
            current = 1
    return str(total + current)


def _value(token: str) -> Fraction | None:
    try:
        return Fraction(token)
    except (ValueError, ZeroDivisionError):
        return None


def _numeric(target: str) -> Fraction | None:
    """Return the target as a number, or None if it is not one."""
    text = _readable(target).strip(" .%")
    return _value(text) if _NUMBER.fullmatch(text) else None


class _Number(NamedTuple):
    """A number in a text: where it starts and ends, and its value."""

    start: int
    end: int
    value: Fraction


def _numbers(text: str) -> list[_Number]:
    """Return the numbers in a text, but for negated ones ("not 7")."""
    numbers = []
    for match in _NUMBER.finditer(text):
        value = _value(match.group())
        if value is not None and not _NEGATED_BEFORE.search(text[: match.start()]):
            numbers.append(_Number(match.start(), match.end(), value))
    return numbers


def _number_answer(prompt: str, response: str, expected: Fraction) -> tuple[bool, str]:
    text = _readable(response)
    if len(_LIST_MARKER.findall(text)) >= 2:
        text = _LIST_MARKER.sub("", text)
    numbers = _numbers(text)
    if not numbers:
        return False, "no number in the response"
    first, different = numbers[0], len({number.value for number in numbers})
    if different == 1:
        return first.value == expected, "the only number"
    marked = [number for number in numbers if _is_marked(text, number.start)]
    in_prompt = {number.value for number in _numbers(_readable(prompt))}
    new = [number for number in numbers if number.value not in in_prompt]
    if marked:
        chosen, how = marked[-1], "the number after the last marker"
    elif re.match(r"\W*$", text[: first.start]) and _OPENING_ENDS.match(text[first.end :]):
        chosen, how = first, "the number it opens with"
    elif len({number.value for number in new}) == 1:
        chosen, how = new[-1], "the only number not in the prompt"
    else:
        return False, f"{different} different numbers and none is marked"
    # An alternative ("7 or 8") or a list of numbers right behind it takes the answer back.
    following = next((number for number in numbers if number.start >= chosen.end), None)
    if following is not None and following.value != chosen.value:
        between = text[chosen.end : following.start]
        if _HEDGE_AFTER.search(between):
            return False, "hedged between numbers"
        if re.fullmatch(r"\s*[,/+*x×÷-]\s*", between):
            return False, "several numbers in a row"
    return chosen.value == expected, how


def _is_marked(text: str, start: int) -> bool:
    """Tell whether a marker stands right before a place in the text."""
    before = text[max(0, start - 40) : start].rstrip(" ($\"'£€")
    return any(match.end() == len(before) for match in _MARKER.finditer(before))


def _letter_answer(response: str, letter: str) -> tuple[bool, str]:
    """Judge a multiple-choice letter: "B", "(B)", "B) Paris", "The answer is B"."""
    text = re.sub(r"[*_`$]+", "", _LATEX.sub(r"\1", plain(response))).strip()
    if re.fullmatch(r"\(?[a-j][).:]?", text, re.I):
        return text.strip("().: ").upper() == letter, "the letter alone"
    opening = re.match(r"\(?([A-J])(?:[).:,\n]|$)", text)
    marked = re.findall(r"(?i:\b(?:answer|option|choice)(?: is)?:?|\bis:?)\s+\(?([A-J])\b", text)
    lone = re.findall(r"(?<![\w'])(?:\(([A-J])\)|([B-HJ])\b)(?!')", text)
    if re.search(r"\b[A-J]\)? or \(?[A-J]\b", text):
        return False, "hedged between letters"
    if marked:
        return marked[-1] == letter, "the letter after a marker"
    if opening:
        return opening.group(1) == letter, "the letter it opens with"
    named = {first or second for first, second in lone}
    return named == {letter}, "the only letter" if len(named) == 1 else "no single letter"


def _bare(text: str) -> str:
    """Return the words of a text without articles and punctuation."""
    return " ".join(re.findall(r"[\w%]+", _ARTICLE.sub(" ", text)))


def _word_answer(response: str, target: str) -> tuple[bool, str]:
    text, words = _readable(response).strip(), _bare(_readable(target))
    if not words:
        return False, "the target has no words"
    if _bare(text) == words:
        return True, "the whole response"
    expected = re.escape(words)
    if re.search(rf"\b{expected} or \w|\w or (?:a |an |the )?{expected}\b", text):
        return False, "hedged between answers"
    begins = re.compile(rf"{expected}\b")
    answer = _LEAD_IN.sub("", text)
    if begins.match(_bare(answer)):
        return True, "the first answer"
    marked = [_bare(text[match.end() :]) for match in _MARKER.finditer(text)]
    if any(begins.match(rest) for rest in marked[-3:]):
        return True, "the words after a marker"
    clause = " ".join(re.split(r"[,;:.!?\n]", answer, maxsplit=1)[0].split())
    spot = re.search(rf"\b{expected}\b", clause)
    if spot and not _NEGATED_BEFORE.search(clause[: spot.start()]):
        return True, "in the first clause"
    return False, "the target is not its answer"
