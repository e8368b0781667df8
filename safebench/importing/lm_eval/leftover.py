"""What a file of lm-eval's results says that no field of the card holds."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from safebench.importing.facts import Absent, Fact
from safebench.importing.loaded import model_name
from safebench.importing.record import Record, plain

_PARTLY = frozenset({"pretty_env_info"})
"""Facts are made of parts of these."""
_WHOLE = "generation_kwargs"
"""Mappings of which a decoding holds everything."""
_SECRET = re.compile(r"token|api_key|password|secret|authorization", re.IGNORECASE)
_HIDDEN = "(left out)"


def left_over(record: Record, facts: Sequence[Fact]) -> dict[str, Any]:
    """Return everything that no fact was made of, as plain data.

    Access keys in `model_args` are left out, and paths of the machine keep their last part.
    """
    used = {fact.key for fact in facts if not isinstance(fact.value, Absent)} - _PARTLY

    def walk(data: dict[str, Any], inside: str) -> Iterator[tuple[str, Any]]:
        for name, value in data.items():
            key = f"{inside}.{name}" if inside else name
            if isinstance(value, dict) and not (name == _WHOLE and key in used):
                rest = dict(walk(value, key))
                if rest or not value:
                    yield name, rest
            elif key not in used:
                yield name, plain(value)

    rest = dict(walk(record.data, ""))
    config = rest.get("config")
    if isinstance(config, dict) and "model_args" in config:
        config["model_args"] = _arguments(config["model_args"])
    for task in rest.get("configs", {}).values():  # lm-eval copies model_args into each task
        if isinstance(task, dict) and isinstance(task.get("metadata"), dict):
            task["metadata"] = _arguments(task["metadata"])
    name = record.data.get("model_name")
    if isinstance(name, str) and model_name(name).of_machine:
        rest["model_name"] = model_name(name).id
        rest.pop("model_name_sanitized", None)  # the same path, with other separators
    return rest


def _arguments(arguments: Any) -> Any:
    if isinstance(arguments, dict):
        return {name: _argument(name, value) for name, value in arguments.items()}
    if not isinstance(arguments, str):
        return arguments
    pairs = (part.partition("=") for part in arguments.split(","))
    return ",".join(f"{name}{sign}{_argument(name, value)}" for name, sign, value in pairs)


def _argument(name: str, value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if _SECRET.search(name) and value.lower() not in ("true", "false", "none", ""):
        return _HIDDEN
    cut = model_name(value)
    return cut.id if cut.of_machine else value
