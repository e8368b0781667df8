"""`safebench rules [ID...]`: list the rules of the standard, or explain some of them."""

from __future__ import annotations

import difflib
import itertools
import json
import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, get_args

import click

from safebench.card.document import Pointer
from safebench.card.io import card_text, dotted, load_card, load_document
from safebench.checks import LEVELS, Rule, Severity, all_rules
from safebench.checks.registry import GROUPS
from safebench.cli import options
from safebench.cli.console import print_json
from safebench.cli.reporters import text
from safebench.cli.reporters.words import COLOURS
from safebench.cli.validate import check_file
from safebench.errors import InputError, visible
from safebench.resources import spec_dir
from safebench.words import count

_WIDTH = 100
_CONTEXT = 1  # unchanged lines shown around a change
_VALUE_WIDTH = 60  # characters of a value that was put in or taken out as a whole
_MOST = 6  # lines taken out or put in at one place; of more, the first of them are shown
_MOST_OF_ALL = 20  # lines of a change; where files beside the card differ, many numbers follow
_TITLE = 25  # column where titles start in the list
SEVERITIES: tuple[Severity, ...] = get_args(Severity)


@click.command(name="rules")
@click.argument("ids", nargs=-1, metavar="[ID]...")
@click.option("--severity", type=click.Choice(SEVERITIES), help="List only rules of this severity.")
@options.output_format
def command(ids: tuple[str, ...], severity: Severity | None, style: str) -> None:
    """List every rule of the standard, or explain some of them.

    \b
    ID  a rule, as `safebench validate` names it: SB-DEC-004

    An explanation gives the rule and its reason, an example of a card that breaks it, what
    `validate` reports for that card, and where to read more.
    """
    if ids and severity:
        raise click.UsageError("--severity limits the list: leave it out to explain some rules.")
    rules = _named(ids) if ids else list(all_rules().values())
    if severity:
        rules = [rule for rule in rules if rule.severity == severity]
    if style == "json":
        shown = [_plain(rule, example=bool(ids)) for rule in rules]
        print_json({"rules": shown})
    elif ids:
        click.echo(f"\n\n{'-' * _WIDTH}\n\n".join(_explain(rule) for rule in rules))
    else:
        click.echo("\n".join(_list(rules)))


def _named(ids: Sequence[str]) -> list[Rule]:
    rules = all_rules()
    unknown = [_unknown(id, list(rules)) for id in ids if id not in rules]
    if unknown:
        fix = "`safebench rules` lists every rule"
        raise InputError(f"there is no rule {', '.join(unknown)}", fix=fix)
    return [rules[id] for id in dict.fromkeys(ids)]


def _unknown(id: str, known: list[str]) -> str:
    written = "-".join(id.upper().replace("_", "-").split())
    near = difflib.get_close_matches(written, known, n=1) or difflib.get_close_matches(
        f"SB-{written}", known, n=1
    )
    return visible(id) + (f" (did you mean {near[0]}?)" if near else "")


def _list(rules: Sequence[Rule]) -> Iterator[str]:
    for heading in GROUPS.values():
        group = [rule for rule in rules if rule.group == heading]
        if not group:
            continue
        yield click.style(heading, bold=True)
        for rule in group:
            first, *more = textwrap.wrap(rule.title, _WIDTH - _TITLE)
            yield f"  {rule.id:<12}  {_severity(rule, pad=7)}  {first}"
            yield from (" " * _TITLE + line for line in more)
        yield ""
    totals = {word: sum(rule.severity == word for rule in rules) for word in SEVERITIES}
    kinds = ", ".join(count(number, word) for word, number in totals.items() if number)
    yield f"{count(len(rules), 'rule')}: {kinds}. To read about one, run safebench rules ID"


def _severity(rule: Rule, pad: int = 0) -> str:
    return click.style(f"{rule.severity:<{pad}}", fg=COLOURS[rule.severity], bold=True)


def _explain(rule: Rule) -> str:
    example = example_of(rule.id)
    command = " ".join(["safebench validate card.yaml", *example.arguments])
    places = (f"{_here(spec_dir() / 'v1')}/{rule.section}", _here(example.folder))
    colours = {"-": "red", "+": "green"}
    change = [click.style(f"  {line}", fg=colours.get(line[:1])) for line in example.difference]
    change += [f"  another {name} beside the card" for name in example.other_files]
    return "\n\n".join(
        [
            f"{click.style(rule.id, bold=True)}  {_severity(rule)}  {rule.group}",
            textwrap.fill(rule.title, _WIDTH),
            textwrap.fill(f"Why: {rule.rationale}", _WIDTH),
            *([textwrap.fill(f"Broken when: {rule.condition}", _WIDTH)] if rule.condition else []),
            f"An example is {_name(example.base)} with this change:",
            "\n".join(change),
            f"`{command}` prints:",
            textwrap.indent(example.prints, "  "),
            "\n  ".join(("Read more:", *places)),
        ]
    )


def _name(path: Path) -> str:
    """Return a file of the standard as the repository names it."""
    return f"spec/{path.relative_to(spec_dir()).as_posix()}"


def _here(path: Path) -> str:
    """Return where a file of the standard lies on this machine."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def _plain(rule: Rule, *, example: bool) -> dict[str, Any]:
    found = {
        "id": rule.id,
        "severity": rule.severity,
        "group": rule.group,
        "section": f"spec/v1/{rule.section}",
        "title": rule.title,
        "rationale": rule.rationale,
    }
    if not example:
        return found
    shown = asdict(example_of(rule.id))
    return found | {
        "example": shown | {"folder": _name(shown["folder"]), "base": _name(shown["base"])}
    }


@dataclass(frozen=True)
class Example:
    """The invalid example of a rule."""

    folder: Path
    """Where it lies."""
    arguments: tuple[str, ...]
    """Further arguments of `safebench validate card.yaml`."""
    prints: str
    """The output of that command."""
    base: Path
    """The valid example that it changes."""
    difference: tuple[str, ...]
    """The change as lines that start with a space, - or +, with `...` for what is not shown; empty
    where only files beside the card differ."""
    other_files: tuple[str, ...]
    """Names of files beside the card that differ from the valid example's."""


def example_of(rule: str) -> Example:
    """Return the example of a rule, as a change of the valid example that is most like it."""
    examples = spec_dir() / "v1" / "examples"
    folder = examples / "invalid" / rule
    card = _card(folder / "card.yaml")
    plan = examples / "valid" / "minimal-plan.yaml"
    report = examples / "valid" / "submission" / "card.yaml"
    if re.search(r"^(results|evidence):", card, re.M):
        base = report
        before, after = (load_document(path).data for path in (report, folder / "card.yaml"))
        difference = list(_data_difference(before, after))
    else:  # some examples were written by the program, which writes every default out
        base = plan
        starts = [_card(plan), card_text(load_card(plan))]
        difference = min((list(_difference(start, card)) for start in starts), key=len)
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
    return click.unstyle(text.render([checked]))


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
    """Yield the differences of two long cards by field: a diff of their lines tells little."""
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
    return text if len(text) <= _VALUE_WIDTH else f"{text[:_VALUE_WIDTH]} ..."


def _shortened(lines: list[str]) -> Iterator[str]:
    if len(lines) > 2 * _MOST_OF_ALL:
        yield from lines[:_MOST_OF_ALL]
        yield f"... ({len(lines) - _MOST_OF_ALL} more lines)"
        return
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
