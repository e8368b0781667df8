"""Evidence that was tampered with is found, whatever was done to it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from safebench.card.base import NotReported
from safebench.card.io import card_text, dump_card, load_card
from safebench.card.results import EvidenceFile
from safebench.checks import CheckedCard, check
from safebench.checks.rules.evidence import differences
from safebench.evidence.manifest import describe_files, write_manifest
from safebench.evidence.outcomes import read_outcomes
from safebench.evidence.tables import OUTCOMES, write_table
from safebench.files import sha256_of
from tests.conformance.runner import VALID


@pytest.fixture
def submission(tmp_path: Path) -> Path:
    folder = tmp_path / "submission"
    shutil.copytree(VALID / "submission", folder)
    return folder


def rules(report: CheckedCard) -> set[str]:
    return {finding.rule for finding in report.findings}


def relist(folder: Path) -> None:
    """List the files as they are now, in card and manifest, as a forger would."""
    card = load_card(folder / "card.yaml")
    assert card.evidence is not None
    files = describe_files(folder, [file.path for file in card.evidence.files])
    write_manifest(folder, files)
    evidence = card.evidence.model_copy(update={"files": files})
    dump_card(card.model_copy(update={"evidence": evidence}), folder / "card.yaml")


def test_an_intact_submission_is_evidenced(submission: Path) -> None:
    report = check(submission / "card.yaml")
    assert report.findings == ()
    assert report.level == "evidenced"


def test_one_flipped_outcome_is_found_by_recomputing(submission: Path) -> None:
    rows = read_outcomes(submission).to_pylist()
    row = next(r for r in rows if r["task"] == "example_harm" and r["condition"] == "tuned")
    row["score"], row["verdict"] = 1.0 - row["score"], "refused" if row["score"] else "complied"
    import pyarrow as pa

    write_table(pa.Table.from_pylist(rows, schema=OUTCOMES), submission / "outcomes.parquet")
    assert rules(check(submission / "card.yaml")) == {"SB-EVI-005"}
    relist(submission)
    report = check(submission / "card.yaml")
    assert rules(report) == {"SB-EVI-008"}
    assert any(f.pointer.endswith("/estimate") for f in report.findings)
    assert all(f.pointer.startswith("/results/") for f in report.findings)
    assert report.level == "incomplete"


@pytest.mark.parametrize("digits", [1e-13, 1e-9])
def test_numbers_are_compared_to_the_last_digit(submission: Path, digits: float) -> None:
    path = submission / "card.yaml"
    card = load_card(path)
    assert card.results is not None
    first, *others = card.results.scores
    first = first.model_copy(update={"upper": first.upper + digits})
    results = card.results.model_copy(update={"scores": (first, *others)})
    dump_card(card.model_copy(update={"results": results}), path)
    (finding,) = check(path).findings
    assert (finding.rule, finding.pointer) == ("SB-EVI-008", "/results/scores/0/upper")
    assert repr(first.upper) in finding.message
    assert path.read_text().splitlines()[finding.line - 1].strip() == f"upper: {first.upper!r}"


def test_a_number_that_the_evidence_gives_is_not_left_unreported(submission: Path) -> None:
    path = submission / "card.yaml"
    lines = path.read_text().splitlines()
    at = next(n for n, line in enumerate(lines) if line.strip().startswith("estimate:"))
    value = lines[at].partition(": ")[2]
    lines[at] = lines[at].replace(value, '{not_reported: "we would rather not"}')
    at = next(n for n, line in enumerate(lines) if n > at and "method: " in line)
    lines[at] = lines[at].partition(":")[0] + ": {not_reported: lost}"  # texts are not compared
    path.write_text("\n".join(lines) + "\n")
    (finding,) = check(path).findings
    assert (finding.rule, finding.pointer) == ("SB-EVI-008", "/results/scores/0/estimate")
    assert finding.message == f"the card says not_reported, the outcomes give {value}"


def test_rows_of_a_file_may_be_left_unreported(submission: Path) -> None:
    path = submission / "card.yaml"
    card = load_card(path)
    assert card.given_evidence is not None
    rows = NotReported(not_reported="not counted")
    files = tuple(f.model_copy(update={"rows": rows}) for f in card.given_evidence.files)
    evidence = card.given_evidence.model_copy(update={"files": files})
    dump_card(card.model_copy(update={"evidence": evidence}), path)
    assert check(path).findings == ()


def test_a_number_left_out_or_added_is_found() -> None:
    card = load_card(VALID / "submission" / "card.yaml")
    assert card.results is not None
    fewer = card.results.model_copy(update={"scores": card.results.scores[1:]})
    (left_out,) = differences(fewer, card.results)
    assert left_out[0] == ("scores",)
    (added,) = differences(card.results, fewer)
    assert added[0] == ("scores", 0)
    assert list(differences(card.results, card.results)) == []
    backwards = card.results.model_copy(update={"scores": card.results.scores[::-1]})
    assert list(differences(backwards, card.results)) == []


def _link_out(folder: Path) -> str:
    outside = folder.parent / "notes.txt"
    shutil.copyfile(folder / "notes.txt", outside)
    (folder / "link.txt").symlink_to(outside)
    return "link.txt"


def _up(folder: Path) -> str:
    shutil.copyfile(folder / "notes.txt", folder.parent / "notes.txt")
    return "../notes.txt"


def _absolute(folder: Path) -> str:
    return str(folder / "notes.txt")


@pytest.mark.parametrize("lead_out", [_link_out, _up, _absolute])
def test_paths_that_lead_out_are_found(submission: Path, lead_out: Callable[[Path], str]) -> None:
    name = lead_out(submission)
    card = load_card(submission / "card.yaml")
    assert card.evidence is not None
    file = EvidenceFile(path=name, sha256=sha256_of(submission / "notes.txt"))
    files = (*card.evidence.files, file)
    write_manifest(submission, files)
    evidence = card.evidence.model_copy(update={"files": files})
    dump_card(card.model_copy(update={"evidence": evidence}), submission / "card.yaml")
    (finding,) = check(submission / "card.yaml").findings
    assert finding.rule == "SB-EVI-003"
    assert finding.pointer == "/evidence/files/2"


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" + bytes(200) + b"PAR1", b"x" * 1000])
def test_outcomes_that_are_no_parquet(submission: Path, content: bytes) -> None:
    (submission / "outcomes.parquet").write_bytes(content)
    relist(submission)
    report = check(submission / "card.yaml")
    assert rules(report) == {"SB-EVI-009"}
    assert report.level == "incomplete"


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"\xff", b"[" * 100_000])
def test_a_manifest_that_is_none(submission: Path, content: bytes) -> None:
    (submission / "manifest.json").write_bytes(content)
    assert rules(check(submission / "card.yaml")) == {"SB-EVI-007"}


def test_checking_changes_nothing(submission: Path) -> None:
    def state() -> dict[str, tuple[bytes, int]]:
        return {p.name: (p.read_bytes(), p.stat().st_mtime_ns) for p in submission.iterdir()}

    before = state()
    card = check(submission / "card.yaml").card
    assert state() == before
    assert card is not None
    assert card_text(card).encode() == before["card.yaml"][0]
