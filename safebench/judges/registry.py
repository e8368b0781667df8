"""Judges by id and revision, as a card names them."""

from __future__ import annotations

from typing import Final

from safebench.errors import JudgeError
from safebench.judges.rule import RuleJudge

_JUDGES: Final = {(RuleJudge.id, RuleJudge.revision): RuleJudge}


def get_judge(id: str, revision: str) -> RuleJudge:
    """The judge with this id and revision; an old revision is kept or refused, never replaced."""
    try:
        return _JUDGES[id, revision]()
    except KeyError:
        known = ", ".join(f"{name} revision {number!r}" for name, number in _JUDGES)
        raise JudgeError(
            f"no judge {id!r} revision {revision!r}; known: {known}",
            fix="name a known judge in the card's judge section",
        ) from None
