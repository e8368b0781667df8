"""The types of a card's fields as a tree that can be walked beside its data.

The models are the only description of a card. Their annotations are read here, rather than what
pydantic compiles from them, because the compiled form is private to pydantic.
"""

from __future__ import annotations

import json
import types
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import ConfigDict, Discriminator, FailFast, Tag, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from safebench.card.base import Section
from safebench.card.card import Card
from safebench.card.document import Pointer

_STRICT = ConfigDict(strict=True, allow_inf_nan=False)
_PYTHON_TYPES: dict[Any, Any] = {bool: bool, int: int | float, float: int | float, str: str}


class Shape:
    """One type: a model, a list, a mapping, a choice between types, fixed words, or a value."""

    def __init__(self, annotation: Any) -> None:
        self.annotation = annotation
        self.type, marks = _unwrapped(annotation)
        self.kind = get_origin(self.type)
        tags = (m.discriminator for m in marks if isinstance(m, Discriminator | FieldInfo))
        self._discriminator = next((tag for tag in tags if tag is not None), None)

    @property
    def model(self) -> type[Section] | None:
        """The model, for a mapping with fields."""
        found = self.type
        return found if isinstance(found, type) and issubclass(found, Section) else None

    @cached_property
    def fields(self) -> dict[str, Shape]:
        """The fields of a model; empty for everything else."""
        if self.model is None:
            return {}
        hints = get_type_hints(self.model, include_extras=True)
        return {name: Shape(hints[name]) for name in self.model.model_fields}

    @cached_property
    def item(self) -> Shape | None:
        """What a list holds, or a mapping of free names."""
        if self.kind is tuple:
            return Shape(get_args(self.type)[0])
        return Shape(get_args(self.type)[1]) if self.kind is dict else None

    @cached_property
    def choices(self) -> dict[str, Shape]:
        """The types between which a tag decides, by tag: a field's value, or a key's presence."""
        if self._discriminator is None:
            return {}
        found: dict[str, Shape] = {}
        for member in get_args(self.type):
            shape = Shape(member)
            if isinstance(self._discriminator, str):
                tags = shape.fields[self._discriminator].words
            else:
                tags = tuple(m.tag for m in get_args(member) if isinstance(m, Tag))
            found |= dict.fromkeys(tags, shape)
        return found

    @cached_property
    def alternatives(self) -> tuple[Shape, ...]:
        """The types of a union without a tag. All fixed words among them count as one type."""
        if self._discriminator is not None or not _is_union(self.type):
            return ()
        members = [Shape(member) for member in get_args(self.type)]
        words = tuple(word for member in members for word in member.words)
        others = tuple(member for member in members if not member.words)
        return (Shape(Literal[words]), *others) if words else others

    @property
    def words(self) -> tuple[str, ...]:
        """The fixed words, where one of them has to stand."""
        return get_args(self.type) if self.kind is Literal else ()

    @property
    def accepts_absence(self) -> bool:
        """Whether the value may be `{not_reported: why}`."""
        return "not_reported" in self.choices

    def child(self, part: str | int) -> Shape | None:
        """Return the shape of a field or item; None for a field that is not known."""
        return self.fields.get(str(part)) if self.model else self.item

    def alternative(self, label: str) -> Shape:
        """Return the type of a union that pydantic means by a label in a location."""
        # pydantic's labels also name the validators around a type
        name = label.removeprefix("function-before[_whole(), ").removeprefix("constrained-")
        return next((a for a in self.alternatives if name.startswith(a._label)), self)

    def chosen(self, value: Any) -> Shape | None:
        """Return the one of several types that a value is meant to be, as far as can be told."""
        found: Shape | None = self
        if self.alternatives:
            found = next((a for a in self.alternatives if a.looks_like(value)), None)
        elif self.choices:
            tag: Any = self._discriminator
            if callable(tag):
                found = self.choices.get(tag(value))
            else:
                name = value.get(tag) if isinstance(value, dict) else None
                found = self.choices.get(name) if isinstance(name, str) else None
        return found if found is self or found is None else found.chosen(value)

    def looks_like(self, value: Any) -> bool:
        """Whether a value is of the right sort, whatever is wrong inside it."""
        if self.kind is tuple:
            return isinstance(value, list)
        if isinstance(value, bool):
            return self.type is bool
        return isinstance(value, _PYTHON_TYPES.get(str if self.words else self.type, dict))

    def first_wrong(self, values: list[Any]) -> int | None:
        """Return the position of the first of several values that is not valid; None if all are."""
        try:
            self._list.validate_json(json.dumps(values))
        except ValidationError as error:
            return int(error.errors(include_url=False, include_input=False)[0]["loc"][0])
        return None

    @cached_property
    def _list(self) -> TypeAdapter[Any]:
        # a list can have 100,000 wrong items, of which the first is enough
        values = Annotated[tuple[self.annotation, ...], FailFast()]  # type: ignore[name-defined]
        return TypeAdapter(values, config=_STRICT)

    @property
    def _label(self) -> str:
        """How the label begins that pydantic gives this type in a union."""
        if self.choices:
            return "tagged-union"
        return "literal" if self.words else str(getattr(self.type, "__name__", self.kind))


