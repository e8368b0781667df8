"""What a kind of judge declares is what the rest of the package asks of it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from safebench.card.judge import HumanJudge
from safebench.card.judge import Judge as JudgeEntry
from safebench.errors import CardError, JudgeError
from safebench.judges.interface import Judge, Kind
from safebench.judges.registry import KINDS, check_entry, check_judges, check_keys, open_judges
from tests.plans import plan_data

RULE = plan_data()["judge"][0]
HUMAN = {"name": "people", "kind": "human", "id": "us", "revision": "1", "votes": 3}


def entry(**data: Any) -> JudgeEntry:
    found: JudgeEntry = TypeAdapter(JudgeEntry).validate_json(json.dumps(data))
    return found


class Silent(Judge):
    """Decides nothing."""

    def decide(self, *_: Any) -> Any:
        return []


def test_a_new_kind_is_one_declaration(monkeypatch: pytest.MonkeyPatch) -> None:
    people = entry(**HUMAN)
    monkeypatch.delitem(KINDS, "human")
    for use in (lambda: check_judges([people], Path()), lambda: open_judges([people], Path())):
        with pytest.raises(CardError, match=r"judge people\.kind is `human`; this"):
            use()
    present: list[Path] = []
    kind = Kind(
        "human",
        constructs=("harm",),
        open=lambda entry, _: Silent(entry),
        check_present=lambda _, folder: present.append(folder),
        keys=("SAFEBENCH_NO_SUCH_KEY",),
    )
    monkeypatch.setitem(KINDS, kind.name, kind)
    check_judges([people], Path("here"))
    assert present == [Path("here")]
    with pytest.raises(CardError, match=r"judge\[0\].constructs is missing"):
        check_entry(people, "judge[0]", [people])
    with pytest.raises(CardError, match=r"judge\[0\].constructs lists severity"):
        check_entry(entry(**HUMAN, constructs=["harm", "severity"]), "judge[0]", [])
    check_entry(entry(**HUMAN, constructs=["harm"]), "judge[0]", [])
    for use in (lambda: check_keys([people]), lambda: open_judges([people], Path())):
        with pytest.raises(JudgeError, match="SAFEBENCH_NO_SUCH_KEY is not set"):
            use()
    monkeypatch.setenv("SAFEBENCH_NO_SUCH_KEY", "x")
    opened = open_judges([people, entry(**RULE)], Path())
    assert list(opened) == ["people", "rule"]
    assert isinstance(opened["people"].entry, HumanJudge)


def test_the_registry_is_read_without_model_libraries() -> None:
    heavy = ("torch", "transformers", "lm_eval")
    script = (
        "import sys; import safebench.judges.registry; "
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
