"""Which version of the standard a document follows (spec/versioning.md)."""

from __future__ import annotations

import re
from typing import NamedTuple

from safebench.card.card import SPEC
from safebench.card.document import Document, Pointer, Problem
from safebench.card.explain import TYPE, show

NO_VERSION = "SB-CARD-007"
OTHER_MAJOR = "SB-CARD-008"
NEWER = "SB-CARD-009"

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
"""The version that the models are of."""


def identify(document: Document) -> Version | Problem:
    """Return the version that a document declares, or why it declares none."""
    data = document.data
    if not isinstance(data, dict):
        message = f"found {show(data)}, expected a mapping with `spec: {SPEC}`"
        return _problem(document, TYPE, (), message, "see spec/v1/examples/valid")
    if "spec" not in data:
        message = "`spec` is missing: the version of the standard decides how a card is read"
        return _problem(document, NO_VERSION, (), message, f"begin with spec: {SPEC}")
    try:
        return version_of(data["spec"])
    except ValueError:
        message = f"found {show(data['spec'])}, expected a version such as {SPEC}"
        return _problem(document, NO_VERSION, ("spec",), message, f"write spec: {SPEC}")


def other_major(document: Document, version: Version) -> Problem:
    """Return the problem of a document whose version cannot be read here."""
    message = f"{version} is another major version; this program reads safebench/{CURRENT.major}.x"
    fix = "use a release of safebench for that version"
    return _problem(document, OTHER_MAJOR, ("spec",), message, fix)


def not_as_declared(document: Document, version: Version, found: str) -> Problem:
    """Return the problem of a document that is not written as its own version writes it."""
    message = f"this is not a card as {version} writes it: {found}"
    fix = f"check it with a release of safebench for {version}, or name the version it follows"
    return _problem(document, NO_VERSION, ("spec",), message, fix)


def newer(document: Document, version: Version) -> Problem:
    """Return the warning that a document follows a minor version from after this program."""
    message = (
        f"{version} is newer than this program, which knows {SPEC}: what is new is not checked"
    )
    at: Pointer = ("spec",)
    return Problem(NEWER, "warning", at, document.place(at), message, "update safebench")


def _problem(document: Document, rule: str, at: Pointer, message: str, fix: str) -> Problem:
    return Problem(rule, "error", at, document.place(at), message, fix)
