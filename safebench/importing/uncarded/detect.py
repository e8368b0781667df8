"""Which program wrote what a person names, as names and first bytes tell."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from pathlib import Path

from safebench.errors import InteropError, visible
from safebench.importing.facts import first_words
from safebench.importing.folders import leads_outside, walk
from safebench.importing.readers import READERS

_HEAD = 64 * 1024
_TABLES = (".jsonl", ".csv", ".tsv", ".parquet")
_OF_LM_EVAL = re.compile(r"(results|samples_).*\.jsonl?(\.gz)?\Z")
_LM_EVAL = (b'"doc_id"', b'"resps"')
_INSPECT = (b'"eval"', b'"status"')
_HARMBENCH = (b'"test_case"', b'"generation"')
_FIX = (
    "give an output folder of lm-eval (with --log_samples), logs of Inspect, completions of "
    "HarmBench, a table with one response a row (.jsonl, .csv, .parquet), or a submission"
)


def reader_for(path: Path) -> tuple[str, Path]:
    """Return the name of the reader of a file or folder, and what to give it.

    A folder with one table, or with one file of HarmBench's, is that file.

    Raises:
        InteropError: nothing is there that a reader knows, or it is not clear what is meant.
    """
    if not path.exists():
        raise InteropError(f"{visible(str(path))}: no such file or folder", fix="check the path")
    if path.is_file():
        kind = _kind(path)
        if kind is None:
            raise InteropError(f"{visible(str(path))}: nothing here reads such a file", fix=_FIX)
        return kind, path
    files = [file for file in walk(path, "give a smaller folder") if not leads_outside(file, path)]
    found: dict[str, list[Path]] = {}
    for file in files:
        kind = _kind(file)
        if kind is not None:
            found.setdefault(kind, []).append(file)
    for kind in READERS:
        if kind in ("lm-eval", "inspect") and kind in found:
            return kind, path
    several = [file for of_kind in found.values() for file in of_kind]
    if len(several) == 1:
        return next(iter(found)), several[0]
    names = first_words(visible(str(file.relative_to(path))) for file in several or files)
    if several:
        what, fix = f"holds {len(several)} tables: {names}", "name one of them"
    else:
        what, fix = f"holds nothing readable ({names or 'no files'})", _FIX
    raise InteropError(f"{visible(str(path))} {what}", fix=fix)


def _kind(file: Path) -> str | None:
    """Return the name of a file's reader; None where there is none."""
    if not file.is_file():  # a pipe would be waited for
        return None
    if file.suffix == ".eval":
        return "inspect"
    if _OF_LM_EVAL.match(file.name):
        return "lm-eval"
    if file.suffix in _TABLES[1:]:
        return "responses"
    if file.suffix in (".json", ".jsonl") or file.name.endswith(".jsonl.gz"):
        return next(_by_content(file), None)
    return None


def _by_content(file: Path) -> Iterator[str]:
    try:
        with gzip.open(file) if file.suffix == ".gz" else file.open("rb") as stream:
            head = stream.read(_HEAD)
    except (OSError, EOFError):
        return
    if all(mark in head for mark in _LM_EVAL):
        yield "lm-eval"
    is_mapping = head.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"{")
    if is_mapping and file.suffix == ".json":
        for name, marks in (("inspect", _INSPECT), ("harmbench", _HARMBENCH)):
            if all(mark in head for mark in marks):
                yield name
    elif file.suffix in (".json", ".jsonl"):
        yield "responses"
