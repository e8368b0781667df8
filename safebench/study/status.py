"""The progress of a run, read from its folder alone; nothing heavy is loaded."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from safebench.errors import RunError
from safebench.evidence.claim import Claim
from safebench.evidence.journal import RunState
from safebench.evidence.store import Store
from safebench.study.cells import weights_folder

State = Literal["running", "interrupted", "finished"]


@dataclass(frozen=True)
class Status:
    """The progress of one folder."""

    folder: Path
    state: State
    holder: str | None = None
    """The process that is running it."""
    shard: str = "1/1"
    cells: tuple[int, int] = (0, 0)
    """Finished cells, and all that can be finished."""
    responses: tuple[int, int] = (0, 0)
    runs: tuple[int, int] = (0, 0)
    """Runs whose cells are finished, and all registered ones."""
    lost: tuple[RunState, ...] = ()
    """Runs that failed or were withdrawn."""
    rate: float | None = None
    """Responses per second and worker over the blocks that were made; None before the first."""
    workers: int = 1
    """Units that the last session did at once."""
    seconds_left: float | None = None
    """Expected from the rate and the fine-tunings so far; None while unknown."""
    problems: tuple[str, ...] = ()
    """Failures of the last session."""
    last: dict[str, Any] = field(default_factory=dict)
    """The last event of the journal."""


def read_status(folder: Path) -> Status:
    """Return the progress of a run.

    Raises:
        RunError: the folder holds no run.
    """
    store = Store(folder)
    events, states = store.journal.read(), store.journal.states()
    lost = tuple(s for s in states.values() if s.status != "registered")
    last = events[-1] if events else {}
    if store.is_finished:
        runs = len(states) - len(lost), len(states)
        return Status(folder, "finished", runs=runs, lost=lost, seconds_left=0.0, last=last)
    if not folder.is_dir():
        raise RunError(f"{folder}: no such folder", fix="give the --out of a `safebench run`")
    claim = store.claim()
    gone = store.journal.lost()
    blocks = {n: s for n, s in claim.blocks.items() if (s.condition, s.training_seed) not in gone}
    done = {n: s for n, s in blocks.items() if store.has(n)}
    open_runs = {(s.condition, s.training_seed) for n, s in blocks.items() if n not in done}
    holder = store.holder()
    state: State = "interrupted" if holder is None else "running"
    if claim.shard != "1/1" and not open_runs:
        state = "finished"  # a shard ends here; merging writes the card
    made, expected = (sum(s.responses for s in sizes.values()) for sizes in (done, blocks))
    rate = _rate(events)
    workers = 1
    for event in events:
        if event["event"] in ("session", "workers"):
            workers = int(event.get("count", 1))
    return Status(
        folder=folder,
        state=state,
        holder=holder,
        shard=claim.shard,
        cells=(sum(s.cells for s in done.values()), sum(s.cells for s in blocks.values())),
        responses=(made, expected),
        runs=(len(states) - len(open_runs) - len(lost), len(states)),
        lost=lost,
        rate=rate,
        workers=workers,
        seconds_left=_seconds_left(events, rate, blocks.keys() - done, claim, folder, workers),
        problems=tuple(_problems(events)),
        last=last,
    )


def _rate(events: list[dict[str, Any]]) -> float | None:
    made = [e for e in events if e["event"] == "block" and e.get("seconds")]
    seconds = sum(float(e["seconds"]) for e in made)
    return sum(int(e["responses"]) for e in made) / seconds if seconds else None


def _seconds_left(
    events: list[dict[str, Any]],
    rate: float | None,
    left: Collection[str],
    claim: Claim,
    folder: Path,
    workers: int,
) -> float | None:
    """Return the time left: fine-tunings at their mean so far, responses at their rate."""
    sizes = [claim.blocks[name] for name in left]
    responses = sum(size.responses for size in sizes)
    waiting = {
        (size.condition, size.training_seed)
        for size in sizes
        if size.training_seed is not None
        and not weights_folder(folder, size.condition, size.training_seed).is_dir()
    }
    tuned = [float(e["seconds"]) for e in events if e["event"] == "tuned"]
    is_given = bool(getattr(claim.card.model, "weights", None))
    if (responses and rate is None) or (waiting and not is_given and not tuned):
        return None
    training = 0.0
    if waiting and not is_given:
        training = sum(tuned) / len(tuned) * len(waiting) / min(workers, len(waiting))
    return training + (responses / rate / min(workers, len(sizes)) if rate and sizes else 0.0)


def _problems(events: list[dict[str, Any]]) -> list[str]:
    """Return the failures since the last start."""
    found: list[str] = []
    for event in events:
        if event["event"] == "session":
            found = []
        elif event["event"] == "problem":
            found.append(f"{event.get('what')}: {event.get('reason')}")
    return found
