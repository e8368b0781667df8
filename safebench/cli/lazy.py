"""Groups that list their commands without importing them."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any

import click

_EXIT_CODES = "Exit codes: 0 done; 2 the command failed; 130 interrupted."


def from_modules(package: str) -> Callable[[str], click.Command]:
    """Return a function that imports a command from the module of its name in a package."""

    def load(name: str) -> click.Command:
        module = {"import": "imports"}.get(name, name)  # `import` cannot name a module
        command: click.Command = importlib.import_module(f"{package}.{module}").command
        return command

    return load


class LazyGroup(click.Group):
    """A group that imports a command only when that command is asked for."""

    def __init__(
        self,
        *args: Any,
        summaries: Mapping[str, str],
        load: Callable[[str], click.Command],
        heading: str = "Commands",
        **settings: Any,
    ) -> None:
        """Take each command's line in the list, and a function that imports a command by name."""
        super().__init__(*args, **settings)
        self.summaries, self.load, self.heading = summaries, load, heading

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return command names in the order of the table."""
        return list(self.summaries)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a command, or None when there is no such name.

        The usual exit codes are added to a help that lists none.
        """
        if cmd_name not in self.summaries:
            return None
        command = self.load(cmd_name)
        if not isinstance(command, click.Group) and "Exit codes:" not in (command.help or ""):
            command.epilog = command.epilog or _EXIT_CODES
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List commands without importing them."""
        with formatter.section(self.heading):
            formatter.write_dl(list(self.summaries.items()))


class DefaultGroup(LazyGroup):
    """A group that gives arguments to a default command where they begin with no command."""

    def __init__(self, *args: Any, default: str, **settings: Any) -> None:
        """Take the name of the default command."""
        super().__init__(*args, **settings)
        self.default = default

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the default command before arguments that name none."""
        if args and args[0] not in self.summaries and args[0] not in ctx.help_option_names:
            args = [self.default, *args]
        return super().parse_args(ctx, args)
