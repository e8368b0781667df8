"""manifest.json: every file of a submission with its digest and number of rows."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from safebench.card.results import Evidence, EvidenceFile
from safebench.errors import EvidenceError
from safebench.evidence.documents import read_json
from safebench.files import inside, replace_file, sha256_of

MANIFEST_FILE = "manifest.json"


@dataclass(frozen=True)
class FileProblem:
    """A file that is not as the card lists it."""

    path: str
    problem: str
    found: str
    expected: str


def describe_files(folder: Path, paths: list[str]) -> tuple[EvidenceFile, ...]:
    """Return the entries of files given by their POSIX paths relative to a submission."""
    return tuple(
        EvidenceFile(path=path, sha256=sha256_of(folder / path), rows=_rows(folder / path))
        for path in sorted(paths)
    )


def write_manifest(folder: Path, files: tuple[EvidenceFile, ...]) -> None:
    """Write manifest.json of a submission."""
    content = {
        "schema": "safebench/manifest/1",
        "files": [file.model_dump(mode="json", exclude_none=True) for file in files],
    }
    text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    replace_file(folder / MANIFEST_FILE, text.encode())


def check_files(folder: Path, evidence: Evidence) -> list[FileProblem]:
    """Return every file that is missing, changed, or outside the submission."""
    problems = [problem for file in evidence.files for problem in _check(folder, file)]
    return [*problems, *_check_manifest(folder, evidence)]


def _check(folder: Path, file: EvidenceFile) -> list[FileProblem]:
    target = inside(folder, file.path)
    if target is None:
        return [FileProblem(file.path, "lies outside the submission", file.path, "a path inside")]
    if not target.is_file():
        return [FileProblem(file.path, "is missing", "no file", "a file")]
    digest = sha256_of(target)
    if digest != file.sha256:
        return [FileProblem(file.path, "has another sha256", digest, file.sha256)]
    rows = _rows(target)
    if rows is not None and isinstance(file.rows, int) and rows != file.rows:
        return [FileProblem(file.path, "has another number of rows", str(rows), str(file.rows))]
    return []


def _check_manifest(folder: Path, evidence: Evidence) -> list[FileProblem]:
    path = evidence.manifest
    target = inside(folder, path)
    if target is None:
        return [FileProblem(path, "lies outside the submission", path, "a path inside")]
    if not target.is_file():
        return [FileProblem(path, "is missing", "no file", "the manifest")]
    try:
        entries = read_json(target, "files")["files"]
    except EvidenceError as problem:
        return [FileProblem(path, "is not a manifest", str(problem), "JSON of its schema")]
    listed = [(e["path"], e["sha256"]) for e in entries]
    in_card = {f.path: f for f in evidence.files}
    differing = {path for path, _ in set(listed) ^ {(f.path, f.sha256) for f in evidence.files}}
    differing |= {path for path, _ in listed if sum(path == other for other, _ in listed) > 1}
    for entry in entries:
        declared, counted = in_card.get(entry["path"]), entry.get("rows")
        if declared is not None and isinstance(declared.rows, int) and declared.rows != counted:
            differing |= {entry["path"]} if isinstance(counted, int) else set()
    if not differing:
        return []
    names = ", ".join(sorted(differing))
    return [FileProblem(path, "differs from the card", names, "the same files and digests")]


def _rows(path: Path) -> int | None:
    if path.suffix != ".parquet":
        return None
    try:
        with path.open("rb") as source:
            return int(pq.read_metadata(source).num_rows)
    except (pa.ArrowException, OSError, ValueError):
        return None
