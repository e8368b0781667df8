"""What a draft begins with: who submits it, and what is chosen rather than read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, get_args

from safebench.importing.draft.facts import Fact, Place

Method = Literal["lora", "qlora", "dora", "full", "prompt", "none"]
METHODS: tuple[Method, ...] = get_args(Method)

UNNAMED = "my-card"
"""Name of a card to which nobody gave one."""
_ALL = ["adapter_init", "data_order", "dropout"]
RULE = {"name": "rule", "kind": "rule", "id": "safebench/refusal-rule", "revision": "1"}
_REFERENCE: dict[str, dict[str, Any]] = {
    "greedy": {"do_sample": False},
    "t07": {"do_sample": True, "temperature": 0.7, "min_p": 0.1, "repeats": 3},
}
_TASKS = ("safebench_harm", "safebench_overrefusal", "safebench_capability")


@dataclass(frozen=True)
class Said:
    """What whoever makes the draft says themselves."""

    id: str | None = None
    title: str | None = None
    submitter: str | None = None
    contact: str | None = None
    method: Method | None = None


def frame(said: Said, *, plan: bool) -> Iterator[Fact]:
    """Yield what a draft begins with: of a plan, or of a study that was made elsewhere."""
    yield from _submission(said)
    if said.method is not None:
        yield _fact(("hyperparameters", "method"), said.method, "--method")
    if said.method == "none":
        note = "the claim is about these weights: nothing was tuned"
        yield _fact(("submission", "object"), "artefact", note)
    yield from _plan(said) if plan else _elsewhere(said)


def _fact(place: Place, value: Any, note: str = "") -> Fact:
    return Fact(place, value, None, key=note, note=note)


def _submission(said: Said) -> Iterator[Fact]:
    place: Place = ("submission",)
    if said.id is None:
        yield _fact((*place, "id"), UNNAMED, "to replace: a short name, unique on a board")
    else:
        yield _fact((*place, "id"), said.id, "--id")
    if said.title is not None:
        yield _fact((*place, "title"), said.title, "--title")
    if said.submitter is not None:
        yield _fact((*place, "submitter", "name"), said.submitter, "--submitter")
    if said.contact is not None:
        yield _fact((*place, "submitter", "contact"), said.contact, "--contact")
    note = "or third_party: somebody else made the model"
    yield _fact((*place, "relationship"), "first_party", note)


def _elsewhere(said: Said) -> Iterator[Fact]:
    note = "the runs were made elsewhere"
    yield _fact(("seeds", "scheme"), "declared", note)
    origin = "the runs existed before this card, which was drafted from their files"
    yield _fact(("seeds", "origin"), origin)
    if said.method == "none":
        yield _fact(("seeds", "training"), [], "nothing was trained")
        yield _fact(("seeds", "controls"), [])


def _plan(said: Said) -> Iterator[Fact]:
    untuned = said.method == "none"
    yield _fact(("seeds", "scheme"), "derived", "computed from the protocol: nobody picks them")
    yield _fact(("seeds", "training"), 1 if untuned else 5, "how many; a run fills in the values")
    yield _fact(("seeds", "controls"), [] if untuned else _ALL)
    if not untuned:
        if said.method is None:
            note = f"or {', '.join(m for m in METHODS if m != 'lora')}"
            yield _fact(("hyperparameters", "method"), "lora", note)
        yield _fact(("data", "tuned", "name"), "tuned", "a name of your own")
        yield _fact(("data", "tuned", "role"), "tuned")
    for name, settings in _REFERENCE.items():
        note = "one of the reference decodings"
        yield _fact(("decoding", name, "name"), name, note)
        for field, value in settings.items():
            yield _fact(("decoding", name, field), value)
    for field, value in {**RULE, "primary": True}.items():
        note = "the judge that `safebench run` has" if field == "name" else ""
        yield _fact(("judge", "rule", field), value, note)
    for task in _TASKS:
        yield _fact(("tasks", task, "name"), task)
