"""Texts of options: which model a folder is of, and pairs of names and values."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, get_args

import yaml

from safebench.card.results import Condition
from safebench.errors import InteropError, visible
from safebench.evidence.tables import Verdict
from safebench.importing.interface import ModelKey, Source
from safebench.importing.submission.request import Lost
from safebench.importing.training.weights import DeclaredWeights

_PREFIX = re.compile(r"((?:[a-z]+=[^,:=]*)(?:,[a-z]+=[^,:=]*)*):(.+)\Z", re.DOTALL)
_OF_BASE = ("decoding", "repeat")
_OF_TUNED = ("seed", "checkpoint", *_OF_BASE)
_OF_WEIGHTS = ("seed", "checkpoint", "condition")
_OF_LOST = ("seed", "condition")
_WHOLE = ("seed", "checkpoint", "repeat")


def sources(base: Iterable[str], tuned: Iterable[str], control: Iterable[str]) -> list[Source]:
    """Return what --base, --tuned and --control name.

    Raises:
        InteropError: a text is not one, or nothing is named.
    """
    found = []
    given: dict[Condition, Iterable[str]] = {"base": base, "tuned": tuned, "control": control}
    for condition, texts in given.items():
        keys = _OF_BASE if condition == "base" else _OF_TUNED
        for text in texts:
            values, path = _split(text, f"--{condition}", keys)
            if condition != "base":
                _need_seed(values, text, f"--{condition}")
            key = ModelKey(condition, values.get("seed"), values.get("checkpoint"))
            found.append(Source(path, key, values.get("decoding"), values.get("repeat")))
    if not found:
        raise InteropError(
            "nothing to import", fix="give --base DIR, and --tuned seed=N:DIR for every seed"
        )
    return found


Form = Literal["adapter", "merged", "full"]


def weights(texts: Iterable[str], form: Form) -> list[DeclaredWeights]:
    """Return what --adapter, --merged and --full name; raises InteropError."""
    found = []
    for text in texts:
        values, path = _split(text, f"--{form}", _OF_WEIGHTS)
        _need_seed(values, text, f"--{form}")
        stated = str(values.get("condition", "tuned"))
        if stated not in ("tuned", "control"):
            raise _not(f"--{form}", text, "condition is tuned or control")
        condition: Condition = "control" if stated == "control" else "tuned"
        found.append(
            DeclaredWeights(path, values["seed"], form, values.get("checkpoint"), condition)
        )
    return found


def lost(texts: Iterable[str]) -> list[Lost]:
    """Return what --lost names; raises InteropError."""
    found = []
    for text in texts:
        values, reason = _split(text, "--lost", _OF_LOST)
        _need_seed(values, text, "--lost")
        condition: Condition = "control" if values.get("condition") == "control" else "tuned"
        found.append(Lost(condition, values["seed"], str(reason)))
    return found


def pairs(texts: Iterable[str], option: str, what: str) -> dict[str, str]:
    """Return `NAME=VALUE` texts as a mapping; raises InteropError."""
    found: dict[str, str] = {}
    for text in texts:
        name, sign, value = text.partition("=")
        if not sign or not name or not value:
            raise InteropError(f"{option} {visible(repr(text))} is not {what}", fix=f"give {what}")
        if name in found:
            raise InteropError(f"{option} names {visible(name)} twice", fix="name it once")
        found[name] = value
    return found


def labels(texts: Iterable[str]) -> dict[str, str]:
    """Return `WORD=VERDICT` texts as a mapping; raises InteropError."""
    found = pairs(texts, "--label", "WORD=VERDICT")
    for word, verdict in found.items():
        if verdict not in get_args(Verdict):
            raise InteropError(
                f"--label {visible(word)}={visible(verdict)}: no such verdict",
                fix=f"it is one of {', '.join(get_args(Verdict))}",
            )
    return found


def settings(texts: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return `NAME:key=value,...` texts as settings of decodings; raises InteropError."""
    found: dict[str, dict[str, Any]] = {}
    for text in texts:
        name, sign, rest = text.partition(":")
        given = pairs(filter(None, rest.split(",")), "--decoding", "NAME:key=value,...")
        if not sign or not name:
            raise _not("--decoding", text, "e.g. --decoding t07:do_sample=true,temperature=0.7")
        found[name] = {key: _value(value, text) for key, value in given.items()}
    return found


def _value(text: str, whole: str) -> Any:
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        value = None
    if not isinstance(value, bool | int | float | str):
        raise _not("--decoding", whole, f"{text} is no plain value")
    return value


def _split(text: str, option: str, keys: tuple[str, ...]) -> tuple[dict[str, Any], Path]:
    match = _PREFIX.match(text)
    values: dict[str, Any] = {}
    for part in match[1].split(",") if match else ():
        key, _, value = part.partition("=")
        if key not in keys:
            raise _not(option, text, f"{key} is none of {', '.join(keys)}")
        if key in _WHOLE:
            if not (value.isdecimal() and value.isascii() and len(value) < 11):
                raise _not(option, text, f"{key} {value!r} is no whole number")
            values[key] = int(value)
        else:
            values[key] = value
    return values, Path(match[2] if match else text)


def _need_seed(values: dict[str, Any], text: str, option: str) -> None:
    if "seed" not in values:
        raise _not(option, text, f"its training seed is missing: {option} seed=N:{text}")


def _not(option: str, text: str, why: str) -> InteropError:
    return InteropError(
        f"{option} {visible(repr(text))}: {visible(why)}",
        fix="write seed=1:DIR, or seed=1,checkpoint=2,decoding=t07,repeat=1:DIR",
    )
