"""A board's log: lines are added, and whatever else happens to it is found."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from safebench.errors import EvidenceError
from safebench.evidence.board_log import LOG_FILE, LogEntry, append, gone, read_log

ENTRIES = [
    LogEntry(kind="submission", id="one", content="0" * 64, key=None),
    LogEntry(kind="rerun", id="one/reruns/b", content="1" * 64, key="a" * 64),
    LogEntry(kind="submission", id="two", content="2" * 64, key=None),
]


def test_entries_are_added_once_and_earlier_bytes_stay(tmp_path: Path) -> None:
    assert read_log(tmp_path) == ()
    append(tmp_path, ENTRIES[:2])
    before = (tmp_path / LOG_FILE).read_bytes()
    lines = append(tmp_path, ENTRIES)
    assert [line.id for line in lines] == ["one", "one/reruns/b", "two"]
    assert (tmp_path / LOG_FILE).read_bytes().startswith(before)
    assert append(tmp_path, ENTRIES) == read_log(tmp_path) == lines


@pytest.mark.parametrize(
    "spoil",
    [
        lambda lines: lines[1:],
        lambda lines: [lines[0], lines[2]],
        lambda lines: [lines[0].replace(b"one", b"six"), *lines[1:]],
        lambda lines: [*lines[:2], lines[2][:-9]],
        lambda lines: [*lines[:2], lines[2].rstrip(b"\n")],
        lambda lines: [*lines, b"\n"],
    ],
)
def test_a_line_that_was_changed_or_taken_out_is_found(
    tmp_path: Path, spoil: Callable[[list[bytes]], list[bytes]]
) -> None:
    append(tmp_path, ENTRIES)
    path = tmp_path / LOG_FILE
    path.write_bytes(b"".join(spoil(path.read_bytes().splitlines(keepends=True))))
    with pytest.raises(EvidenceError, match=LOG_FILE):
        append(tmp_path, ENTRIES)


def test_a_rerun_may_be_renamed_or_signed_and_never_replaced(tmp_path: Path) -> None:
    lines = append(tmp_path, ENTRIES)
    one, rerun, two = ENTRIES
    later = [two.model_copy(update={"content": "9" * 64}), one]
    renamed = rerun.model_copy(update={"id": "one/reruns/lab-b", "key": None})
    assert gone(lines, [*later, renamed]) == []
    replaced = rerun.model_copy(update={"content": "8" * 64})
    assert [line.id for line in gone(lines, [*later, replaced])] == ["one/reruns/b"]
    assert [line.id for line in gone(lines, [renamed])] == ["one", "two"]
