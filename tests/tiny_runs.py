"""The smallest runs that have everything in them, and how they are compared."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from safebench.card.io import load_card
from safebench.evidence.submission import Submission
from safebench.progress import Silent
from safebench.study.engines import Settings
from safebench.study.execute import execute, finished_earlier
from safebench.study.plan import make_plan
from safebench.study.runner import RunResult
from tests.plans import plan_data, write_plan

SETTINGS = Settings(batch_size=64, threads=1)
QUICK = ("--batch-size", 64, "--threads", 1, "--device", "cpu")
"""The same settings on the command line."""


class Said(Silent):
    """Keeps what a run says."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        """Keep a line."""
        self.lines.append(text)


def write_tiny(folder: Path, *, seeds: int = 2, control: bool = False, **changes: Any) -> Path:
    """Write a plan of a few cells: one epoch, six prompts, three tokens."""
    usual = plan_data()
    tiny: dict[str, Any] = {
        "hyperparameters": usual["hyperparameters"] | {"epochs": 1, "checkpoints": [1]},
        "seeds": usual["seeds"] | {"training": seeds},
        "decoding": [d | {"max_new_tokens": 3} for d in usual["decoding"]],
        "tasks": [t | {"limit": 2} for t in usual["tasks"]],
    }
    if control:
        tiny |= own_answers()
    return write_plan(folder, **(tiny | changes))


def own_answers() -> dict[str, Any]:
    """Return data with a control set that the base model answers itself."""
    own = {
        "name": "own", "role": "control", "examples": 24, "controls_for": "the questions",
        "answers": {"questions_of": "benign", "decoding": "t07"},
    }  # fmt: skip
    return {"data": [*plan_data()["data"], own]}


def protocol(plan: Path) -> Submission:
    """Read a plan in its folder."""
    return Submission(load_card(plan), plan.parent)


def run_tiny(plan: Path, out: Path, progress: Silent | None = None, **how: Any) -> RunResult:
    """Execute a plan as the command does, in this process."""
    made = make_plan(protocol(plan), out, **how)
    return finished_earlier(made, out) or execute(made, out, SETTINGS, progress or Silent())


def files_of(folder: Path) -> dict[str, bytes]:
    """Return every file of a submission but the journal."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "journal.jsonl"
    }


def same_files(one: Path, other: Path) -> None:
    """See that two submissions have the same files but for the journal; name those that differ.

    Both lie in the plan's folder: a card names its model by a path from where it is.
    """
    first, second = files_of(one), files_of(other)
    differing = [n for n in sorted({*first, *second}) if first.get(n) != second.get(n)]
    assert not differing, differing
