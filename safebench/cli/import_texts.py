"""The values of the options of `safebench import`: sources of responses, names and values.

Each function takes an option's name and all the texts given to it. It raises InteropError, naming
the option and the text, if it cannot read one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, get_args

import yaml

from safebench.card.results import Condition
from safebench.card.task import Construct
from safebench.errors import InteropError, visible
from safebench.evidence.tables import Status, Verdict
from safebench.importing.interface import ModelKey, Source, judge_kind
from safebench.importing.submission.request import Lost, TrainingFile
from safebench.importing.training.weights import DeclaredWeights

_PREFIX = re.compile(r"((?:[a-z]+=[^,:=]*)(?:,[a-z]+=[^,:=]*)*):(.+)\Z", re.DOTALL)
_OF_BASE = ("decoding", "repeat")
_OF_TUNED = ("seed", "checkpoint", *_OF_BASE)
_OF_WEIGHTS = ("seed", "checkpoint", "condition")
_OF_LOST = ("seed", "condition")
_WHOLE = ("seed", "checkpoint", "repeat")


def sources(option: str, texts: Iterable[str]) -> list[Source]:
    """Return the responses that --base, --tuned or --control names."""
    condition: Condition = option.removeprefix("--")  # type: ignore[assignment]
    found = []
    for text in texts:
        keys = _OF_BASE if condition == "base" else _OF_TUNED
        values, path = _split(text, option, keys, needs_seed=condition != "base")
        key = ModelKey(condition, values.get("seed"), values.get("checkpoint"))
        found.append(Source(path, key, values.get("decoding"), values.get("repeat")))
    return found


def files(_context: Any, _argument: Any, paths: Iterable[Path]) -> list[Source]:
    """Return the sources of files whose rows name their models."""
    return [Source(path) for path in paths]


def weights(option: str, texts: Iterable[str]) -> list[DeclaredWeights]:
    """Return the weights that --adapter, --merged or --full names."""
    form, found = option.removeprefix("--"), []
    for text in texts:
        values, path = _split(text, option, _OF_WEIGHTS)
        condition = _condition(values, text, option)
        checkpoint = values.get("checkpoint")
        found.append(DeclaredWeights(path, values["seed"], form, checkpoint, condition))
    return found


def lost(option: str, texts: Iterable[str]) -> tuple[Lost, ...]:
    """Return the training seeds that were lost."""
    found = []
    for text in texts:
        values, reason = _split(text, option, _OF_LOST)
        found.append(Lost(_condition(values, text, option), values["seed"], str(reason)))
    return tuple(found)


def training_files(option: str, texts: Iterable[str]) -> list[TrainingFile]:
    """Return the files that --data or --control-data names."""
    role = "control" if option == "--control-data" else "tuned"
    named = pairs(option, texts, "NAME=FILE")
    return [TrainingFile(name, Path(file), role) for name, file in named.items()]


def task_files(option: str, texts: Iterable[str]) -> dict[str, Path]:
    """Return the local copies of tasks, by name."""
    return {name: Path(file) for name, file in pairs(option, texts, "NAME=FILE").items()}


def pairs(option: str, texts: Iterable[str], what: str) -> dict[str, str]:
    """Return `NAME=VALUE` texts as a mapping; `what` is their form in messages."""
    found: dict[str, str] = {}
    for text in texts:
        name, sign, value = text.partition("=")
        if not sign or not name or not value:
            raise InteropError(f"{option} {visible(repr(text))} is not {what}", fix=f"give {what}")
        if name in found:
            raise InteropError(f"{option} names {visible(name)} twice", fix="name it once")
        found[name] = value
    return found


def labels(option: str, texts: Iterable[str]) -> dict[str, str]:
    """Return the verdicts that words of judges mean, by `WORD` or `JUDGE:WORD`."""
    return _pairs_of(option, texts, "WORD=VERDICT", get_args(Verdict))


def judges(option: str, texts: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Return the kinds and ids of judges, by their names."""
    named = pairs(option, texts, "NAME=KIND[:ID]")
    return {name: judge_kind(f"{option} {name}=", text) for name, text in named.items()}


def statuses(option: str, texts: Iterable[str], what: str) -> dict[str, str]:
    """Return the statuses that finish reasons mean, by the reasons in lower case."""
    found = _pairs_of(option, texts, what, get_args(Status))
    return {reason.strip().lower(): status for reason, status in found.items()}


def constructs(option: str, texts: Iterable[str]) -> dict[str, str]:
    """Return what tasks measure, by their names."""
    return _pairs_of(option, texts, "NAME=CONSTRUCT", get_args(Construct))


def _pairs_of(
    option: str, texts: Iterable[str], what: str, values: tuple[str, ...]
) -> dict[str, str]:
    found = pairs(option, texts, what)
    for name, value in found.items():
        if value not in values:
            noun = what.partition("=")[2].lower()
            raise InteropError(
                f"{option} {visible(name)}={visible(value)}: no such {noun}",
                fix=f"it is one of {', '.join(values)}",
            )
    return found


def settings(option: str, texts: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return the settings of decodings, by name."""
    found: dict[str, dict[str, Any]] = {}
    for text in texts:
        name, sign, rest = text.partition(":")
        given = pairs(option, filter(None, rest.split(",")), "NAME:key=value,...")
        if not sign or not name:
            raise _not(option, text, "e.g. --decoding t07:do_sample=true,temperature=0.7")
        found[name] = {key: _value(option, value, text) for key, value in given.items()}
    return found


def _value(option: str, text: str, whole: str) -> Any:
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        value = None
    if not isinstance(value, bool | int | float | str):
        raise _not(option, whole, f"{text} is not a plain value")
    return value


def _split(
    text: str, option: str, keys: tuple[str, ...], *, needs_seed: bool = True
) -> tuple[dict[str, Any], Path]:
    """Return the `key=value` pairs before the colon, and what stands after it."""
    match = _PREFIX.match(text)
    values: dict[str, Any] = {}
    for part in match[1].split(",") if match else ():
        key, _, value = part.partition("=")
        if key not in keys:
            raise _not(option, text, f"{key} is none of {', '.join(keys)}")
        if key in _WHOLE:
            # No seed is longer, and `int` refuses thousands of digits in words of its own.
            if not (value.isdecimal() and value.isascii() and len(value) < 11):
                raise _not(option, text, f"{key} {value!r} is not a whole number")
            values[key] = int(value)
        else:
            values[key] = value
    if needs_seed and "seed" not in values:
        raise _not(option, text, f"its training seed is missing: {option} seed=N:{text}")
    return values, Path(match[2] if match else text)


def _condition(values: dict[str, Any], text: str, option: str) -> Condition:
    condition: Condition = values.get("condition", "tuned")
    if condition not in ("tuned", "control"):
        raise _not(option, text, "condition is tuned or control")
    return condition


def _not(option: str, text: str, why: str) -> InteropError:
    return InteropError(
        f"{option} {visible(repr(text))}: {visible(why)}",
        fix="write seed=1:DIR, or seed=1,checkpoint=2,decoding=t07,repeat=1:DIR",
    )
