"""`safebench import`: runs made elsewhere become a submission. Readers bring their own options."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from safebench.cli.imports import places
from safebench.cli.imports.options import COMMON, FILE, OF_MODELS, execute
from safebench.importing.interface import Option, Reader, Source
from safebench.importing.readers import READERS, reader_of

_MULTIPLE = ("texts", "pairs")


class _Formats(click.Group):
    """Imports a reader's module only to run it."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the formats in the order of the registry."""
        return list(READERS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a format's command, or None when there is no such format."""
        return command_of(cmd_name) if cmd_name in READERS else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List formats without importing them."""
        with formatter.section("Formats"):
            formatter.write_dl([(name, text) for name, (_, text) in READERS.items()])


@click.group(name="import", cls=_Formats, subcommand_metavar="FORMAT ...")
def command() -> None:
    """Make a submission of runs that were made elsewhere, from the files that are there.

    The responses are checked (the task's own prompts, all of them, in every model), judged unless
    verdicts were reported, and scored. The card is filled with what the files say, and a comment
    behind each value names its source; what nothing says is marked with the question to answer.
    Nothing is guessed. Answers can be given in a file, and imported again: --card.
    """


def command_of(name: str) -> click.Command:
    """Return the command of a reader, with its own options between those of all."""
    reader = reader_of(name)
    params: list[click.Parameter] = [_parameter(option) for option in reader.options]
    if reader.by_model:
        params = [*OF_MODELS, *params]
    else:
        files = click.Argument(["files"], nargs=-1, required=True, type=FILE)
        params = [files, *params]

    def callback(**values: Any) -> None:
        options = {_key(option): values.pop(_key(option)) for option in reader.options}
        for option in reader.options:
            if option.kind == "pairs":
                metavar = option.metavar or "NAME=VALUE"
                options[_key(option)] = places.pairs(options[_key(option)], option.name, metavar)
        options["limit"] = values["limit"]
        execute(reader.read(_sources(reader, values), options), **values)

    about: dict[str, Any] = {"help": reader.help, "short_help": READERS[name][1]}
    return click.Command(name, callback=callback, params=[*params, *COMMON], **about)


def _sources(reader: Reader, values: dict[str, Any]) -> Sequence[Source]:
    """Return what is to be read, and take it out of the options' values."""
    if not reader.by_model:
        return [Source(path) for path in values.pop("files")]
    return places.sources(*(values.pop(name) for name in ("base", "tuned", "control")))


def _key(option: Option) -> str:
    return option.name.removeprefix("--").replace("-", "_")


def _parameter(option: Option) -> click.Option:
    return click.Option(
        [option.name],
        help=option.help,
        metavar=option.metavar,
        multiple=option.kind in _MULTIPLE,
        is_flag=option.kind == "flag",
        type=FILE if option.kind == "file" else None,
    )
