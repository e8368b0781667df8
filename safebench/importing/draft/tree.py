"""The data of a draft, and what to say about each part of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from safebench.card.card import SPEC
from safebench.card.document import Pointer, dotted
from safebench.errors import InteropError
from safebench.importing.draft.commented import commented
from safebench.importing.draft.facts import Absent, Fact, Nothing, Place, show
from safebench.importing.draft.fields import meaning
from safebench.importing.draft.merge import METHOD, Filled, short_name

TO_FILL = "to fill in"
"""How the reason of every mark begins."""
TRAINING = "hyperparameters"
_LISTS: tuple[Place, ...] = (("decoding",), ("tasks",), ("model", "weights"), ("data",), ("judge",))


class Tree:
    """Plain data of a card, and what to say about each part of it."""

    def __init__(self, filled: Mapping[Place, Filled]) -> None:
        self.data: dict[str, Any] = {"spec": SPEC}
        self.comments: dict[Pointer, str] = {}
        self.asides: dict[Pointer, str] = {}
        self.sources: dict[Pointer, Filled] = {}
        self.stated_absent: set[Pointer] = set()
        self.marked: set[Pointer] = set()
        self._numbers: dict[Place, dict[str, int]] = {}
        for place, one in filled.items():
            if place[0] != TRAINING or METHOD in filled or place == (TRAINING,):
                self._fill(self._pointer(place), one)
        if METHOD not in filled and (TRAINING,) not in filled:
            self._set_aside({p: one for p, one in filled.items() if p[0] == TRAINING})
        self.open(("model", "base"))
        names = list(decoding_names(filled).values())
        for number, settings in enumerate(self.data.get("decoding", ())):
            settings.setdefault("name", names[number])

    def _set_aside(self, known: dict[Place, Filled]) -> None:
        """Keep what is known of a training as a comment, while nothing says what was trained."""
        if not known:
            return
        method = {METHOD: Filled("lora", (Fact(METHOD, "lora", None, note="or another"),))}
        tree = Tree({**method, **known})
        block = commented({TRAINING: tree.data[TRAINING]}, tree.comments, {})
        told = "known of it, for when `method` is (safebench init --method ... fills it in):"
        self.asides[TRAINING,] = f"{told}\n{block.rstrip()}"

    def _pointer(self, place: Place) -> Pointer:
        for head in _LISTS:
            if place[: len(head)] == head and len(place) > len(head):
                numbers = self._numbers.setdefault(head, {})
                number = numbers.setdefault(place[len(head)], len(numbers))
                return (*head, number, *place[len(head) + 1 :])
        return place

    def _fill(self, at: Pointer, one: Filled) -> None:
        if isinstance(one.value, Nothing):
            self.stated_absent.add(at)
            inside: Pointer = (*at[:-1], "")
            before = f"{self.asides[inside]}\n" if inside in self.asides else ""
            self.asides[inside] = f"{before}{at[-1]}: none ({one.comment})"
            self.open(at[:-1])
            return
        value, comment = one.value, one.comment
        if at == ("data", 0, "name"):
            self.asides[("data",)] = "a local file has path: FILE.jsonl in place of id and revision"
        if isinstance(value, Absent):
            file = one.facts[0].file
            comment = f"{short_name(file)}: {value.reason}" if file else value.reason
            value = absence(at)
        self.put(at, value, comment)
        self.sources[at] = one

    def put(self, at: Pointer, value: Any, comment: str = "") -> None:
        """Write a value, with the mappings and list items around it."""
        self.open(at[:-1])[at[-1]] = value
        if comment:
            self.comments[at] = comment

    def open(self, at: Pointer) -> Any:
        """Return the mapping at a pointer, made if it is not there."""
        node: Any = self.data
        for number, (part, following) in enumerate(zip(at, (*at, "")[1:], strict=True)):
            fits = isinstance(node, dict if isinstance(part, str) else list)
            if not fits:
                name = dotted(at[:number])
                raise InteropError(
                    f"{name} is {show(node)}, and something else says {dotted(at)}",
                    fix=f"give {name} with its fields, or take one of the two away",
                )
            if isinstance(part, str) and isinstance(node, dict):
                node = node.setdefault(part, [] if isinstance(following, int) else {})
                continue
            part = int(part)
            while len(node) <= part:
                node.append({})
            node = node[part]
        if not isinstance(node, dict):
            raise InteropError(
                f"{dotted(at)} is {show(node)}, expected a mapping", fix="give it with its fields"
            )
        return node


def decoding_names(filled: Mapping[Place, Filled]) -> dict[str, str]:
    """Return the name of every decoding by its key: the one it was given, or one of its own."""
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
        taken = {names[other] for other in settings if other != key and other in names}
        choices = (name, *(f"{name}-{n}" for n in range(2, len(settings) + 2)))
        names.setdefault(key, next(one for one in choices if one not in taken))
    return {key: names[key] for key in settings}


def absence(at: Pointer) -> dict[str, str]:
    """Return the mark of a field that a person fills in, with what is asked."""
    asked = " ".join(meaning(at).split())
    return {"not_reported": f"{TO_FILL}: {asked}" if asked else TO_FILL}
