"""`safebench rules [ID...]`: list the rules of the standard, or explain some of them."""

from __future__ import annotations

import difflib
import json
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, get_args

import click

from safebench.checks import Rule, Severity, all_rules
from safebench.checks.registry import GROUPS
from safebench.cli import options
from safebench.cli.reporters.words import COLOURS
from safebench.cli.rule_examples import Example, example_of
from safebench.errors import InputError, visible
from safebench.resources import spec_dir
from safebench.words import count

_WIDTH = 100
_TITLE = 25  # column where titles start in the list
SEVERITIES: tuple[Severity, ...] = get_args(Severity)


@click.command(name="rules", short_help="List or explain the rules of the standard.")
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
        click.echo(json.dumps({"rules": shown}, indent=2, ensure_ascii=False))
    elif ids:
        click.echo(f"\n\n{'-' * _WIDTH}\n\n".join("\n".join(_explain(rule)) for rule in rules))
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
    yield f"{count(len(rules), 'rule')}: {kinds}. To explain one: safebench rules ID"


def _severity(rule: Rule, pad: int = 0) -> str:
    return click.style(f"{rule.severity:<{pad}}", fg=COLOURS[rule.severity], bold=True)


def _explain(rule: Rule) -> Iterator[str]:
    example = example_of(rule.id)
    yield f"{click.style(rule.id, bold=True)}  {_severity(rule)}  {rule.group}"
    yield ""
    yield from textwrap.wrap(rule.title, _WIDTH)
    yield ""
    yield from textwrap.wrap(f"Why: {rule.rationale}", _WIDTH)
    yield ""
    yield from _change(example)
    yield ""
    yield f"`{' '.join(['safebench validate card.yaml', *example.arguments])}` prints:"
    yield ""
    yield from _indented(example.prints.splitlines())
    yield ""
    yield "Read more:"
    yield from _indented([f"{_here(spec_dir() / 'v1')}/{rule.section}", _here(example.folder)])


def _change(example: Example) -> Iterator[str]:
    yield f"An example is {_name(example.base)} with this change:"
    yield ""
    for line in example.difference:
        colour = {"-": "red", "+": "green"}.get(line[:1])
        yield click.style(f"  {line}", fg=colour)
    for name in example.other_files:
        yield f"  another {name} beside the card"


def _indented(lines: Sequence[str]) -> Iterator[str]:
    return (f"  {line}".rstrip() for line in lines)


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
