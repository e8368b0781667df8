"""Decoding settings of another program, as fields of a card's decoding."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from safebench.card.decoding import SAMPLING_FIELDS
from safebench.importing.facts import Absent, setting
from safebench.importing.record import Record

_PENALTIES = ("repetition_penalty", "frequency_penalty", "presence_penalty")


def decoding_values(
    settings: Record,
    *,
    sampled: bool | None,
    lengths: Sequence[str],
    stop: str,
    no_length: Absent,
    leave_out: Sequence[str] = (),
) -> dict[str, Any]:
    """Return the fields of a decoding by name; settings without a field are under `extra`.

    Args:
        settings: The program's settings, most of which have the names of the card's fields.
        sampled: Whether tokens were sampled; None where nothing says so.
        lengths: Its names for the most new tokens; the first that is set counts.
        stop: Its name for the stop sequences.
        no_length: The value of `max_new_tokens` where none is set.
        leave_out: Settings that are not kept.
    """
    values: dict[str, Any] = {} if sampled is None else {"do_sample": sampled}
    # without sampling these settings have no effect, whatever their value
    for field in (*(SAMPLING_FIELDS if sampled is not False else ()), *_PENALTIES):
        value = settings.whole(field) if field == "top_k" else settings.number(field)
        if value is not None and not (field == "top_k" and value <= 0):  # 0 and -1 turn it off
            values[field] = value
    found = (settings.whole(name) for name in lengths)
    values["max_new_tokens"] = next((n for n in found if n is not None), no_length)
    values["stop"] = settings.texts(stop) or []
    known = {"do_sample", *SAMPLING_FIELDS, *_PENALTIES, *lengths, stop, *leave_out}
    others = {
        name: setting(value)
        for name, value in settings.data.items()
        if name not in known and value is not None
    }
    return values | ({"extra": others} if others else {})


def decoding_key(values: dict[str, Any]) -> str:
    """Return a key that only the same settings have: `("decoding", KEY, ...)`."""
    return json.dumps(values, sort_keys=True, default=lambda absent: absent.reason)
