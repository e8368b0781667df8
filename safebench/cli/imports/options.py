"""Options that every import has, and what is done with them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import click

from safebench.card.measured import complete_results
from safebench.card.task import Construct
from safebench.cli.console import TerminalProgress, printer
from safebench.cli.drafted import sources as told_sources
from safebench.cli.imports import places
from safebench.cli.reporters.text import TextReporter
from safebench.cli.summary import print_summary
from safebench.errors import InteropError, visible
from safebench.importing.draft.frame import METHODS, Said
from safebench.importing.samples import Collected
from safebench.importing.submission.request import Request, TrainingFile

_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
_DIR = click.Path(path_type=Path, exists=True, file_okay=False)
_PATH = click.Path(path_type=Path, exists=True)

_MODELS: tuple[Any, ...] = (
    click.option("--base", multiple=True, metavar="[decoding=NAME:]DIR",
                 help="Responses of the base model; again for another decoding or task."),
    click.option("--tuned", multiple=True, metavar="seed=N[,checkpoint=N][,...]:DIR",
                 help="Responses of a tuned model, by training seed; again for each."),
    click.option("--control", multiple=True, metavar="seed=N[,...]:DIR",
                 help="Responses of a control; as --tuned."),
    click.option("--checkpoint", type=click.IntRange(min=1), metavar="N",
                 help="Epoch (or step) of all tuned models of which nothing else says it."),
)  # fmt: skip
_COMMON: tuple[Any, ...] = (
    click.option("--out", required=True, type=click.Path(path_type=Path),
                 help="Folder of the submission that is written; a new one."),
    click.option("--card", type=_FILE,
                 help="A card, or part of one, that says what no file does: data, judges, ..."),
    click.option("--adapter", "adapters", multiple=True, metavar="seed=N[,checkpoint=N]:DIR",
                 help="A PEFT adapter, or a trainer's folder with its checkpoints. Copied into "
                 "the submission."),
    click.option("--merged", multiple=True, metavar="seed=N,checkpoint=N:DIR",
                 help="An adapter merged into the base. Stays where it is."),
    click.option("--full", multiple=True, metavar="seed=N[,checkpoint=N]:DIR",
                 help="All weights of a tuned model. Stay where they are."),
    click.option("--from", "paths", multiple=True, type=_PATH, metavar="PATH",
                 help="More files that know something: a trainer's folder, a tokenizer."),
    click.option("--model", type=_DIR, help="Folder of the base model, if it is local."),
    click.option("--data", "data", multiple=True, metavar="NAME=FILE",
                 help="A file of training examples. Copied into the submission."),
    click.option("--control-data", multiple=True, metavar="NAME=FILE",
                 help="The same, of the control."),
    click.option("--decoding", "decodings", multiple=True, metavar="NAME:key=value,...",
                 help="Settings of a decoding, where the files do not know them."),
    click.option("--task", "constructs", multiple=True, metavar="NAME=CONSTRUCT",
                 help="What a task measures that is not safebench's."),
    click.option("--label", "labels", multiple=True, metavar="[JUDGE:]WORD=VERDICT",
                 help="What a judge's word or score that came along means: refused, partial, "
                 "complied, incoherent."),
    click.option("--task-file", "task_files", multiple=True, metavar="NAME=FILE",
                 help="Local copy of a published task's prompts."),
    click.option("--limit", type=click.IntRange(min=1), metavar="N",
                 help="Only the first N prompts of every task: a trial, which the card says."),
    click.option("--lost", multiple=True, metavar="seed=N:REASON",
                 help="A training seed that was run and has no responses: it diverged, ..."),
    click.option("--object", "object_", type=click.Choice(["recipe", "artefact"]),
                 default="recipe", help="Whether the claim is about the procedure, or about "
                 "these weights; without a tuned model it is about these weights."),
    click.option("--id", "id_", help="Short name of the card, unique on a board."),
    click.option("--title", help="One line that a reader of the board sees."),
    click.option("--submitter", metavar="NAME", help="Who answers for the card."),
    click.option("--contact", help="Where questions are answered."),
    click.option("--method", type=click.Choice(METHODS), help="How the model was fine-tuned."),
)  # fmt: skip


def common(function: Callable[..., None]) -> Callable[..., None]:
    """Add the options that every import has."""
    return _with(_COMMON, function)


def of_models(function: Callable[..., None]) -> Callable[..., None]:
    """Add the options that say which model's responses a folder holds."""
    return _with(_MODELS, function)


def _with(options: tuple[Any, ...], function: Callable[..., None]) -> Callable[..., None]:
    for option in reversed(options):
        function = option(function)
    return function


def execute(collected: Collected, checkpoint: int | None = None, **given: Any) -> None:
    """Import what was read, and say what came of it."""
    from safebench.importing.submission.write import import_runs

    request = _request(collected, checkpoint, **given)
    with TerminalProgress() as progress:
        imported = import_runs(request, progress)
    for line in told_sources(imported.gathered):
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


def _request(collected: Collected, checkpoint: int | None, **given: Any) -> Request:
    said = Said(given["id_"], given["title"], given["submitter"], given["contact"],
                given["method"])  # fmt: skip
    constructs = places.pairs(given["constructs"], "--task", "NAME=CONSTRUCT")
    known = get_args(Construct)
    for name, construct in constructs.items():
        if construct not in known:
            raise InteropError(
                f"--task {visible(name)}={visible(construct)}: no such construct",
                fix=f"it is one of {', '.join(known)}",
            )
    files = places.pairs(given["task_files"], "--task-file", "NAME=FILE")
    tuned = places.pairs(given["data"], "--data", "NAME=FILE")
    data = [TrainingFile(name, Path(file)) for name, file in tuned.items()]
    control = places.pairs(given["control_data"], "--control-data", "NAME=FILE")
    data += [TrainingFile(name, Path(file), "control") for name, file in control.items()]
    return Request(
        collected=collected,
        out=given["out"],
        said=said,
        card=given["card"],
        weights=(
            *places.weights(given["adapters"], "adapter"),
            *places.weights(given["merged"], "merged"),
            *places.weights(given["full"], "full"),
        ),
        paths=given["paths"],
        data=tuple(data),
        model=given["model"],
        settings=places.settings(given["decodings"]),
        constructs=constructs,  # type: ignore[arg-type]  # checked above
        task_files={name: Path(file) for name, file in files.items()},
        labels=places.labels(given["labels"]),
        checkpoint=checkpoint,
        limit=given["limit"],
        lost=tuple(places.lost(given["lost"])),
        artefact=given["object_"] == "artefact",
    )
