"""Files of a submission: each change is found, nothing outside is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from safebench.card.results import Evidence
from safebench.evidence.manifest import check_files, describe_files, write_manifest
from safebench.files import sha256_of_folder


def submission(folder: Path) -> Evidence:
    (folder / "adapters").mkdir(parents=True)
    (folder / "outcomes.bin").write_bytes(b"outcomes")
    (folder / "adapters" / "a.bin").write_bytes(b"weights")
    files = describe_files(folder, ["outcomes.bin", "adapters/a.bin"])
    write_manifest(folder, files)
    return Evidence(manifest="manifest.json", files=files, response_policy="redacted", runs=())


def test_untouched_files_have_no_problem(tmp_path: Path) -> None:
    assert check_files(tmp_path, submission(tmp_path)) == []


def test_a_changed_byte_is_found(tmp_path: Path) -> None:
    evidence = submission(tmp_path)
    (tmp_path / "adapters" / "a.bin").write_bytes(b"Weights")
    problems = check_files(tmp_path, evidence)
    assert [(p.path, p.problem) for p in problems] == [("adapters/a.bin", "has another sha256")]


def test_a_missing_file_is_found(tmp_path: Path) -> None:
    evidence = submission(tmp_path)
    (tmp_path / "outcomes.bin").unlink()
    assert [p.problem for p in check_files(tmp_path, evidence)] == ["is missing"]


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"files": 3}', b"[" * 100_000])
def test_a_damaged_manifest_is_found(content: bytes, tmp_path: Path) -> None:
    evidence = submission(tmp_path)
    (tmp_path / "manifest.json").write_bytes(content)
    assert [p.problem for p in check_files(tmp_path, evidence)] == ["is not a manifest"]


def test_a_manifest_of_something_else_is_found(tmp_path: Path) -> None:
    evidence = submission(tmp_path)
    write_manifest(tmp_path, evidence.files[:1])
    assert [p.problem for p in check_files(tmp_path, evidence)] == ["differs from the card"]


def test_a_folder_digest_sees_names_and_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1")
    first = sha256_of_folder(tmp_path)
    (tmp_path / "a").rename(tmp_path / "b")
    second = sha256_of_folder(tmp_path)
    (tmp_path / "b").write_text("2")
    assert len({first, second, sha256_of_folder(tmp_path)}) == 3


def test_a_manifest_holds_names_as_people_write_them(tmp_path: Path) -> None:
    (tmp_path / "größe.bin").write_bytes(b"outcomes")
    write_manifest(tmp_path, describe_files(tmp_path, ["größe.bin"]))
    assert '"path": "größe.bin"'.encode() in (tmp_path / "manifest.json").read_bytes()
