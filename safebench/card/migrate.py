"""Cards of older versions, brought to the version that the models are of, as plain data.

One migration is one step. It changes a copy, never the document, and says what it moved, so that
findings point to where things stand in the text that somebody wrote.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from safebench.card.document import Document, Moves, Place, Pointer, Problem, followed
from safebench.card.versions import (
    CURRENT,
    Version,
    identify,
    not_as_declared,
    other_major,
    version_of,
)


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
"""Every step there is, in the order of versions. 1.0 is the first version, so there is none yet."""


def migrate(document: Document) -> Document | Problem:
    """Return a document with its data in the version of the models, or why it cannot be.

    That is the document itself unless it follows an older version for which there are migrations.
    Within a major version no step is needed, for a minor version only adds: those there are (a
    field that got a better name) are applied. Between major versions there has to be one.
    """
    version = identify(document)
    if isinstance(version, Problem):
        return version
    steps, reached = _path(version)
    if reached.major != CURRENT.major:
        return other_major(document, version)
    if not steps:
        return document
    data, moves = copy.deepcopy(document.data), []
    for step in steps:
        try:
            moves.append(step.apply(data))
            data["spec"] = str(step.target)
        except Exception as problem:  # it met what its version does not allow: a stranger's file
            return not_as_declared(document, version, f"{type(problem).__name__}: {problem}")
    return _moved(document, data, tuple(moves))


def move(data: dict[str, Any], old: Pointer, new: Pointer) -> Moves:
    """Move a field to another mapping or name, where it is there; say so even where it is not.

    A field that is missing is missed by its name in the text. Mappings on the way are made.
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
    values: dict[Pointer, Place] = {}
    keys: dict[Pointer, Place] = {}
    for pointer in _pointers(data):
        written = moved.written(pointer)
        if written in document.values:
            values[pointer] = document.values[written]
        if written in document.keys:
            keys[pointer] = document.keys[written]
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
