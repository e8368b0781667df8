"""`safebench import`: runs made elsewhere become a submission."""

from __future__ import annotations

import importlib

import click

FORMATS: dict[str, tuple[str, str]] = {
    "lm-eval": ("safebench.cli.imports.lm_eval", "Output folders of lm-eval, with its samples."),
    "responses": ("safebench.cli.imports.responses", "A table of prompts and responses."),
    "inspect": ("safebench.cli.imports.inspect", "Logs of Inspect; epochs become repeats."),
    "harmbench": ("safebench.cli.imports.harmbench", "Completions of HarmBench."),
}


class _Formats(click.Group):
    """Imports a format's module only to run it."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the formats in the order of the table."""
        return list(FORMATS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a format's command, or None when there is no such format."""
        if cmd_name not in FORMATS:
            return None
        found = importlib.import_module(FORMATS[cmd_name][0]).command
        return found if isinstance(found, click.Command) else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List formats without importing them."""
        with formatter.section("Formats"):
            formatter.write_dl([(name, text) for name, (_, text) in FORMATS.items()])


@click.group(name="import", cls=_Formats, subcommand_metavar="FORMAT ...")
def command() -> None:
    """Make a submission of runs that were made elsewhere; nothing of theirs has to move.

    The responses are checked (the task's own prompts, all of them, in every model), judged unless
    verdicts came along, and scored. The card is filled with what the files know, each value with
    a comment on where it was read; what nothing says is marked with what is asked for. Nothing is
    guessed. What the card still asks for can be given in a file, and imported again: --card.
    """
