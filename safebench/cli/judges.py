"""`safebench judges [NAME]`: list who can judge, or explain a known judge and print its entry."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import yaml

from safebench.cli import options
from safebench.cli.console import print_json, printer, text_width
from safebench.cli.tables import columns, print_cells
from safebench.errors import visible
from safebench.judges.interface import Missing
from safebench.judges.prompted.parsers import PARSERS
from safebench.judges.prompted.presets import Preset, preset, presets
from safebench.judges.registry import KINDS
from safebench.words import count

_HEADS = ("judge", "decides", "template from", "here")


@click.command(name="judges")
@click.argument("name", required=False)
@options.output_format
def command(name: str | None, style: str) -> None:
    """List the kinds of judge, and known judges from safety papers.

    \b
    NAME  a known judge: strongreject-rubric

    With NAME, say what it decides, where its prompt template comes from and what it needs before it
    can judge here, and print its entry for the list `judge` of a card. Nothing is downloaded, and
    no model is asked. Files beside a card are looked for in the current folder.
    """
    here = Path.cwd()
    if name is None:
        found = {one.name: one.missing(here) for one in presets().values()}
        _list(found, style)
        return
    chosen = preset(name)
    lacking = chosen.missing(here)
    if style == "json":
        print_json(_plain(chosen, lacking) | {"entry": chosen.filled(here)})
        return
    for line in _lines(chosen, chosen.filled(here), lacking):
        click.echo(line)


def _list(found: dict[str, list[Missing]], style: str) -> None:
    kinds = [
        {"name": kind.name, "constructs": list(kind.constructs), "about": kind.about}
        for kind in KINDS.values()
    ]
    if style == "json":
        known = [_plain(preset(name), lacking) for name, lacking in found.items()]
        parsers = [{"name": one.name, "about": one.about} for one in PARSERS.values()]
        print_json({"kinds": kinds, "judges": known, "parsers": parsers})
        return
    click.echo("Kinds of judge")
    for kind in kinds:
        click.echo(f"  {click.style(str(kind['name']).ljust(15), fg='cyan')} {kind['about']}")
    click.echo("\nKnown judges of kind llm")
    rows = [
        (
            one.name,
            ", ".join(one.entry["constructs"]),
            one.source(),
            ", ".join(f"no {thing}" for thing in dict.fromkeys(m.thing for m in found[one.name]))
            or "ready",
        )
        for one in presets().values()
    ]
    print_cells(printer(), columns(*_HEADS), rows)
    click.echo("\nParsers of kind llm")
    for parser in PARSERS.values():
        click.echo(f"  {click.style(parser.name.ljust(20), fg='cyan')} {parser.about}")
    ready = count(sum(not lacking for lacking in found.values()), "known judge")
    click.echo(f"\n{ready} can judge here. What lacks, and a card's entry: safebench judges NAME")


def _plain(one: Preset, lacking: list[Missing]) -> dict[str, Any]:
    return {
        "name": one.name,
        "about": one.about,
        "constructs": one.entry["constructs"],
        "template_from": one.source(),
        "published": one.published,
        "digest": one.digest,
        "licence": one.licence,
        "citation": one.citation,
        "note": one.note,
        "missing": [thing._asdict() for thing in lacking],
    }


def _lines(one: Preset, entry: dict[str, Any], lacking: list[Missing]) -> Iterator[str]:
    lines = {
        "decides": ", ".join(one.entry["constructs"]),
        "reads": f"{one.entry['parser']}: {PARSERS[one.entry['parser']].about}",
        "template": f"{one.published} (digest {one.digest})",
        "licence": f"weights: {one.licence['weights']}; text: {one.licence['text']}",
        "cite": one.citation,
        "note": one.note,
    }
    yield click.style(f"{one.name}: {one.about}", bold=True)
    for label, text in lines.items():
        if text:
            yield f"  {label:<9} {text}"
    yield ""
    yield "In a card, under `judge:`"
    yield ""
    width = text_width(printer()) - 2
    text = yaml.safe_dump(
        [entry], sort_keys=False, allow_unicode=True, width=width, default_flow_style=None
    )
    yield "\n".join(f"  {line}" for line in text.rstrip().splitlines())
    yield ""
    if not lacking:
        yield "It can judge here."
        return
    yield "Before it can judge here:"
    for thing in lacking:
        yield f"  {visible(thing.what)}"
        yield f"    {visible(thing.how)}"
