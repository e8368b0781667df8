"""What breaks a rule, shown as the change that turns a valid example into its invalid one."""

from __future__ import annotations

import difflib
import itertools
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click

from safebench.card.document import Pointer
from safebench.card.io import card_text, dotted, load_card, load_document
from safebench.checks import LEVELS
from safebench.cli.reporters.text import TextReporter
from safebench.cli.validate import check_file
from safebench.resources import spec_dir

_CONTEXT = 1  # unchanged lines shown around a change
_WIDTH = 60  # characters of a value that was put in or taken out as a whole
_MOST = 6  # lines taken out or put in at one place; of more, the first of them are shown


@dataclass(frozen=True)
class Example:
    """The invalid example of a rule."""

    folder: Path
    """Where it lies."""
    arguments: tuple[str, ...]
    """What `safebench validate card.yaml` is given beside the card."""
    prints: str
    """What that prints."""
    base: Path
    """The valid example it is a change of."""
    difference: tuple[str, ...]
    """The change as lines that start with a space, - or +, with `...` for what is not shown; empty
    where only files beside the card differ."""
    other_files: tuple[str, ...]
    """Names of files beside the card that differ from the valid example's."""


def example_of(rule: str) -> Example:
    """Return the example of a rule; its change is seen from the valid example nearest to it."""
    examples = spec_dir() / "v1" / "examples"
    folder = examples / "invalid" / rule
    text = _card(folder / "card.yaml")
    plan = examples / "valid" / "minimal-plan.yaml"
    report = examples / "valid" / "submission" / "card.yaml"
    if re.search(r"^(results|evidence):", text, re.M):
        base = report
        before, after = (load_document(path).data for path in (report, folder / "card.yaml"))
        difference = list(_data_difference(before, after))
    else:  # some examples were written by the program, which writes every default out
        base = plan
        starts = [_card(plan), card_text(load_card(plan))]
        difference = min((list(_difference(start, text)) for start in starts), key=len)
    given = folder / "arguments.txt"
    arguments = tuple(given.read_text(encoding="utf-8").split()) if given.is_file() else ()
    return Example(
        folder=folder,
        arguments=arguments,
        prints=_prints(folder / "card.yaml", arguments),
        base=base,
        difference=tuple(_shortened(difference)),
        other_files=tuple(_other_files(folder, base.parent)) if base == report else (),
    )


def _prints(card: Path, arguments: tuple[str, ...]) -> str:
    """Return what `safebench validate card.yaml` prints in the card's folder."""
    level = next((level for level in LEVELS if level in arguments), None)
    checked = replace(check_file(str(card), level), path=card.name)
    return click.unstyle(TextReporter().render([checked]))


def _card(path: Path) -> str:
    """Return a card without the comment above it."""
    text = path.read_text(encoding="utf-8")
    head, spec, rest = text.partition("spec:")
    return spec + rest if all(line.startswith("#") for line in head.splitlines()) else text


def _difference(before: str, after: str) -> Iterator[str]:
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), n=_CONTEXT, lineterm="")
    for number, line in enumerate(lines):
        if number < 2 or line.startswith("@@"):  # the names of the files, and line numbers
            if number > 2:
                yield "..."
        else:
            yield line


def _data_difference(before: Any, after: Any, place: Pointer = ()) -> Iterator[str]:
    """Yield what differs between two long cards by field: their lines are much alike."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in {**before, **after}:
            if key not in after:
                yield f"-{dotted((*place, key))}: {_short(before[key])}"
            elif key not in before:
                yield f"+{dotted((*place, key))}: {_short(after[key])}"
            else:
                yield from _data_difference(before[key], after[key], (*place, key))
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for number, (old, new) in enumerate(zip(before, after, strict=True)):
            yield from _data_difference(old, new, (*place, number))
    elif isinstance(before, list) and isinstance(after, list):
        for sign, items, others in (("-", before, after), ("+", after, before)):
            for number, item in enumerate(items):
                if items.index(item) < number or item not in others:
                    yield f"{sign}{dotted((*place, number))}: {_short(item)}"
    elif before != after:
        yield f"-{dotted(place)}: {_short(before)}"
        yield f"+{dotted(place)}: {_short(after)}"


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _WIDTH else f"{text[:_WIDTH]} ..."


def _shortened(lines: list[str]) -> Iterator[str]:
    for sign, run in itertools.groupby(lines, key=lambda line: line[:1]):
        block = list(run)
        if sign in "-+" and len(block) > _MOST:
            rest = len(block) - _MOST // 2
            block = [*block[: _MOST // 2], f"{sign} ... ({rest} more lines)"]
        yield from block


def _other_files(folder: Path, base: Path) -> Iterator[str]:
    own = {"card.yaml", "arguments.txt"}
    for path in sorted(folder.iterdir()):
        twin = base / path.name
        if path.name not in own and not (twin.is_file() and twin.read_bytes() == path.read_bytes()):
            yield path.name
