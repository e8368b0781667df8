"""What is kept of judges that cost something."""

from __future__ import annotations

from pathlib import Path

import pytest

from safebench.errors import RunError
from safebench.judges.cache import Grade, JudgementCache, key_of

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


def test_a_torn_line_is_cut_off_wherever_it_was_torn(tmp_path: Path) -> None:
    path = tmp_path / "judgements.jsonl"
    JudgementCache(path).keep(GRADES)
    whole = path.read_bytes()
    starts = [0, *(i + 1 for i, byte in enumerate(whole) if byte == ord("\n"))]
    for cut in range(len(whole) + 1):
        path.write_bytes(whole[:cut])
        torn = JudgementCache(path)
        kept = sum(start <= cut for start in starts) - 1
        assert [torn.get(key) for key, _ in GRADES] == [
            grade if i < kept else None for i, (_, grade) in enumerate(GRADES)
        ]
        torn.keep(GRADES[kept:])
        assert path.read_bytes() == whole


def test_a_line_that_is_no_judgement_is_said(tmp_path: Path) -> None:
    path = tmp_path / "judgements.jsonl"
    for line in ("nonsense", "[]", "{}", '{"key": "a", "degree": null, "day": null}'):
        path.write_text(line + "\n")
        with pytest.raises(RunError, match=r"judgements\.jsonl:1: not a kept judgement"):
            JudgementCache(path)


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="judgements cannot be kept"):
        JudgementCache(tmp_path / "file" / "judgements.jsonl").keep(GRADES)
