"""Rows of a file of lm-eval's samples, each with its line.

Layouts: JSON Lines (since lm-eval 0.4.3), also gzipped; one JSON list (before, whatever the name's
ending). Arguments are `{"gen_args_0": {"arg_0": ...}}` or, before 0.4.4, a list of lists.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, cast

from safebench.errors import InteropError, visible
from safebench.importing.facts import show
from safebench.importing.interface import At, row_error

MOST_LINE = 32 * 1024 * 1024
"""Longest line that is read, in bytes."""
MOST_LIST = 512 * 1024 * 1024
"""Largest file that is one JSON list, in bytes."""
MOST_NESTED = 100
"""Levels of lists and mappings in a row."""
MOST_TOTAL = 8 * 1024 * 1024 * 1024
"""Largest file of lines, in bytes once unpacked."""

Row = tuple[At, dict[str, Any]]
AS_WRITTEN = "give the file as lm-eval wrote it"
_CUT = "the run or the copy was interrupted: copy the file again, or run lm_eval again"


def read_rows(file: Path) -> Iterator[Row]:
    """Yield every row.

    Raises:
        InteropError: the file cannot be read, is empty, cut off, in another encoding than UTF-8,
            too large, or a row is no mapping.
    """
    count = 0
    try:
        with _open(file) as stream:
            for row in (_list if _is_list(stream, file) else _lines)(stream, file):
                count += 1
                yield row
    except (EOFError, zlib.error, gzip.BadGzipFile) as problem:
        raise InteropError(f"{_name(file)} cannot be unpacked: {problem}", fix=_CUT) from None
    except OSError as problem:
        why = visible(str(problem.strerror or problem))
        raise InteropError(f"{_name(file)} cannot be read: {why}", fix="check the file") from None
    if not count:
        raise InteropError(f"{_name(file)} is empty", fix=_CUT)


def too_deep(value: Any) -> bool:
    """Whether data is nested deeper than a recursive function can follow."""
    level, depth = [value], 0
    while level:
        depth += 1
        if depth > MOST_NESTED:
            return True
        inner = [one for one in level if isinstance(one, dict | list)]
        level = [x for one in inner for x in (one.values() if isinstance(one, dict) else one)]
    return False


def _open(file: Path) -> IO[bytes]:
    return cast("IO[bytes]", gzip.open(file, "rb")) if file.suffix == ".gz" else file.open("rb")


def _is_list(stream: IO[bytes], file: Path) -> bool:
    """Look at the first bytes of a file: whether it is one list of samples."""
    start = stream.read(1024)
    stream.seek(0)
    if start[:2] in (b"\xff\xfe", b"\xfe\xff") or (len(start) > 1 and 0 in start[:2]):
        raise InteropError(
            f"{_name(file)}:1: the file is in UTF-16 or UTF-32, expected UTF-8",
            fix="save it as UTF-8; PowerShell's `>` writes UTF-16",
        )
    return start.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"[")


def _list(stream: IO[bytes], file: Path) -> Iterator[Row]:
    raw = stream.read(MOST_LIST + 1)
    if len(raw) > MOST_LIST:
        most = MOST_LIST // 1024 // 1024
        raise InteropError(
            f"{_name(file)} is one JSON list of more than {most} MiB",
            fix="write it as JSON Lines, one sample a line",
        )
    # A file may also hold a list on each line, or a list that is cut off: both fail here.
    rows = _parse(raw, At(file, 1), last=True)
    if not isinstance(rows, list):
        raise row_error(
            At(file, 1), f"it holds {show(rows)}, expected a list of samples", AS_WRITTEN
        )
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
            most = MOST_LINE // 1024 // 1024
            raise row_error(at, f"the line is longer than {most} MiB", AS_WRITTEN)
        if total > MOST_TOTAL:
            most = MOST_TOTAL // 1024**3
            raise row_error(at, f"the file is larger than {most} GiB", "import fewer tasks at once")
        if line.strip(b" \t\r\n\xef\xbb\xbf" if number == 1 else b" \t\r\n"):
            yield at, _mapping(_parse(line, at, last=not line.endswith(b"\n")), at)


def _parse(raw: bytes, at: At, *, last: bool) -> Any:
    """Return the JSON value in some bytes; `last`: nothing follows them, so they may be cut."""
    try:
        text = raw.decode("utf-8-sig" if at.number == 1 else "utf-8")
    except UnicodeDecodeError as problem:
        if last and problem.reason == "unexpected end of data":
            raise row_error(at, "the line is cut off inside a character", _CUT) from None
        what = f"byte {problem.start + 1} is not UTF-8"
        raise row_error(at, what, "save the file as UTF-8") from None
    text = text.rstrip(" \t\r\n")
    try:
        return json.loads(text, object_pairs_hook=_once)
    except RecursionError:
        raise row_error(at, "it is nested too deeply", AS_WRITTEN) from None
    except json.JSONDecodeError as problem:
        spare = 6 if last else 0  # a word such as `false` or an escape can be cut inside
        if problem.pos >= len(text) - spare or "Unterminated" in problem.msg:
            raise row_error(at, "it is cut off before its end", _CUT) from None
        if problem.msg == "Extra data" and text.lstrip().startswith("["):
            raise row_error(
                at, "it holds a list, expected a sample: a mapping", AS_WRITTEN
            ) from None
        where = At(at.file, at.number + problem.lineno - 1)
        what = f"it is no JSON: {problem.msg} at character {problem.colno}"
        raise row_error(where, what, AS_WRITTEN) from None
    except ValueError as problem:  # a key twice, or a number of too many digits
        raise row_error(at, str(problem), AS_WRITTEN) from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    data = dict(pairs)
    if len(data) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {show(twice)} occurs twice in one mapping")
    return data


def _mapping(row: Any, at: At) -> dict[str, Any]:
    if not isinstance(row, dict):
        raise row_error(at, f"it holds {show(row)}, expected a sample: a mapping", AS_WRITTEN)
    if too_deep(row):
        raise row_error(at, "it is nested too deeply", AS_WRITTEN)
    if half := _half_character(row):
        raise row_error(at, f"half of a character stands alone in {show(half)}", AS_WRITTEN)
    return row


def _half_character(row: dict[str, Any]) -> str | None:
    """Return a key of the row that holds text which no file can hold."""
    for key, value in row.items():
        try:
            json.dumps({key: value}, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            return key.encode(errors="backslashreplace").decode()
    return None


def _name(file: Path) -> str:
    return visible(str(file))
