"""The data of a draft, with the comment, the source and the mark of each part of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, get_args

from safebench.card.base import NotReported, Section
from safebench.card.card import SPEC, Card
from safebench.card.document import Pointer, dotted
from safebench.card.schema import descriptions
from safebench.errors import InteropError
from safebench.importing.draft.commented import commented
from safebench.importing.draft.settle import METHOD, FieldValue
from safebench.importing.facts import Absent, Fact, Nothing, Place, short_name, show

TO_FILL = "to fill in"
"""How the reason of every mark begins."""
TRAINING = "hyperparameters"
EXAMPLES = {
    "data": "[{name: mine, path: mine.jsonl, examples: 1000}]",
    "hyperparameters": "{method: none}, if it was not",
    "decoding": "[{name: greedy, do_sample: false, max_new_tokens: 512}]",
    "judge": '[{name: rule, kind: rule, id: safebench/refusal-rule, revision: "1", primary: true}]',
    "tasks": "[safebench_harm, safebench_overrefusal, safebench_capability]",
}
"""What a list or section that nothing filled can look like, in one line each."""
_LISTS: tuple[Place, ...] = (("decoding",), ("tasks",), ("model", "weights"), ("data",), ("judge",))


class Tree:
    """Plain data of a card, and what to say about each part of it."""

    def __init__(self, filled: Mapping[Place, FieldValue]) -> None:
        self.data: dict[str, Any] = {"spec": SPEC}
        self.comments: dict[Pointer, str] = {}
        self.asides: dict[Pointer, str] = {}
        """Comments above a field, or above the fields of a section (at the section and `""`)."""
        self.sources: dict[Pointer, FieldValue] = {}
        self.left_out: set[Pointer] = set()
        """Fields whose absence is an answer."""
        self.marked: set[Pointer] = set()
        """Fields that a person has to fill in."""
        self._numbers: dict[Place, dict[str, int]] = {}
        self._of_data = {place[-1] for place in filled if place[0] == "data"}
        has_method = METHOD in filled
        training = {p: one for p, one in filled.items() if p[0] == TRAINING}
        for place, one in filled.items():
            # without its method, a training has no shape that its fields could be put into
            if place not in training or has_method or place == (TRAINING,):
                self._fill(self._pointer(place), one)
        if training and not has_method and (TRAINING,) not in filled:
            self._set_aside(training)
        self.open(("model", "base"))
        names = list(decoding_names(filled).values())
        for number, settings in enumerate(self.data.get("decoding", ())):
            settings.setdefault("name", names[number])

    def put(self, at: Pointer, value: Any, comment: str = "") -> None:
        """Write a value, with the mappings and list items around it."""
        self.open(at[:-1])[at[-1]] = value
        if comment:
            self.comments[at] = comment

    def mark(self, at: Pointer) -> None:
        """Mark a field that a person has to fill in, with an example for a whole section."""
        self.put(at, _mark(at))
        self.marked.add(at)
        if len(at) == 1 and at[0] in EXAMPLES:
            self.asides.setdefault(at, f"e.g. {at[0]}: {EXAMPLES[str(at[0])]}")

    def open(self, at: Pointer) -> Any:
        """Return the mapping at a pointer, made if it does not exist.

        Raises:
            InteropError: a value already stands where a section or list has to be.
        """
        node: Any = self.data
        for number, (part, following) in enumerate(zip(at, (*at, "")[1:], strict=True)):
            fits = isinstance(node, dict if isinstance(part, str) else list)
            if not fits:
                name = dotted(at[:number])
                raise InteropError(
                    f"{name} is {show(node)}, but another source has {dotted(at)}",
                    fix=f"give {name} with its fields, or leave one of the two out",
                )
            if isinstance(part, str):
                node = node.setdefault(part, [] if isinstance(following, int) else {})
                continue
            while len(node) <= part:
                node.append({})
            node = node[part]
        if not isinstance(node, dict):
            raise InteropError(
                f"{dotted(at)} is {show(node)}, expected a mapping", fix="give it with its fields"
            )
        return node

    def _pointer(self, place: Place) -> Pointer:
        """Return where a field stands, with its item's number in a list."""
        for head in _LISTS:
            if place[: len(head)] == head and len(place) > len(head):
                numbers = self._numbers.setdefault(head, {})
                number = numbers.setdefault(place[len(head)], len(numbers))
                return (*head, number, *place[len(head) + 1 :])
        return place

    def _fill(self, at: Pointer, one: FieldValue) -> None:
        value, comment = one.value, one.comment
        if isinstance(value, Nothing):
            self.left_out.add(at)
            inside: Pointer = (*at[:-1], "")
            before = f"{self.asides[inside]}\n" if inside in self.asides else ""
            self.asides[inside] = f"{before}{at[-1]}: none ({comment})"
            self.open(at[:-1])
            return
        if at == ("data", 0, "name") and "path" not in self._of_data:
            self.asides[("data",)] = "a local file has path: FILE.jsonl in place of id and revision"
        if isinstance(value, Absent):
            file = one.facts[0].file
            comment = f"{short_name(file)}: {value.reason}" if file else value.reason
            value = _mark(at)
        self.put(at, value, comment)
        self.sources[at] = one

    def _set_aside(self, known: Mapping[Place, FieldValue]) -> None:
        """Keep what is known of a training as a comment, while nothing says what was trained."""
        method = FieldValue("lora", (Fact(METHOD, "lora", None, note="or another"),))
        tree = Tree({METHOD: method, **known})
        block = commented({TRAINING: tree.data[TRAINING]}, tree.comments, {})
        intro = "known so far, to use once `method` is (safebench init --method ... fills it in):"
        self.asides[TRAINING,] = f"{intro}\n{block.rstrip()}"


