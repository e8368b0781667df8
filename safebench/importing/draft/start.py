"""What a draft begins with: who submits it, and what is chosen rather than read."""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import dataclass
from typing import Any, Literal, get_args

from safebench.importing.facts import Fact

Method = Literal["lora", "qlora", "dora", "full", "prompt", "none"]
METHODS: tuple[Method, ...] = get_args(Method)

UNNAMED = "my-card"
"""Name of a card to which nobody gave one."""
RULE = {"name": "rule", "kind": "rule", "id": "safebench/refusal-rule", "revision": "1"}
_REFERENCE: dict[str, dict[str, Any]] = {
    "greedy": {"do_sample": False},
    "t07": {"do_sample": True, "temperature": 0.7, "min_p": 0.1, "repeats": 3},
}
TASKS = ("safebench_harm", "safebench_overrefusal", "safebench_capability")


@dataclass(frozen=True)
class CardBasics:
    """What options of the command line say about every card."""

    id: str | None = None
    title: str | None = None
    submitter: str | None = None
    contact: str | None = None
    method: Method | None = None


def rule_name(taken: Container[str]) -> str:
    """Return the name of the rule judge that is asked here, beside judges of these names."""
    return RULE["name"] if RULE["name"] not in taken else f"safebench-{RULE['name']}"


def first_facts(basics: CardBasics, *, plan: bool) -> Iterator[Fact]:
    """Yield what a draft begins with: of a plan, or of a study that was made elsewhere."""
    if basics.id is None:
        yield drafted("submission.id", UNNAMED, "to replace: a short name, unique on a board")
    options = {"submitter.name": "submitter", "submitter.contact": "contact"}
    for field in ("id", "title", *options):
        option = options.get(field, field)
        value = getattr(basics, option)
        if value is not None:
            yield drafted(f"submission.{field}", value, f"--{option}")
    note = "or third_party, if somebody else made the model"
    yield drafted("submission.relationship", "first_party", note)
    untuned = basics.method == "none"
    if basics.method is not None:
        yield drafted("hyperparameters.method", basics.method, "--method")
    if untuned:
        note = "the claim is about these weights: nothing was tuned"
        yield drafted("submission.object", "artefact", note)
    if plan:
        yield from _plan(basics.method)
        return
    yield drafted("seeds.scheme", "declared", "the runs were made elsewhere")
    origin = "the runs existed before this card, which was drafted from their files"
    yield drafted("seeds.origin", origin)
    if untuned:
        yield drafted("seeds.training", [], "nothing was trained")
        yield drafted("seeds.controls", [])


def drafted(at: str, value: Any, note: str = "") -> Fact:
    """Return a fact about a field (dots lead further down) that no file says."""
    return Fact(tuple(at.split(".")), value, None, key=note, note=note)


def _plan(method: Method | None) -> Iterator[Fact]:
    untuned = method == "none"
    yield drafted(
        "seeds.scheme", "derived", "computed from the protocol, so that nobody picks them"
    )
    yield drafted("seeds.training", 1 if untuned else 5, "how many; a run fills in the values")
    controls = [] if untuned else ["adapter_init", "data_order", "dropout"]
    yield drafted("seeds.controls", controls)
    if not untuned:
        if method is None:
            note = f"or {', '.join(m for m in METHODS if m != 'lora')}"
            yield drafted("hyperparameters.method", "lora", note)
        yield drafted("data.tuned.name", "tuned", "a name of your own")
        yield drafted("data.tuned.role", "tuned")
    for name, settings in _REFERENCE.items():
        yield drafted(f"decoding.{name}.name", name, "one of the reference decodings")
        for field, value in settings.items():
            yield drafted(f"decoding.{name}.{field}", value)
    for field, value in {**RULE, "primary": True}.items():
        note = "the judge that `safebench run` has" if field == "name" else ""
        yield drafted(f"judge.rule.{field}", value, note)
    for task in TASKS:
        yield drafted(f"tasks.{task}.name", task)
