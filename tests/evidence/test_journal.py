"""The journal: durable lines, torn ones passed over, and what became of every run."""

from __future__ import annotations

import json
from pathlib import Path

from safebench.evidence.journal import Journal


def test_lines_are_events_with_a_time(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.note("session", batch_size=4)
    journal.note("stopped", reason="Ümlaut\nand line")
    lines = (tmp_path / "journal.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["event"] for line in lines] == ["session", "stopped"]
    assert all(json.loads(line)["time"].endswith("+00:00") for line in lines)
    assert journal.read()[1]["reason"] == "Ümlaut\nand line"


def test_a_torn_line_costs_itself_alone(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.note("session")
    with journal.path.open("ab") as file:
        file.write(b'{"time": "2026-01-01", "event": "blo')
    journal.note("finished")
    assert [event["event"] for event in journal.read()] == ["session", "finished"]


def test_no_journal_is_no_event(tmp_path: Path) -> None:
    assert Journal(tmp_path).read() == []
    assert Journal(tmp_path).lost() == {}


def test_runs_are_registered_once_and_their_end_is_kept(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.register([("base", None), ("tuned", 1), ("tuned", 2), ("tuned", 3)])
    journal.register([("base", None), ("tuned", 1)])
    journal.note("failed", condition="tuned", training_seed=2, reason="the loss became nan")
    journal.note("withdrawn", condition="tuned", training_seed=3, reason="out of money")
    journal.register([("tuned", 2)])
    assert sum(event["event"] == "registered" for event in journal.read()) == 4
    states = journal.states()
    assert list(states) == [("base", None), ("tuned", 1), ("tuned", 2), ("tuned", 3)]
    assert states["tuned", 1].status == "registered"
    assert states["tuned", 2].reason == "the loss became nan"
    lost = {("tuned", 2): "the loss became nan", ("tuned", 3): "out of money"}
    assert journal.lost() == lost
