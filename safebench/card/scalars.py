"""Plain scalars by the core schema of YAML 1.2.2 (section 10.3.2), so that `no` is a string."""

from __future__ import annotations

import re
import sys

_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_BOOL = dict.fromkeys(("true", "True", "TRUE"), True) | dict.fromkeys(
    ("false", "False", "FALSE"), False
)
_INT = re.compile(r"[-+]?[0-9]+\Z")
_OCTAL = re.compile(r"0o[0-7]+\Z")
_HEX = re.compile(r"0x[0-9a-fA-F]+\Z")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z")
_NOT_FINITE = re.compile(r"([-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))\Z")
_STARTS_NUMBER = frozenset("0123456789+-.")
_MOST_DIGITS = 1_000

Plain = str | int | float | bool | None


class NotANumberError(ValueError):
    """A scalar that is written as a number and has no finite value."""


def resolve(text: str) -> Plain:
    """Return the value of a plain (unquoted, untagged) scalar.

    Raises:
        NotANumberError: it is NaN, infinite, or has too many digits to be a quantity.
    """
    if not text or text[0] not in _STARTS_NUMBER:
        if text in _NULL:
            return None
        return _BOOL.get(text, text)
    if _INT.match(text):
        return _integer(text, 10)
    if _FLOAT.match(text):
        return _real(text)
    if _OCTAL.match(text):
        return _integer(text[2:], 8)
    if _HEX.match(text):
        return _integer(text[2:], 16)
    if _NOT_FINITE.match(text):
        raise NotANumberError(f"{text} is not a finite number")
    return text


def construct(text: str, tag: str) -> Plain:
    """Return the value of a scalar with an explicit core tag, given by its last part.

    Raises:
        ValueError: the text is not of that type.
    """
    if tag == "str":
        return text
    value = resolve(text)
    if tag == "float" and type(value) is int:
        return float(value)
    types: dict[str, type] = {"int": int, "float": float, "bool": bool, "null": type(None)}
    if tag not in types or type(value) is not types[tag]:
        raise ValueError(f"{text!r} is not of type !!{tag}")
    return value


def _integer(digits: str, base: int) -> int:
    if len(digits) > _MOST_DIGITS or abs(value := int(digits, base)) > sys.float_info.max:
        raise NotANumberError(f"an integer of {len(digits)} digits")
    return value


def _real(text: str) -> float:
    value = float(text) if len(text) <= _MOST_DIGITS else float("inf")
    if value in (float("inf"), float("-inf")):
        shown = text if len(text) <= 40 else f"a number of {len(text)} characters"
        raise NotANumberError(f"{shown} is larger than any finite number")
    return value
