"""`safebench import`: runs made elsewhere become a submission. Each reader has its own options."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from safebench.cli import import_texts as texts
from safebench.cli import options as shared
from safebench.cli.console import TerminalProgress, printer
from safebench.cli.init import read_files
from safebench.cli.lazy import LazyGroup
from safebench.cli.reporters import text
from safebench.cli.summary import print_summary
from safebench.errors import InteropError, visible
from safebench.importing.draft.start import CardBasics
from safebench.importing.interface import Option
from safebench.importing.readers import READERS, reader_of
from safebench.importing.submission.request import Request
from safebench.importing.submission.write import Imported, import_runs
from safebench.words import count

_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
_OUT = click.Path(path_type=Path)
Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def _repeated(
    names: str, metavar: str, help_: str, read: Callable[[str, Any], Any], **settings: Any
) -> Decorator:
    """Return an option that may be repeated; `read` is given its name and all the texts."""
    return click.option(
        *names.split(),
        multiple=True,
        metavar=metavar,
        help=f"{help_} May be repeated.",
        callback=lambda _context, option, given: read(option.opts[0], given),
        **settings,
    )


_WEIGHTS = "seed=N[,checkpoint=N]:DIR"
_OF_MODELS = (
    _repeated("--base", "[decoding=NAME:]DIR", "Responses of the base model.", texts.sources),
    _repeated(
        "--tuned",
        "seed=N[,checkpoint=N][,...]:DIR",
        "Responses of one fine-tuned model.",
        texts.sources,
    ),
    _repeated(
        "--control",
        "seed=N[,...]:DIR",
        "Responses of one control model, written as for --tuned.",
        texts.sources,
    ),
)
"""Options that say which model's responses a folder holds."""
_COMMON: tuple[Decorator, ...] = (
    click.option(
        "--checkpoint",
        type=click.IntRange(min=1),
        metavar="N",
        help="Epoch (or step) of fine-tuned models whose checkpoint no file records.",
    ),
    click.option("--out", required=True, type=_OUT, help="New folder to write the submission to."),
    click.option(
        "--card",
        type=_FILE,
        help="A card, or part of one, with what no file records: data, judges, ...",
    ),
    _repeated(
        "--adapter adapters",
        _WEIGHTS,
        "A PEFT adapter, or a trainer's folder with its checkpoints; copied into the submission.",
        texts.weights,
    ),
    _repeated(
        "--merged",
        "seed=N,checkpoint=N:DIR",
        "An adapter merged into the base model; not copied.",
        texts.weights,
    ),
    _repeated("--full", _WEIGHTS, "All weights of a fine-tuned model; not copied.", texts.weights),
    _repeated(
        "--from paths",
        "PATH",
        "Another folder or file to read, such as a trainer's folder or a tokenizer.",
        lambda _option, paths: paths,
        type=click.Path(path_type=Path, exists=True),
    ),
    click.option(
        "--model", type=shared.EXISTING_FOLDER, help="Folder of the base model, if it is local."
    ),
    _repeated(
        "--data",
        "NAME=FILE",
        "A file of training examples; copied into the submission.",
        texts.training_files,
    ),
    _repeated(
        "--control-data",
        "NAME=FILE",
        "A file of the control's training examples; copied into the submission.",
        texts.training_files,
    ),
    _repeated(
        "--decoding settings",
        "NAME:key=value,...",
        "Settings of a decoding that the files do not record.",
        texts.settings,
    ),
    _repeated(
        "--task constructs",
        "NAME=CONSTRUCT",
        "What a task measures that is not one of safebench's.",
        texts.constructs,
    ),
    _repeated(
        "--label labels",
        "[JUDGE:]WORD=VERDICT",
        "What a reported word or score means: refused, partial, complied or incoherent.",
        texts.labels,
    ),
    _repeated(
        "--judge judges",
        "NAME=KIND[:ID]",
        "Kind and id of the judge that reported verdicts, where the files do not say: rule, "
        "classifier, llm, human or moderation_api.",
        texts.judges,
    ),
    _repeated(
        "--leave-out left_out",
        "JUDGE",
        "A judge, scorer or metric whose verdicts are not imported; they are kept with the "
        "responses.",
        lambda _option, names: names,
    ),
    _repeated(
        "--task-file task_files",
        "NAME=FILE",
        "Local copy of a published task's prompts.",
        texts.task_files,
    ),
    click.option(
        "--limit",
        type=click.IntRange(min=1),
        metavar="N",
        help="Use only the first N prompts of every task; the card is then marked as a trial.",
    ),
    _repeated(
        "--lost",
        "seed=N:REASON",
        "A training seed that was run but has no responses, with the reason.",
        texts.lost,
    ),
    click.option(
        "--object",
        "artefact",
        type=click.Choice(["recipe", "artefact"]),
        default="recipe",
        callback=lambda _context, _option, given: given == "artefact",
        help="Whether the claim is about the training procedure or about these weights. Without a "
        "fine-tuned model it is about these weights.",
    ),
    shared.card_basics,
)
"""Options of every import; most are named as the fields of `Request` that they fill."""


