"""A plan is run as it was registered, and carries its registration along."""

from __future__ import annotations

from pathlib import Path

import pytest

from safebench.card.pinned import update
from safebench.errors import CardError
from safebench.evidence.submission import Submission
from safebench.study.pins import registration_of
from tests.conformance.runner import EXAMPLES

HOME = EXAMPLES / "boundary" / "SB-SEED-011" / "keeps-registered"


def test_a_registered_protocol_carries_its_registration() -> None:
    registered = Submission.read(HOME)
    assert registration_of(registered) == {"registration.json": HOME / "registration.json"}
    free = registered.with_card(update(registered.card, seeds={"registration": None}))
    assert registration_of(free) == {}


def test_another_protocol_is_refused_before_it_is_run(tmp_path: Path) -> None:
    registered = Submission.read(HOME)
    tasks = tuple(task.model_copy(update={"limit": 5}) for task in registered.card.task_list())
    trial = registered.with_card(registered.card.model_copy(update={"tasks": tasks}))
    with pytest.raises(CardError, match="generation digest"):
        registration_of(trial)
