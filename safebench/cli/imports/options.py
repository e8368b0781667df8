"""Options that every import has, and what is done with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import click

from safebench.card.measured import complete_results
from safebench.card.task import Construct
from safebench.cli.console import TerminalProgress, printer
from safebench.cli.drafted import sources as sources_of
from safebench.cli.imports import places
from safebench.cli.reporters.text import TextReporter
from safebench.cli.summary import print_summary
from safebench.errors import InteropError, visible
from safebench.importing.draft.start import METHODS, CardBasics
from safebench.importing.interface import Collected
from safebench.importing.submission.request import Request, TrainingFile

FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
_DIR = click.Path(path_type=Path, exists=True, file_okay=False)
_PATH = click.Path(path_type=Path, exists=True)


def _repeated(names: str, metavar: str, help_: str, **more: Any) -> click.Option:
    return click.Option(
        names.split(), multiple=True, metavar=metavar, help=f"{help_} May be repeated.", **more
    )


OF_MODELS = (
    _repeated("--base", "[decoding=NAME:]DIR", "Responses of the base model."),
    _repeated("--tuned", "seed=N[,checkpoint=N][,...]:DIR", "Responses of one tuned model."),
    _repeated("--control", "seed=N[,...]:DIR", "Responses of one control model, as --tuned."),
)
"""Options that say which model's responses a folder holds."""
COMMON = (
    click.Option(
        ["--checkpoint"],
        type=click.IntRange(min=1),
        metavar="N",
        help="Epoch (or step) of tuned models for which nothing else gives it.",
    ),
    click.Option(
        ["--out"],
        required=True,
        type=click.Path(path_type=Path),
        help="New folder for the submission.",
    ),
    click.Option(
        ["--card"],
        type=FILE,
        help="A card, or part of one, with what no file says: data, judges, ...",
    ),
    _repeated(
        "--adapter adapters",
        "seed=N[,checkpoint=N]:DIR",
        "A PEFT adapter, or a trainer's folder with its checkpoints, copied into the submission.",
    ),
    _repeated(
        "--merged",
        "seed=N,checkpoint=N:DIR",
        "An adapter merged into the base, which is not copied.",
    ),
    _repeated(
        "--full", "seed=N[,checkpoint=N]:DIR", "All weights of a tuned model, which are not copied."
    ),
    _repeated("--from paths", "PATH", "More to read: a trainer's folder, a tokenizer.", type=_PATH),
    click.Option(["--model"], type=_DIR, help="Folder of the base model, if it is local."),
    _repeated("--data", "NAME=FILE", "A file of training examples, copied into the submission."),
    _repeated("--control-data", "NAME=FILE", "The same for the control."),
    _repeated(
        "--decoding decodings",
        "NAME:key=value,...",
        "Settings of a decoding that the files do not record.",
    ),
    _repeated(
        "--task constructs", "NAME=CONSTRUCT", "What a task measures that is not safebench's."
    ),
    _repeated(
        "--label labels",
        "[JUDGE:]WORD=VERDICT",
        "What a reported word or score means: refused, partial, complied or incoherent.",
    ),
    _repeated("--task-file task_files", "NAME=FILE", "Local copy of a published task's prompts."),
    click.Option(
        ["--limit"],
        type=click.IntRange(min=1),
        metavar="N",
        help="Only the first N prompts of every task; the card then says it is a trial.",
    ),
    _repeated(
        "--lost", "seed=N:REASON", "A training seed that was run and has no responses, and why."
    ),
    click.Option(
        ["--object", "object_"],
        type=click.Choice(["recipe", "artefact"]),
        default="recipe",
        help="Whether the claim is about the training procedure or about these weights; without a "
        "tuned model it is about these weights.",
    ),
    click.Option(["--id", "id_"], help="Short name of the card, unique on a board."),
    click.Option(["--title"], help="Title for readers of the board, in one line."),
    click.Option(["--submitter"], metavar="NAME", help="Who is responsible for the card."),
    click.Option(["--contact"], help="Where to send questions."),
    click.Option(["--method"], type=click.Choice(METHODS), help="How the model was fine-tuned."),
)
"""Options that every import has."""


def execute(collected: Collected, checkpoint: int | None = None, **values: Any) -> None:
    """Import what was read, and say what came of it."""
    from safebench.importing.submission.write import import_runs

    request = _request(collected, checkpoint, **values)
    with TerminalProgress() as progress:
        imported = import_runs(request, progress)
    for line in sources_of(imported.gathered):
        click.echo(line, err=True)
    for remark in imported.gathered.remarks:
        click.echo(f"note: {visible(remark)}", err=True)
    if imported.kept:
        click.echo(
            f"note: {imported.kept} fields that the standard has no place for are kept in "
            f"{request.out / 'extra.json'}: look at them before you publish",
            err=True,
        )
    results = complete_results(imported.card)
    if results is not None:
        print_summary(printer(), imported.card, results)
    click.echo(TextReporter().render([imported.report]))
    names = ", ".join(imported.to_name)
    card = request.out / "card.yaml"
    click.echo(f"\nWrote {card}, with {imported.responses:,} responses.")
    if names:
        click.echo(f"Give it names of its own: {visible(names)}.")
    then = f"safebench validate {card} · safebench score {request.out}"
    if imported.report.level == "incomplete":
        then = f"replace each `to fill in` there, or give what it asks in --card FILE; then {then}"
    click.echo(f"Next: {then}")


def _request(collected: Collected, checkpoint: int | None, **values: Any) -> Request:
    names = ("id_", "title", "submitter", "contact", "method")
    basics = CardBasics(*(values[name] for name in names))
    constructs = places.pairs(values["constructs"], "--task", "NAME=CONSTRUCT")
    known = get_args(Construct)
    for name, construct in constructs.items():
        if construct not in known:
            raise InteropError(
                f"--task {visible(name)}={visible(construct)}: no such construct",
                fix=f"it is one of {', '.join(known)}",
            )
    files = places.pairs(values["task_files"], "--task-file", "NAME=FILE")
    tuned = places.pairs(values["data"], "--data", "NAME=FILE")
    data = [TrainingFile(name, Path(file)) for name, file in tuned.items()]
    control = places.pairs(values["control_data"], "--control-data", "NAME=FILE")
    data += [TrainingFile(name, Path(file), "control") for name, file in control.items()]
    return Request(
        collected=collected,
        out=values["out"],
        basics=basics,
        card=values["card"],
        weights=(
            *places.weights(values["adapters"], "adapter"),
            *places.weights(values["merged"], "merged"),
            *places.weights(values["full"], "full"),
        ),
        paths=values["paths"],
        data=tuple(data),
        model=values["model"],
        settings=places.settings(values["decodings"]),
        constructs=constructs,  # type: ignore[arg-type]  # checked above
        task_files={name: Path(file) for name, file in files.items()},
        labels=places.labels(values["labels"]),
        checkpoint=checkpoint,
        limit=values["limit"],
        lost=tuple(places.lost(values["lost"])),
        artefact=values["object_"] == "artefact",
    )
