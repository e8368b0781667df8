"""`safebench init`: draft a card from the files of finished runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from safebench.cli import options
from safebench.cli.reporters import text
from safebench.errors import CardError, visible
from safebench.files import replace_file
from safebench.importing.draft.draft import Draft, make_draft
from safebench.importing.draft.gather import Gathered, gather
from safebench.importing.draft.start import CardBasics, first_facts
from safebench.importing.facts import Absent, short_name

_STDOUT = "-"


@click.command(name="init")
@click.option(
    "--out",
    "target",
    default="card.yaml",
    show_default=True,
    help="File to write the card to; - prints it.",
)
@click.option(
    "--from",
    "paths",
    multiple=True,
    required=True,
    metavar="PATH",
    type=click.Path(path_type=Path),
    help="Folder or file to read. May be repeated.",
)
@options.card_basics
@click.option("--force", is_flag=True, help="Replace --out if it exists.")
def command(target: str, paths: tuple[Path, ...], force: bool, **basics: Any) -> None:
    """Draft a card from the files of finished runs. `safebench new` writes the plan of new ones.

    \b
    PATH  an output folder of transformers or trl, with its checkpoints; the folder of a PEFT
          adapter; lm-eval's output folder; a folder that holds several of these, or one file

    A comment after each value names its source. A field that no file fills is marked not_reported,
    with the question to answer. Nothing is guessed: if two files contradict each other, an error
    names both. The command asks no questions, loads no pickles and uses no network.
    """
    prints = target == _STDOUT
    out = Path("card.yaml" if prints else target)  # a printed card's paths start in this folder
    if not prints:
        _check_free(out, force=force)
    facts = list(first_facts(CardBasics(**basics), plan=False))
    gathered = gather(paths, out.parent, facts)
    draft = make_draft(gathered, out.parent, str(out))
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
    """Yield what was read, what `validate` finds in the draft, and what to do next."""
    yield from read_files(gathered)
    yield ""
    yield text.render([draft.report])
    yield ""
    if not prints:
        yield f"Wrote {out}."
    if draft.to_name:
        yield f"Still to be named by you: {', '.join(draft.to_name)}."
    yield f"Next: replace each `to fill in`, then safebench validate {out}"


def read_files(gathered: Gathered) -> Iterator[str]:
    """Yield a line per kind of file, with the number of fields it helped to fill, then remarks."""
    names = Counter(short_name(file) for file in gathered.files)
    fields: dict[str, Counter[str]] = {name: Counter() for name in names}
    for place, one in gathered.filled.items():
        if isinstance(one.value, Absent):
            continue
        for name in {short_name(fact.file) for fact in one.facts if fact.file is not None}:
            if name in fields:
                fields[name][place[0]] += 1
    width = max((len(name) + len(f" ({names[name]})") for name in names), default=0)
    for name, count in names.items():
        counts = [f"{number} of {section}" for section, number in fields[name].most_common()]
        label = visible(name if count == 1 else f"{name} ({count})")
        helped = ", ".join(counts) or "none that other files do not fill"
        yield f"read {label:<{width}}  fields: {helped}"
    yield from (f"note: {visible(remark)}" for remark in gathered.remarks)
