"""A file of lm-eval's samples: its rows, each with its line, and the prompts they are about.

Layouts: JSON Lines (since lm-eval 0.4.3), also gzipped; one JSON list (before, whatever the file's
suffix). Arguments are `{"gen_args_0": {"arg_0": ...}}` or, before 0.4.4, a list of lists. A prompt
has one row for each filter of its task.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, cast

from safebench.errors import InteropError
from safebench.importing.facts import file_error, first_words, show
from safebench.importing.interface import At, row_error
from safebench.importing.lm_eval.fields import SAMPLE
from safebench.importing.record import plain
from safebench.rows import check_data, parse_json

MOST_LINE = 32 * 1024 * 1024
"""Longest line that is read, in bytes."""
MOST_LIST = 512 * 1024 * 1024
"""Largest file that is one JSON list, in bytes."""
MOST_TOTAL = 8 * 1024 * 1024 * 1024
"""Largest file of lines, in bytes once unpacked."""
_FEW = 50
"""So few brackets cannot nest too deeply."""
NO_FILTER = "none"
_CUT = "the run or the copy was interrupted: copy the file again, or run lm_eval again"
_MIXED = "two runs are mixed: keep the rows of one"
_BOM = b"\xef\xbb\xbf"
_BLANK = b" \t\r\n"
_FIELDS = frozenset(SAMPLE)
"""Fields of a row that are neither a metric nor kept as they are."""

Row = tuple[At, dict[str, Any]]


def wrong(at: At, what: str) -> InteropError:
    """Return the error for a row that lm-eval would not have written so."""
    return row_error(at, what, "give the file as lm-eval wrote it")


@dataclass(frozen=True)
class Doc:
    """One prompt of a task, and what the model did with it."""

    at: At
    doc_id: int
    doc: dict[str, Any]
    target: str | None
    requests: list[list[Any]]
    """Arguments of each request: one where text is generated, else one for each choice."""
    answers: list[list[Any]]
    """For each request, the answers of every repeat."""
    metrics: dict[str, dict[str, Any]]
    """By filter and metric, as logged."""
    extra: dict[str, Any] = field(default_factory=dict)
    """Fields that no other attribute holds; `filtered_resps` by filter."""

    @property
    def settings(self) -> dict[str, Any] | None:
        """Decoding settings; None where a given text was scored instead of generated."""
        settings = self.requests[0][1] if len(self.requests[0]) > 1 else None
        return settings if isinstance(settings, dict) else None


def read_docs(
    file: Path, task: str, metrics: Iterable[str], limit: int | None
) -> tuple[list[Doc], int]:
    """Return a task's prompts by `doc_id`, and how many rows the limit left out.

    `metrics` are those in the results, for rows that do not say which of their fields are metrics.

    Raises:
        InteropError: a row lacks something, occurs twice, or differs from the others of its prompt.
    """
    docs: dict[int, Doc] = {}
    seen: dict[tuple[int, str], At] = {}
    names, left_out = frozenset(metrics), 0
    for at, row in read_rows(file):
        doc_id = _doc_id(row, at)
        if limit is not None and doc_id >= limit:
            left_out += 1
            continue
        filter_ = row.get("filter", NO_FILTER)
        if not isinstance(filter_, str):
            raise wrong(at, f"`filter` is {show(filter_)}, expected a text")
        first = seen.setdefault((doc_id, filter_), at)
        if first is not at:
            what = f"doc_id {doc_id} of {task} was already in {first.unit} {first.number}"
            raise row_error(at, what, _MIXED)
        doc = _doc(row, at, doc_id, filter_, names)
        if doc_id in docs:
            _add_filter(docs[doc_id], doc)
        else:
            docs[doc_id] = doc
    if not docs:
        raise file_error(file, f"no sample has a doc_id below {limit}", "give a larger limit")
    found = [docs[doc_id] for doc_id in sorted(docs)]
    filters = sorted({name for _, name in seen})
    for doc in found:
        _check_alike(found[0], doc)
        for filter_ in filters:
            if (doc.doc_id, filter_) not in seen:
                what = f"doc_id {doc.doc_id} has no row of the filter {show(filter_)}; others have"
                raise row_error(doc.at, what, "the file is incomplete: copy it again")
    return found, left_out


def first_doc(file: Path) -> Doc:
    """Return the prompt of the first row, as one filter has it. Raises InteropError."""
    at, row = next(read_rows(file))  # which raises where there is none
    return _doc(row, at, _doc_id(row, at), NO_FILTER, frozenset())


def read_rows(file: Path) -> Iterator[Row]:
    """Yield every row.

    Raises:
        InteropError: the file cannot be read, is empty, cut off, not in UTF-8, too large, or a row
            is not a mapping.
    """
    count = 0
    try:
        with _open(file) as stream:
            for row in (_list if _is_list(stream, file) else _lines)(stream, file):
                count += 1
                yield row
    except (EOFError, zlib.error, gzip.BadGzipFile) as problem:
        raise file_error(file, f"cannot be unpacked: {problem}", _CUT) from None
    except OSError as problem:
        what = f"cannot be read: {problem.strerror or problem}"
        raise file_error(file, what, "check the file") from None
    if not count:
        raise file_error(file, "is empty", _CUT)


def _open(file: Path) -> IO[bytes]:
    return cast("IO[bytes]", gzip.open(file, "rb")) if file.suffix == ".gz" else file.open("rb")


def _is_list(stream: IO[bytes], file: Path) -> bool:
    """Whether a file is one list of samples, by its first bytes."""
    start = stream.read(1024)
    stream.seek(0)
    if start[:2] in (b"\xff\xfe", b"\xfe\xff") or (len(start) > 1 and 0 in start[:2]):
        what = "the file is in UTF-16 or UTF-32, expected UTF-8"
        raise row_error(At(file, 1), what, "save it as UTF-8; PowerShell's `>` writes UTF-16")
    return start.removeprefix(_BOM).lstrip().startswith(b"[")


def _list(stream: IO[bytes], file: Path) -> Iterator[Row]:
    raw = stream.read(MOST_LIST + 1)
    if len(raw) > MOST_LIST:
        what = f"one JSON list of more than {MOST_LIST // 1024 // 1024} MiB"
        raise file_error(file, what, "write it as JSON Lines, one sample a line")
    # A file may also hold a list on each line, or a list that is cut off: both fail here.
    rows = _parse(raw, At(file, 1), last=True)
    if not isinstance(rows, list):
        raise wrong(At(file, 1), f"it holds {show(rows)}, expected a list of samples")
    for number, row in enumerate(rows, 1):
        at = At(file, number, "sample")
        yield at, _mapping(row, at)


def _lines(stream: IO[bytes], file: Path) -> Iterator[Row]:
    number = total = 0
    while line := stream.readline(MOST_LINE + 1):
        number += 1
        total += len(line)
        at = At(file, number)
        if len(line) > MOST_LINE:
            raise wrong(at, f"the line is longer than {MOST_LINE // 1024 // 1024} MiB")
        if total > MOST_TOTAL:
            what = f"the file is larger than {MOST_TOTAL // 1024**3} GiB"
            raise row_error(at, what, "import fewer tasks at once")
        if line.strip(_BLANK + _BOM if number == 1 else _BLANK):
            row = _parse(line, at, last=not line.endswith(b"\n"))
            yield at, row if isinstance(row, dict) and _is_harmless(line) else _mapping(row, at)


def _is_harmless(line: bytes) -> bool:
    """Whether the bytes of a line show that `check_data` would find nothing.

    Half a character takes an escape, and nesting takes brackets. This spares a walk through nearly
    every row of a large file.
    """
    return line.count(b"{") + line.count(b"[") <= _FEW and b"\\ud" not in line.lower()


def _parse(raw: bytes, at: At, *, last: bool) -> Any:
    """Return the JSON value in some bytes; `last`: nothing follows them, so they may be cut off."""
    try:
        text = raw.decode("utf-8-sig" if at.number == 1 else "utf-8").rstrip(" \t\r\n")
    except UnicodeDecodeError as problem:
        if last and problem.reason == "unexpected end of data":
            raise row_error(at, "the line is cut off inside a character", _CUT) from None
        what = f"byte {problem.start + 1} is not UTF-8"
        raise row_error(at, what, "save the file as UTF-8") from None
    try:
        return parse_json(text)
    except json.JSONDecodeError as problem:
        spare = 6 if last else 0  # a word such as `false`, or an escape, can be cut inside
        if problem.pos >= len(text) - spare or "Unterminated" in problem.msg:
            raise row_error(at, "it is cut off before its end", _CUT) from None
        if problem.msg == "Extra data" and text.lstrip().startswith("["):
            raise wrong(at, "it holds a list, expected a sample: a mapping") from None
        where = At(at.file, at.number + problem.lineno - 1)
        raise wrong(where, f"not JSON: {problem.msg} at character {problem.colno}") from None
    except ValueError as problem:  # also a number of too many digits
        raise wrong(at, str(problem)) from None


def _mapping(row: Any, at: At) -> dict[str, Any]:
    if not isinstance(row, dict):
        raise wrong(at, f"it holds {show(row)}, expected a sample: a mapping")
    try:
        check_data(row)
    except ValueError as problem:
        raise wrong(at, str(problem)) from None
    return row


def _doc_id(row: dict[str, Any], at: At) -> int:
    doc_id = row.get("doc_id")
    if "doc_id" not in row:
        what = f"`doc_id` is missing; the row has {first_words(map(show, row), 5)}"
        raise row_error(at, what, "give lm-eval's samples_*.jsonl")
    if not isinstance(doc_id, int) or isinstance(doc_id, bool) or doc_id < 0:
        raise wrong(at, f"`doc_id` is {show(doc_id)}, expected a whole number")
    return doc_id


def _doc(row: dict[str, Any], at: At, doc_id: int, filter_: str, known: frozenset[str]) -> Doc:
    for key in ("doc", "arguments", "resps"):
        if key not in row:
            raise row_error(at, f"`{key}` is missing", "run lm_eval with --log_samples")
    doc, target, resps = row["doc"], row.get("target"), row["resps"]
    metrics = row.get("metrics", [key for key in row if key in known and key not in _FIELDS])
    if not isinstance(metrics, list) or not all(isinstance(one, str) for one in metrics):
        raise wrong(at, f"`metrics` is {show(metrics)}, expected names")
    if not isinstance(resps, list) or not resps:
        raise wrong(at, f"`resps` is {show(resps)}, expected the responses")
    if not all(isinstance(one, list) and one for one in resps):
        raise wrong(at, f"`resps` is {show(resps)}, expected a list for each request")
    extra = {key: plain(row[key]) for key in row if key not in _FIELDS and key not in metrics}
    if "filtered_resps" in row:
        extra["filtered_resps"] = {filter_: plain(row["filtered_resps"])}
    return Doc(
        at=at,
        doc_id=doc_id,
        doc=doc if isinstance(doc, dict) else {"doc": doc},
        target=target if isinstance(target, str) or target is None else str(target),
        requests=_requests(row["arguments"], at),
        answers=resps,
        metrics={filter_: {metric: plain(row[metric]) for metric in metrics if metric in row}},
        extra=extra,
    )


def _requests(arguments: Any, at: At) -> list[list[Any]]:
    """Return the arguments of each request: `[[context, settings or continuation, ...], ...]`."""
    requests = list(arguments.values()) if isinstance(arguments, dict) else arguments
    expected = "one or more requests"
    if isinstance(requests, list) and requests:
        found = [list(one.values()) if isinstance(one, dict) else one for one in requests]
        if all(isinstance(one, list) and one for one in found):
            return found
        expected = "lists or mappings"
    raise wrong(at, f"`arguments` is {show(arguments)}, expected {expected}")


def _add_filter(first: Doc, other: Doc) -> None:
    """Add what another filter made of the same responses."""
    for name, same in (
        ("responses", first.answers == other.answers),
        ("arguments", first.requests == other.requests),
    ):
        if not same:
            where = f"{first.at.unit} {first.at.number}"
            what = f"doc_id {other.doc_id} has other {name} than in {where}"
            raise row_error(other.at, what, _MIXED)
    first.metrics.update(other.metrics)
    for key, value in other.extra.items():
        if key == "filtered_resps":
            first.extra.setdefault(key, {}).update(value)
        elif first.extra.setdefault(key, value) != value:  # each filter has its own
            first.extra[f"{key}, {next(iter(other.metrics))}"] = value


def _check_alike(first: Doc, doc: Doc) -> None:
    """Check that a prompt has as many repeats and the same decoding settings as the first one."""
    repeats = {len(answers) for answers in doc.answers}
    if repeats != {len(first.answers[0])}:
        what = (
            f"doc_id {doc.doc_id} has {max(repeats)} responses, "
            f"doc_id {first.doc_id} has {len(first.answers[0])}"
        )
        raise row_error(doc.at, what, "two runs are mixed, or one did not finish: keep one")
    if doc.settings != first.settings:
        what = f"doc_id {doc.doc_id} was decoded with other settings than doc_id {first.doc_id}"
        raise row_error(doc.at, what, _MIXED)
