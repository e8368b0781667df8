"""How far a run is, from its folder alone; nothing heavy is loaded."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from safebench.errors import RunError
from safebench.evidence.journal import Run, RunState
from safebench.evidence.store import Claim, Store

State = Literal["running", "interrupted", "finished"]


@dataclass(frozen=True)
class Status:
    """How far one folder is."""

    folder: Path
    state: State
    holder: str | None
    """Who is at work."""
    shard: str
    cells: tuple[int, int]
    """Finished cells, and all that can be finished."""
    responses: tuple[int, int]
    runs: tuple[int, int]
    """Runs whose cells are finished, and all that were registered."""
    lost: tuple[RunState, ...]
    """Runs that failed or were withdrawn."""
    rate: float | None
    """Responses per second over the blocks that were made; None before the first."""
    seconds_left: float | None
    """Expected from the rate and from the fine-tunings so far; None when it cannot be told."""
    problems: tuple[str, ...] = ()
    """Accidents of the last session."""
    last: dict[str, Any] = field(default_factory=dict)
    """The last event of the journal."""


def read_status(folder: Path) -> Status:
    """Return how far a run is.

    Raises:
        RunError: the folder holds no run.
    """
    store = Store(folder)
    events = store.journal.read()
    states = store.journal.states()
    lost = tuple(s for s in states.values() if s.status != "registered")
    last = events[-1] if events else {}
    if store.is_finished:
        count = len(states)
        return Status(
            folder, "finished", None, "1/1", (0, 0), (0, 0), (count - len(lost), count), lost,
            None, 0.0, (), last,
        )  # fmt: skip
    if not folder.is_dir():
        raise RunError(f"{folder}: no such folder", fix="give the --out of `safebench run`")
    claim = store.claim()
    gone = {(s.condition, s.training_seed) for s in lost}
    blocks = {n: s for n, s in claim.blocks.items() if (s.condition, s.training_seed) not in gone}
    done = {n: s for n, s in blocks.items() if store.has(n)}
    open_runs = {(s.condition, s.training_seed) for n, s in blocks.items() if n not in done}
    holder = store.holder()
    state: State = "interrupted" if holder is None else "running"
    if claim.shard != "1/1" and not open_runs:
        state = "finished"  # a shard ends here; merging writes the card
    left = sum(s.responses for s in blocks.values()) - sum(s.responses for s in done.values())
    rate = _rate(events)
    return Status(
        folder=folder,
        state=state,
        holder=holder,
        shard=claim.shard,
        cells=(sum(s.cells for s in done.values()), sum(s.cells for s in blocks.values())),
        responses=(sum(s.responses for s in blocks.values()) - left,
                   sum(s.responses for s in blocks.values())),
        runs=(len(states) - len(open_runs) - len(lost), len(states)),
        lost=lost,
        rate=rate,
        seconds_left=_left(events, left, rate, open_runs, claim, folder),
        problems=tuple(_problems(events)),
        last=last,
    )  # fmt: skip


def _rate(events: list[dict[str, Any]]) -> float | None:
    made = [e for e in events if e["event"] == "block" and e.get("seconds")]
    seconds = sum(float(e["seconds"]) for e in made)
    return sum(int(e["responses"]) for e in made) / seconds if seconds else None


def _left(
    events: list[dict[str, Any]],
    responses: int,
    rate: float | None,
    open_runs: set[Run],
    claim: Claim,
    folder: Path,
) -> float | None:
    tuned = [float(e["seconds"]) for e in events if e["event"] == "tuned"]
    given = getattr(claim.card.model, "weights", None)
    waiting = [
        run
        for run in open_runs
        if run[1] is not None and not (folder / "adapters" / f"{run[0]}-seed-{run[1]}").is_dir()
    ]
    if waiting and not given and not tuned:
        return None
    if responses and rate is None:
        return None
    training = sum(tuned) / len(tuned) * len(waiting) if tuned and not given else 0.0
    return training + (responses / rate if rate else 0.0)


def _problems(events: list[dict[str, Any]]) -> list[str]:
    """Return the accidents since the last start."""
    found: list[str] = []
    for event in events:
        if event["event"] == "session":
            found = []
        elif event["event"] == "problem":
            found.append(f"{event.get('what')}: {event.get('reason')}")
    return found