def decoding_names(filled: Mapping[Place, FieldValue]) -> dict[str, str]:
    """Return the name of every decoding by its key: the declared one, or one made of its settings.

    Names that are made are unique: `greedy`, `t07`, `t07-2`.
    """
    settings: dict[str, dict[str, Any]] = {}
    for place, one in filled.items():
        if place[0] == "decoding":
            settings.setdefault(place[1], {})[place[-1]] = one.value
    names = {key: str(values["name"]) for key, values in settings.items() if "name" in values}
    for key, values in settings.items():
        temperature = values.get("temperature")
        name = "greedy"
        if values.get("do_sample"):
            known = isinstance(temperature, int | float)
            name = f"t{temperature:g}".replace(".", "") if known else "sampled"
        choices = (name, *(f"{name}-{n}" for n in range(2, len(settings) + 2)))
        if key not in names:
            names[key] = next(one for one in choices if one not in names.values())
    return {key: names[key] for key in settings}


def _mark(at: Pointer) -> dict[str, str]:
    """Return the mark of a field that a person fills in: the standard's description of it."""
    question = " ".join(meaning(at).split())
    return {"not_reported": f"{TO_FILL}: {question}" if question else TO_FILL}


def owner_of(pointer: Pointer) -> type[Section] | None:
    """Return the section that has the field at a pointer; of alternatives, the first one.

    None where a pointer leads to free names, or to nothing.
    """
    owner: type[Section] | None = None
    sections: list[type[Section]] = [Card]
    for part in pointer:
        if isinstance(part, int):
            continue
        owner = next((section for section in sections if part in section.model_fields), None)
        if owner is None:
            return None
        sections = list(dict.fromkeys(_sections(owner.model_fields[part].annotation)))
    return owner


def meaning(pointer: Pointer) -> str:
    """Return what a field holds, in the standard's words and without the full stop."""
    owner = owner_of(pointer)
    return "" if owner is None else descriptions(owner).get(str(pointer[-1]), "").rstrip(".")


def default(pointer: Pointer) -> Any:
    """Return the value of a field that is left out, as plain data; None where there is none."""
    owner = owner_of(pointer)
    field = None if owner is None else owner.model_fields[str(pointer[-1])]
    if field is None or field.is_required():
        return None
    value = field.default
    return list(value) if isinstance(value, tuple) else value


def _sections(annotation: Any) -> Iterator[type[Section]]:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        if annotation is not NotReported:
            yield annotation
        return
    for part in get_args(annotation):
        yield from _sections(part)