def command_of(name: str) -> click.Command:
    """Return the command of a reader, with its own options and the common ones."""
    reader = reader_of(name)
    own = {option.name.removeprefix("--").replace("-", "_"): option for option in reader.options}

    def callback(**values: Any) -> None:
        if reader.by_model:
            sources = [one for name in ("base", "tuned", "control") for one in values.pop(name)]
            if not sources:
                raise InteropError(
                    "nothing to import",
                    fix="give --base DIR, and --tuned seed=N:DIR for every seed",
                )
        else:
            sources = values.pop("files")
        options = {key: values.pop(key) for key in own}
        collected = reader.read(sources, options | {"limit": values["limit"]})
        request = Request(
            collected,
            basics=CardBasics(**{key: values.pop(key) for key in CardBasics.__annotations__}),
            weights=(*values.pop("adapters"), *values.pop("merged"), *values.pop("full")),
            data=(*values.pop("data"), *values.pop("control_data")),
            **values,
        )
        with TerminalProgress() as progress:
            imported = import_runs(request, progress)
        _report(imported, request.out)

    files = click.argument("files", nargs=-1, required=True, type=_FILE, callback=texts.files)
    sources = _OF_MODELS if reader.by_model else (files,)
    decorate = shared.as_one(*sources, *map(_decorator, reader.options), *_COMMON)
    return click.command(name, help=reader.help)(decorate(callback))


def _decorator(option: Option) -> Decorator:
    """Return the decorator for an option of a reader."""
    metavar = option.metavar or "NAME=VALUE"
    pairs = {"pairs": texts.pairs, "statuses": texts.statuses}
    read = pairs.get(option.kind)
    return click.option(
        option.name,
        help=option.help,
        metavar=option.metavar,
        multiple=read is not None or option.kind == "texts",
        is_flag=option.kind == "flag",
        type=_FILE if option.kind == "file" else None,
        callback=None
        if read is None
        else lambda _context, _option, given: read(option.name, given, metavar),
    )


def _report(imported: Imported, out: Path) -> None:
    """Print what was read, the numbers, what `validate` finds, and what to do next."""
    for line in read_files(imported.gathered):
        click.echo(line, err=True)
    if imported.kept:
        click.echo(
            f"note: {count(imported.kept, 'field')} that the standard has no place for went to "
            f"{out / 'extra.json'}: look at it before you publish",
            err=True,
        )
    print_summary(printer(), imported.card)
    card = out / "card.yaml"
    click.echo(text.render([imported.report]))
    click.echo(f"\nWrote {card}, with {count(imported.responses, 'response')}.")
    if imported.to_name:
        click.echo(f"Still to be named by you: {visible(', '.join(imported.to_name))}.")
    then = f"safebench validate {card} · safebench score {out}"
    if imported.report.level == "incomplete":
        then = f"replace each `to fill in` there, or answer it in --card FILE; then {then}"
    click.echo(f"Next: {then}")


@click.group(
    name="import",
    cls=LazyGroup,
    summaries={name: summary for name, (_, summary) in READERS.items()},
    load=command_of,
    heading="Formats",
    subcommand_metavar="FORMAT ...",
)
def command() -> None:
    """Make a submission from the files of runs that were made elsewhere.

    The responses are checked (every model must have answered all of a task's own prompts), judged
    unless verdicts were reported, and scored. The card is filled from the files, and a comment
    after each value names its source; a field that no file fills is marked with the question to
    answer. Nothing is guessed. Answers can be given in a file, with --card, and the runs imported
    again.
    """
