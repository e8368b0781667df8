"""What is imported, and what a person declares about it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from safebench.card.results import Condition
from safebench.card.task import Construct
from safebench.errors import InteropError, visible
from safebench.importing.draft.start import CardBasics
from safebench.importing.interface import Collected, Response
from safebench.importing.training.weights import DeclaredWeights


@dataclass(frozen=True)
class Lost:
    """A training seed that was run and has no responses."""

    condition: Condition
    seed: int
    reason: str


@dataclass(frozen=True)
class TrainingFile:
    """A file of training examples."""

    name: str
    file: Path
    role: str = "tuned"


@dataclass(frozen=True)
class Request:
    """An import: what was read, and what a person adds to it."""

    collected: Collected
    out: Path
    basics: CardBasics = field(default_factory=CardBasics)
    card: Path | None = None
    """A card, or part of one, with what the files do not record."""
    weights: tuple[DeclaredWeights, ...] = ()
    paths: tuple[Path, ...] = ()
    """Further files to read: a trainer's folder."""
    data: tuple[TrainingFile, ...] = ()
    model: Path | None = None
    """Folder of the base model."""
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Settings of decodings, by name."""
    constructs: Mapping[str, Construct] = field(default_factory=dict)
    """What tasks measure that are not safebench's."""
    task_files: Mapping[str, Path] = field(default_factory=dict)
    """Local copies of published tasks."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """Verdicts of the standard by the words of judges: `WORD`, or `JUDGE:WORD`."""
    judges: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """Kind and id of judges that reported verdicts, by their names; an id may be empty."""
    left_out: tuple[str, ...] = ()
    """Judges whose verdicts are not imported; `NAME` leaves out `NAME.PART` too."""
    checkpoint: int | None = None
    """Checkpoint of tuned models for which nothing else gives it."""
    limit: int | None = None
    """Only the first prompts of every task."""
    lost: tuple[Lost, ...] = ()
    artefact: bool = False
    """Whether the claim is about these weights, not about the recipe."""


def judges_called(name: str, option: str, known: Iterable[str]) -> list[str]:
    """Return the judges of a name: `NAME` itself, and every `NAME.PART`.

    Raises:
        InteropError: there is none; names the option.
    """
    known = sorted(known)
    found = [judge for judge in known if judge == name or judge.startswith(f"{name}.")]
    if not found:
        raise InteropError(
            f"{option} {visible(name)}: no judge of that name reported verdicts",
            fix=f"those that did: {', '.join(known) or 'none'}",
        )
    return found


def without_judges(collected: Collected, names: Sequence[str]) -> Collected:
    """Return what was read without the verdicts of some judges, which stay in `extra`.

    Raises:
        InteropError: no judge has such a name.
    """
    known = {judge for one in collected.samples for judge in one.judged} if names else ()
    out = {judge for name in names for judge in judges_called(name, "--leave-out", known)}
    return replace(
        collected,
        samples=tuple(_without(one, out) for one in collected.samples),
        facts=tuple(f for f in collected.facts if f.place[0] != "judge" or f.place[1] not in out),
    )


def _without(one: Response, out: set[str]) -> Response:
    judged = {name: verdict for name, verdict in one.judged.items() if name not in out}
    grades = {name: verdict.grade for name, verdict in one.judged.items() if name in out}
    extra = {**one.extra, "left_out": grades} if grades else one.extra
    return replace(one, judged=judged, extra=extra)
