"""Which version of the standard a document follows, and how it is brought to the models' version.

Documents stay as they were written (spec/versioning.md). A migration is one step from a version to
a later one. It changes a copy, as plain data, and records what it moved, so that findings point to
where things stand in the text that somebody wrote.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from safebench.card.card import SPEC
from safebench.card.document import Document, Moves, Pointer, Problem, followed
from safebench.card.problems import NEWER, TYPE, show

NO_VERSION = "SB-CARD-007"
OTHER_MAJOR = "SB-CARD-008"

# Few digits and no leading zero: one version is written in one way, and none is a huge number.
_SPEC = re.compile(r"safebench/(0|[1-9][0-9]{0,5})\.(0|[1-9][0-9]{0,5})\Z")


class Version(NamedTuple):
    """A version of the standard; later ones compare as greater."""

    major: int
    minor: int

    def __str__(self) -> str:
        return f"safebench/{self.major}.{self.minor}"


def version_of(text: object) -> Version:
    """Return the version that `safebench/MAJOR.MINOR` names; raises ValueError for all else."""
    match = _SPEC.match(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError(f"not a version of the standard: {text!r}")
    return Version(int(match[1]), int(match[2]))


CURRENT = version_of(SPEC)
"""The version of the models."""


@dataclass(frozen=True)
class Migration:
    """One step from a version of the standard to a later one."""

    source: Version
    target: Version
    apply: Callable[[dict[str, Any]], Moves]
    """Changes the data in place and returns, for what it moved or renamed, new place -> old."""


def migration(source: str, target: str, apply: Callable[[dict[str, Any]], Moves]) -> Migration:
    """Return the step between two versions; raises ValueError unless it leads to a later one."""
    step = Migration(version_of(source), version_of(target), apply)
    if step.target <= step.source:
        raise ValueError(f"a migration leads to a later version, not from {source} to {target}")
    return step


MIGRATIONS: tuple[Migration, ...] = ()
"""Every step, in the order of versions. There is none yet, because 1.0 is the first version."""


def identify(document: Document) -> Version | Problem:
    """Return the version that a document declares, or why it declares none."""
    data = document.data
    if not isinstance(data, dict):
        message = f"found {show(data)}, expected a mapping with `spec: {SPEC}`"
        return _problem(document, TYPE, (), message, "see spec/v1/examples/valid")
    if "spec" not in data:
        message = "`spec` is missing: the version of the standard decides how a card is read"
        return _problem(document, NO_VERSION, ("spec",), message, f"begin with spec: {SPEC}")
    try:
        return version_of(data["spec"])
    except ValueError:
        message = f"found {show(data['spec'])}, expected a version such as {SPEC}"
        return _problem(document, NO_VERSION, ("spec",), message, f"write spec: {SPEC}")


def newer(document: Document, version: Version) -> Problem:
    """Return the warning that a document follows a later minor version than this program."""
    knows = f"this program, which knows {SPEC}"
    message = f"{version} is newer than {knows}: what is new is not checked"
    problem = _problem(document, NEWER, ("spec",), message, "update safebench")
    return replace(problem, severity="warning")


def migrate(document: Document) -> Document | Problem:
    """Return a document with its data in the version of the models, or why it cannot be.

    A document is returned as it is unless it follows an older version that has migrations. A minor
    version only adds, so that a step within a major version is optional (a field that got a better
    name); between major versions there has to be one.
    """
    version = identify(document)
    if isinstance(version, Problem):
        return version
    steps, reached = _path(version)
    if reached.major != CURRENT.major:
        message = f"{version} is another major version; this program reads safebench/"
        fix = "use a release of safebench for that version"
        return _problem(document, OTHER_MAJOR, ("spec",), f"{message}{CURRENT.major}.x", fix)
    if not steps:
        return document
    data, moves = copy.deepcopy(document.data), []
    for step in steps:
        try:
            moves.append(step.apply(data))
        except Exception as problem:  # a stranger's file need not be what its version allows
            reason = f"{type(problem).__name__}: {problem}"
            message = f"this is not a card as {version} writes it: {reason}"
            fix = f"check it with a release for {version}, or name the version it follows"
            return _problem(document, NO_VERSION, ("spec",), message, fix)
        data["spec"] = str(step.target)
    return _moved(document, data, tuple(moves))


def move(data: dict[str, Any], old: Pointer, new: Pointer) -> Moves:
    """Move a field to another mapping or name, where it is there, and return the move.

    The move is returned even for a field that is not there, so that its absence is reported under
    the name that the text would have. Mappings on the way are made.
    """
    *above, name = old
    holder: Any = data
    for part in above:
        holder = holder.get(part, {}) if isinstance(part, str) else holder[part]
    if name in holder:
        value = holder.pop(name)
        target: Any = data
        for part in new[:-1]:
            target = target.setdefault(part, {}) if isinstance(part, str) else target[part]
        target[new[-1]] = value
    return {new: old}


def _path(version: Version) -> tuple[list[Migration], Version]:
    """Return the steps that a document of some version takes, and the version they lead to."""
    steps = []
    for step in MIGRATIONS:
        if step.source.major == version.major and step.source >= version:
            steps.append(step)
            version = step.target
    return steps, version


def _moved(document: Document, data: Any, moves: tuple[Moves, ...]) -> Document:
    """Return a document with other data, the places being those of the text."""
    moved = replace(document, data=data, moves=moves)
    written = {pointer: moved.written(pointer) for pointer in _pointers(data)}
    places = (
        {now: found[then] for now, then in written.items() if then in found}
        for found in (document.values, document.keys)
    )
    values, keys = places
    problems = tuple(replace(p, pointer=_now(p.pointer, moves)) for p in document.problems)
    return replace(moved, values=values, keys=keys, problems=problems)


def _now(pointer: Pointer, moves: tuple[Moves, ...]) -> Pointer:
    """Return where something of the text stands after the moves."""
    for step in moves:
        pointer = followed(pointer, {old: new for new, old in step.items()})
    return pointer


def _pointers(data: Any, above: Pointer = ()) -> Iterator[Pointer]:
    yield above
    entries: Any = enumerate(data) if isinstance(data, list) else ()
    for part, value in data.items() if isinstance(data, dict) else entries:
        yield from _pointers(value, (*above, part))


def _problem(document: Document, rule: str, at: Pointer, message: str, fix: str) -> Problem:
    return Problem(rule, "error", at, document.place(at), message, fix)
