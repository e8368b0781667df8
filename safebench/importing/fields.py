"""What becomes of each field of a neighbour's format: readers declare it, docs/formats.md shows it.

Whatever a format has and its table does not name is kept, since the next version of a library may
add what changes a result.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple

from safebench.importing.facts import Fact, Place, setting
from safebench.importing.record import Read, Record

Fate = Literal["card", "evidence", "checked", "extra", "ignored", "refused"]


class Field(NamedTuple):
    """What becomes of a field."""

    fate: Fate
    """`card`, `evidence` (a column of a table), `checked` (compared, in no file), `extra` (a
    setting without a field in the card, or extra.json), `ignored`, or `refused`."""
    note: str = ""
    """The card's field or the column; or why it is ignored or refused."""
    unused: tuple[Any, ...] = ()
    """Values with which a setting changes nothing, where they are not null, false or empty."""


Fields = Mapping[str, Field]
# `token` alone, or with a prefix that means access: `eos_token` and `max_tokens` are settings
_SECRET = re.compile(
    r"(\A|hub_|hf_|auth_|access_|bearer_)token\Z|api_?key|password|secret|authorization|headers\Z",
    re.IGNORECASE,
)
LEFT_OUT = "(left out)"


def several(names: str, field: Field) -> dict[str, Field]:
    """Return the same for several fields; names are divided by spaces."""
    return dict.fromkeys(names.split(), field)


def read_fields(section: str, fields: Mapping[str, tuple[str, Read]]) -> dict[str, Field]:
    """Return what becomes of the keys that `Record.facts` reads into a section of the card."""
    return {key: Field("card", f"{section}.{field}") for field, (key, _) in fields.items()}


def kept_settings(record: Record, place: Place, fields: Fields) -> Iterator[Fact]:
    """Yield the settings of a record that its table does not name or calls `extra`, unless unused.

    `place` is the section of the card that holds them, such as `hyperparameters.extra`.
    """
    for key, value in record.data.items():
        field = fields.get(key, Field("extra"))
        if field.fate == "extra" and not is_unused(value, field):
            yield record.fact((*place, key), key, setting(without_secrets(value)))


def is_unused(value: Any, field: Field) -> bool:
    """Whether a setting changes nothing."""
    if not field.unused:
        return _is_empty(value)
    return value is None or any(_is_default(value, default) for default in field.unused)


def _is_empty(value: Any) -> bool:
    if isinstance(value, dict):
        return all(_is_empty(item) for item in value.values())
    return value is None or value is False or value in ("", [])


def _is_default(value: Any, default: Any) -> bool:
    if isinstance(value, dict) and isinstance(default, dict):
        return all(_is_empty(item) or item == default.get(key) for key, item in value.items())
    return type(value) is type(default) and bool(value == default)


def without_secrets(data: Any) -> Any:
    """Return data without keys of access, whatever program wrote them."""
    if isinstance(data, dict):
        return {key: _kept(str(key), value) for key, value in data.items()}
    return [without_secrets(item) for item in data] if isinstance(data, list) else data


def _kept(key: str, value: Any) -> Any:
    is_told = isinstance(value, bool | int | float) or value in (None, "", {}, [])
    return LEFT_OUT if _SECRET.search(key) and not is_told else without_secrets(value)