@dataclass(frozen=True)
class Spot:
    """Where the location of a validation error leads: in the data, and in the models."""

    pointer: Pointer
    owner: type[Section]
    """Model that has the field, or lacks it."""
    shape: Shape | None
    """Type of the value; None for a field that the models do not know."""
    off_branch: bool
    """Whether the error is about an alternative that the value does not look like."""
    absence: Pointer | None
    """The nearest field around the value, or the value itself, that may be `not_reported`."""


@cache
def card_shape() -> Shape:
    """Return the shape of a whole card."""
    return Shape(Card)


def locate(loc: tuple[int | str, ...], data: Any) -> Spot:
    """Follow a location of pydantic, which mixes fields with the names of alternatives."""
    shape: Shape | None = card_shape()
    owner: type[Section] = Card
    pointer: Pointer = ()
    off_branch = False
    absence: Pointer | None = None
    parts = iter(loc)
    while shape is not None:
        owner = shape.model or owner
        if shape.accepts_absence:
            absence = pointer
        part = next(parts, None)
        if part is None or off_branch:
            break
        if shape.choices:
            shape = shape.choices.get(str(part))
        elif shape.alternatives:
            shape = shape.alternative(str(part))
            off_branch = not shape.looks_like(get(data, pointer))
        else:
            pointer = (*pointer, part)
            shape = shape.child(part)
    return Spot(pointer, owner, shape, off_branch, absence)


def get(data: Any, pointer: Iterable[str | int]) -> Any:
    """Return the part of plain data that a pointer leads to."""
    for part in pointer:
        data = data[part]
    return data


@cache
def models() -> dict[str, type[Section]]:
    """Return every model that a card is made of, by name."""
    found: dict[str, type[Section]] = {}
    todo = [card_shape()]
    while todo:
        shape = todo.pop()
        if shape.model is None or shape.model.__name__ not in found:
            todo += _inside(shape)
        if shape.model is not None:
            found[shape.model.__name__] = shape.model
    return found


def _inside(shape: Shape) -> Iterator[Shape]:
    yield from (*shape.fields.values(), *shape.choices.values(), *shape.alternatives)
    if shape.item is not None:
        yield shape.item


def _unwrapped(annotation: Any) -> tuple[Any, list[Any]]:
    """Return a type without `Annotated` and `None`, and what `Annotated` said about it."""
    marks: list[Any] = []
    while True:
        if get_origin(annotation) is Annotated:
            annotation, *more = get_args(annotation)
            marks += more
        elif _is_union(annotation) and type(None) in get_args(annotation):
            annotation = Union[tuple(a for a in get_args(annotation) if a is not type(None))]  # noqa: UP007
        else:
            return annotation, marks


def _is_union(annotation: Any) -> bool:
    return get_origin(annotation) in (Union, types.UnionType)
