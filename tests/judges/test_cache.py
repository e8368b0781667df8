"""What is kept of judges that cost something."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from safebench.card.judge import Judge as JudgeEntry
from safebench.errors import RunError
from safebench.judges.cache import Grade, JudgementCache, identity, key_of

GRADES = [(key_of("judge", "task", f"p{i}", "text"), Grade(i / 7, "2026-02-01")) for i in range(3)]


def test_what_is_kept_is_there_again(tmp_path: Path) -> None:
    path = tmp_path / "work" / "judgements.jsonl"
    JudgementCache(path).keep(GRADES[:2])
    JudgementCache(path).keep([(GRADES[2][0], Grade(0.5))])
    again = JudgementCache(path)
    assert [again.get(key) for key, _ in GRADES] == [GRADES[0][1], GRADES[1][1], Grade(0.5)]
    assert again.get(key_of("judge", "task", "p9", "text")) is None
    assert "text" not in path.read_text()


def test_keys_differ_wherever_their_parts_do() -> None:
    assert len({key_of("a", "bc"), key_of("ab", "c"), key_of("abc"), key_of("a", "b", "c")}) == 4


def test_a_line_torn_anywhere_loses_itself_alone(tmp_path: Path) -> None:
    path = tmp_path / "judgements.jsonl"
    JudgementCache(path).keep(GRADES)
    whole = path.read_bytes()
    ends = [i for i, byte in enumerate(whole) if byte == ord("\n")]
    for cut in range(len(whole) + 1):
        path.write_bytes(whole[:cut])
        kept = sum(end <= cut for end in ends)  # a line may lack its end alone
        torn = JudgementCache(path)
        assert [torn.get(key) for key, _ in GRADES] == [
            grade if i < kept else None for i, (_, grade) in enumerate(GRADES)
        ]
        torn.keep(GRADES[kept:])
        again = JudgementCache(path)
        assert [again.get(key) for key, _ in GRADES] == [grade for _, grade in GRADES]


def test_a_line_that_is_no_judgement_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "judgements.jsonl"
    JudgementCache(path).keep(GRADES[:1])
    key = GRADES[1][0]
    for line in (
        b"nonsense", b"[]", b"{}", b"\xff", b"[" * 100_000, b"",
        *(json.dumps({"key": key, "degree": degree, "day": None}).encode()
          for degree in (None, 7, -1, "high", [])),
        json.dumps({"key": key, "degree": None, "day": None, "verdict": 3}).encode(),
    ):  # fmt: skip
        with path.open("ab") as file:
            file.write(line + b"\n")
    found = JudgementCache(path)
    assert found.get(GRADES[0][0]) == GRADES[0][1]
    assert found.get(key) is None


def test_verdicts_are_kept_with_what_decided(tmp_path: Path) -> None:
    path = tmp_path / "judgements.jsonl"
    lost = Grade(None, None, "unparsed", "not read: '?'")
    JudgementCache(path).keep([("a", lost), ("b", Grade(1.0, None, "complied", "label yes"))])
    assert JudgementCache(path).get("a") == lost
    assert JudgementCache(path).get("b") == Grade(1.0, None, "complied", "label yes")


APPEND = """
import sys
from pathlib import Path
from safebench.judges.cache import Grade, JudgementCache
cache = JudgementCache(Path(sys.argv[1]))
for i in range(300):
    cache.keep([(f"{sys.argv[2]}-{i}-{j}", Grade(0.5)) for j in range(5)])
"""


def test_processes_that_append_at_once_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "judgements.jsonl"
    path.write_bytes(b'{"key": "torn')
    started = [
        subprocess.Popen([sys.executable, "-c", APPEND, str(path), name]) for name in ("a", "b")
    ]
    assert [one.wait() for one in started] == [0, 0]
    found = JudgementCache(path)
    keys = [f"{name}-{i}-{j}" for name in ("a", "b") for i in range(300) for j in range(5)]
    assert all(found.get(key) == Grade(0.5) for key in keys)
    # Both may have ended the torn line before either wrote: an empty line keeps nothing.
    written = [line for line in path.read_bytes().splitlines() if line]
    assert len(written) == len(keys) + 1


def entry(**changes: Any) -> Any:
    data = {
        "name": "j", "kind": "moderation_api", "id": "Perspective", "provider": "Jigsaw",
        "revision": {"unpinnable": "it moves"}, "threshold": 0.5, **changes,
    }  # fmt: skip
    return TypeAdapter(JudgeEntry).validate_json(json.dumps(data))


def test_a_judge_is_known_by_what_decides_its_answers() -> None:
    same = [
        {"name": "other"}, {"primary": True}, {"constructs": ["harm"]}, {"self_test": {"cases": 1,
        "passed": 1}}, {"revision": {"unpinnable": "why", "first_request": "2026-01-01"}},
    ]  # fmt: skip
    assert {identity(entry(**changes)) for changes in same} == {identity(entry())}
    for changes in ({"id": "x"}, {"sees": "response"}, {"threshold": 0.7}, {"revision": "1"}):
        assert identity(entry(**changes)) != identity(entry())
    assert identity(entry(threshold=0.7), "threshold") == identity(entry(), "threshold")


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="judgements cannot be kept"):
        JudgementCache(tmp_path / "file" / "judgements.jsonl").keep(GRADES)
