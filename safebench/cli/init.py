"""`safebench init`: make a card, from what is there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click

from safebench.cli.drafted import sources
from safebench.cli.reporters.text import TextReporter
from safebench.errors import CardError, visible
from safebench.files import replace_file
from safebench.importing.draft.draft import Draft, make_draft
from safebench.importing.draft.gather import Gathered, gather
from safebench.importing.draft.settle import settle
from safebench.importing.draft.start import METHODS, CardBasics, Method, first_facts

_STDOUT = "-"


@dataclass(frozen=True)
class Arguments:
    """The command line."""

    out: str
    paths: tuple[Path, ...]
    basics: CardBasics
    force: bool


@click.command(name="init", short_help="Make a card, from what is there.")
@click.option(
    "--out", default="card.yaml", show_default=True, help="File of the card; - prints it."
)
@click.option(
    "--from",
    "paths",
    multiple=True,
    metavar="PATH",
    type=click.Path(path_type=Path),
    help="A folder or file to read. May be repeated.",
)
@click.option("--id", "id_", help="Short name of the card, unique on a board.")
@click.option("--title", help="Title for readers of the board, in one line.")
@click.option("--submitter", metavar="NAME", help="Who is responsible for the card.")
@click.option("--contact", help="Where to send questions.")
@click.option("--method", type=click.Choice(METHODS), help="How the model is or was fine-tuned.")
@click.option("--force", is_flag=True, help="Replace --out if it exists.")
def command(
    out: str,
    paths: tuple[Path, ...],
    id_: str | None,
    title: str | None,
    submitter: str | None,
    contact: str | None,
    method: Method | None,
    force: bool,
) -> None:
    """Write a card to fill in: a plan, or, with --from, what the files of finished runs say.

    \b
    PATH  an output folder of transformers or trl, with its checkpoints; the folder of a PEFT
          adapter; lm-eval's output folder; a folder that holds several of these, or one file

    A comment behind each value names its source; what nothing says is marked not_reported with the
    question to answer. Nothing is guessed: files that contradict each other are an error that names
    both. Asks no questions, loads no pickle, uses no network.
    """
    basics = CardBasics(id_, title, submitter, contact, method)
    execute(Arguments(out, paths, basics, force))


def execute(arguments: Arguments) -> None:
    """Make the draft, write it whole or not at all, and say on stderr what is in it."""
    prints = arguments.out == _STDOUT
    out = Path("card.yaml" if prints else arguments.out)
    if not prints:
        _check_free(out, force=arguments.force)
    plan = not arguments.paths
    facts = list(first_facts(arguments.basics, plan=plan))
    gathered = Gathered(settle(facts, [])) if plan else gather(arguments.paths, out.parent, facts)
    draft = make_draft(gathered, out.parent, str(out), plan=plan)
    if prints:
        click.echo(draft.text, nl=False)
    else:
        replace_file(out, draft.text.encode())
    for line in _report(gathered, draft, out, prints=prints):
        click.echo(line, err=True)


def _check_free(out: Path, *, force: bool) -> None:
    if out.is_dir():
        raise CardError(f"{out} is a folder", fix=f"give a file: --out {out / 'card.yaml'}")
    if out.exists() and not force:
        raise CardError(f"{out} exists", fix="give another --out, or --force to replace it")


def _report(gathered: Gathered, draft: Draft, out: Path, *, prints: bool) -> Iterator[str]:
    """Yield what was read, what validate says of the draft, and what to do next."""
    yield from sources(gathered)
    yield from (f"note: {visible(remark)}" for remark in gathered.remarks)
    if gathered.files:
        yield ""
    yield TextReporter().render([draft.report])
    yield ""
    if not prints:
        yield f"Wrote {out}."
    if draft.to_name:
        yield f"Give it names of its own: {', '.join(draft.to_name)}."
    then = f"safebench validate {out}"
    if not gathered.files:
        then += f" · safebench run {out} --out DIR"
    yield f"Next: replace each `to fill in`, then {then}"
