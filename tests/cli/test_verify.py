"""`safebench verify`: files and single rows, in pieces; the same findings as `validate`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from safebench.checks import check
from safebench.checks.verify import STREAMED, verify
from tests.command import safebench
from tests.conformance.runner import INVALID, VALID

EXAMPLE = VALID / "submission"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return shutil.copytree(EXAMPLE, tmp_path / "submission")


def test_a_submission_that_holds(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ran = safebench(capsys, "verify", home)
    assert ran.code == 0
    assert "2 files listed; outcomes.parquet: " in ran.out
    assert "0 errors" in ran.out


@pytest.mark.parametrize("rule", sorted(STREAMED - {"SB-EVI-009", "SB-EVI-022"}))
def test_it_says_what_validate_says(rule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pieces of 100 rows: counts add up, and the first row is that of the whole table."""
    monkeypatch.setattr("safebench.evidence.outcomes._ROWS_AT_ONCE", 100)
    card = INVALID / rule / "card.yaml"
    expected = [f for f in check(card).findings if f.rule in STREAMED and f.severity == "error"]
    assert rule in {f.rule for f in expected}
    assert list(verify(card).findings) == expected


def test_json_and_exit_codes(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "outcomes.parquet").write_bytes(b"nothing")
    ran = safebench(capsys, "verify", home, "--format", "json")
    assert ran.code == 1
    found = json.loads(ran.out)
    assert found["schema"] == "safebench/verify/1"
    assert found["files"] == ["notes.txt", "outcomes.parquet"]
    assert [f["rule"] for f in found["findings"]] == ["SB-EVI-005"]
    (home / "card.yaml").unlink()
    assert safebench(capsys, "verify", home).code == 2


def test_a_plan_has_nothing_to_verify(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copyfile(VALID / "minimal-plan.yaml", tmp_path / "card.yaml")
    ran = safebench(capsys, "verify", tmp_path)
    assert ran.code == 2
    assert "has no evidence" in ran.err
