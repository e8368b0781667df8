"""Arguments of a backend (`--backend-args`): parsed, free of secrets, filled in for each model.

They may hold placeholders, so that one line serves the base model and every checkpoint;
docs/running.md, "Another backend", explains each.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from difflib import get_close_matches

from safebench.card.scalars import NotANumberError, resolve
from safebench.errors import ModelError, visible
from safebench.models.interface import EngineSpec, PlacedWeights, Value

PLACEHOLDERS = (
    "base",
    "revision",
    "weights",
    "adapter",
    "model",
    "condition",
    "seed",
    "checkpoint",
)

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_HOLE = re.compile(r"\{([A-Za-z_]+)\}")
_SECRET_NAME = re.compile(
    r"((.*[_-])?(api[_-]?key|auth|authorization|headers?|password|passwd|secret|credentials?)"
    r"|(.*[_-])?(auth|access|bearer|hf|api|secret|session)[_-]token|token)",
    re.IGNORECASE,
)
_SECRET_VALUE = re.compile(
    r"(//[^/@\s]+@)|([?&](api[-_]?key|key|token|access_token|sig|signature)=)|(\bbearer\s)"
    r"|(\b(sk|hf|pk)[-_][A-Za-z0-9_-]{16,})",
    re.IGNORECASE,
)
_USE_ENVIRONMENT = (
    "leave it out and set the environment variable that the backend reads, "
    "such as OPENAI_API_KEY: arguments are written into the card"
)


def parse_backend_args(text: str) -> dict[str, Value]:
    """Return the arguments of a line `name=value,name=value`.

    Numbers, `true`, `false` and `none` are parsed as such unless they are quoted. A value cannot
    contain a comma.

    Raises:
        ModelError: a part is not an argument, occurs twice, uses an unknown placeholder, or is a
            secret.
    """
    found: dict[str, Value] = {}
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or not _NAME.fullmatch(name):
            # The part is not shown: it may be the rest of a secret that contains a comma.
            raise ModelError(
                f"backend arguments: part {len(found) + 1} is not name=value",
                fix="write name=value,name=value; a value cannot hold a comma",
            )
        if name in found:
            raise ModelError(f"backend argument {name!r} is given twice", fix="keep one of them")
        found[name] = _value(name, value)
    check_arguments(found)
    return found


def check_arguments(args: Mapping[str, Value]) -> None:
    """Check that arguments hold no secret, run no remote code, and use known placeholders only.

    Raises:
        ModelError: one of them does not pass.
    """
    for name, value in args.items():
        if _SECRET_NAME.fullmatch(name):
            raise ModelError(f"backend argument {name!r} is a secret", fix=_USE_ENVIRONMENT)
        if name == "trust_remote_code" and value:
            raise ModelError(
                "backend argument 'trust_remote_code' would run a model's own code",
                fix="leave it out: no remote code is run here; a server of yours may run it",
            )
        if not isinstance(value, str):
            continue
        if _SECRET_VALUE.search(value):
            raise ModelError(f"backend argument {name!r} holds a secret", fix=_USE_ENVIRONMENT)
        for hole in _HOLE.findall(value):
            if hole not in PLACEHOLDERS:
                near = get_close_matches(hole, PLACEHOLDERS, n=1)
                shown = ", ".join(f"{{{known}}}" for known in PLACEHOLDERS)
                raise ModelError(
                    f"backend argument {name!r}: no placeholder {{{visible(hole)}}}",
                    fix=f"did you mean {{{near[0]}}}?" if near else f"one of: {shown}",
                )


def fill(args: Mapping[str, Value], values: Mapping[str, str | None]) -> dict[str, Value]:
    """Return the arguments with their placeholders filled; those without a value are left out."""
    filled: dict[str, Value] = {}
    for name, value in args.items():
        holes = _HOLE.findall(value) if isinstance(value, str) else []
        if any(values.get(hole) is None for hole in holes):
            continue
        filled[name] = (
            _HOLE.sub(lambda hole: str(values[hole[1]]), value) if isinstance(value, str) else value
        )
    return filled


def placeholder_values(spec: EngineSpec, weights: PlacedWeights) -> dict[str, str | None]:
    """Return what the placeholders stand for; None where one has no value for these weights."""
    is_adapter = weights.folder is not None and weights.form == "adapter"
    is_whole = weights.folder is not None and not is_adapter
    base = spec.base.source
    usual = base if weights.condition == "base" else weights.name
    # A provider's name of a tuned model is not that of its control.
    named = None if weights.condition == "control" else spec.names.get(weights.training_seed)
    return {
        "base": base,
        "revision": None if is_whole else spec.base.commit,
        "weights": str(weights.folder) if is_whole else base,
        "adapter": str(weights.folder) if is_adapter else None,
        "model": named or usual,
        "condition": weights.condition,
        "seed": None if weights.training_seed is None else str(weights.training_seed),
        "checkpoint": None if weights.checkpoint is None else str(weights.checkpoint),
    }


def check_known(name: str, args: Mapping[str, Value], known: Collection[str]) -> None:
    """Check that a backend takes all arguments; raises ModelError with the nearest name."""
    for argument in args:
        if argument not in known:
            near = get_close_matches(argument, sorted(known), n=1)
            raise ModelError(
                f"backend {name} takes no argument {argument!r}",
                fix=f"did you mean {near[0]}?" if near else "leave it out",
            )


def positive(args: Mapping[str, Value], name: str, default: int) -> int:
    """Return an argument that is a number of at least 1; raises ModelError."""
    value = args.get(name, default)
    if type(value) is not int or value < 1:
        raise ModelError(
            f"backend argument {name}={value!r} is not a whole number of at least 1",
            fix=f"give {name}={default}",
        )
    return value


def recorded(args: Mapping[str, Value]) -> dict[str, bool | int | float | str]:
    """Return arguments as the card records them: with placeholders, so without local paths."""
    return {name: "none" if value is None else value for name, value in args.items()}


def _value(name: str, text: str) -> Value:
    if len(text) >= 2 and text[0] == text[-1] and text[0] in "'\"":
        return text[1:-1]
    if text.lower() in ("none", "true", "false"):
        return {"none": None, "true": True, "false": False}[text.lower()]
    try:
        value = resolve(text)
    except NotANumberError as problem:
        raise ModelError(f"backend argument {name!r}: {problem}") from problem
    return text if value is None else value
