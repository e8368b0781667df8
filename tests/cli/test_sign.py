"""`safebench sign` and `register`, on the command line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from safebench.card.io import load_card
from safebench.evidence.registration import as_bytes, request_of
from safebench.files import sha256_of
from tests.command import safebench
from tests.conformance.runner import VALID

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A submission, a request for the registration of its protocol, and a key."""
    home = shutil.copytree(VALID / "submission", tmp_path / "study")
    (tmp_path / "request.json").write_bytes(as_bytes(request_of(load_card(home / "card.yaml"))))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_what_is_signed_is_verified_and_a_change_is_found(here: Path, capsys: Capture) -> None:
    made = safebench(capsys, "sign", "--new-key", "key.pem")
    fingerprint = made.out.split("half: ")[1].split()[0]
    assert safebench(capsys, "sign", "--new-key", "key.pem").code == 2
    signed = ("sign", "study", "--key", "key.pem", "--name", "B. Person", "--date", "2026-01-02")
    assert safebench(capsys, *signed).code == 0
    said = json.loads(safebench(capsys, "verify", "study", "--format", "json").out)["signature"]
    assert said["key"] == fingerprint
    assert (said["name"], said["organisation"]) == ("B. Person", "Example Lab")
    assert said["is_checked"]
    assert fingerprint in safebench(capsys, "verify", "study").out

    card = here / "study" / "card.yaml"
    card.write_text(card.read_text().replace("A small submission", "A smaller one"))
    ran = safebench(capsys, "verify", "study", "--format", "json")
    assert ran.code == 1
    assert [f["rule"] for f in json.loads(ran.out)["findings"]] == ["SB-EVI-028"]
    assert safebench(capsys, *signed).code == 0, "whoever signed may sign again"
    assert safebench(capsys, "verify", "study").code == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ("sign",),
        ("sign", "study"),
        ("sign", "study", "--sigstore", "--key", "key.pem"),
        ("sign", "study", "--key", "absent.pem"),
        ("sign", "study", "--new-key", "key.pem"),
        ("sign", "study", "--key", "key.pem", "--date", "2026-02-30"),
        ("sign", "absent", "--key", "key.pem"),
        ("register", "request.json", "--name", "A board"),
        ("register", "request.json", "--key", "absent.pem", "--name", "A board"),
        ("register", "study/manifest.json"),
        ("register", "study/card.yaml"),
    ],
)
def test_nothing_is_written_where_something_is_wrong(
    here: Path, capsys: Capture, arguments: tuple[str, ...]
) -> None:
    before = sorted(here.rglob("*"))
    ran = safebench(capsys, *arguments)
    assert ran.code == 2
    assert ran.err
    assert sorted(here.rglob("*")) == before


def test_a_submission_with_errors_is_not_signed(here: Path, capsys: Capture) -> None:
    safebench(capsys, "sign", "--new-key", "key.pem")
    (here / "study" / "notes.txt").write_text("other notes")
    ran = safebench(capsys, "sign", "study", "--key", "key.pem")
    assert ran.code == 2
    assert "SB-EVI-005" in ran.err
    assert not (here / "study" / "signature.json").exists()


def test_a_board_issues_one_nonce_for_a_protocol(here: Path, capsys: Capture) -> None:
    safebench(capsys, "sign", "--new-key", "key.pem")
    (here / "board").mkdir()
    board = ("--key", "key.pem", "--name", "A board", "--board", "board")
    first = safebench(capsys, "register", "request.json", *board, "--out", "registration.json")
    assert first.code == 0
    found = json.loads(Path("registration.json").read_text())
    assert found["nonce"] in first.out
    assert sha256_of(Path("registration.json")) in first.out
    again = safebench(capsys, "register", "request.json", *board, "--out", "second.json")
    assert again.code == 2
    assert not Path("second.json").exists()
    answered = safebench(capsys, "register", "registration.json", *board, "--out", "second.json")
    assert answered.code == 2
