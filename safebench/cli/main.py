"""The `safebench` command: its list of commands, and how a failure is reported."""

from __future__ import annotations

import gc
import io
import os
import sys
from collections.abc import Sequence

import click

import safebench
from safebench.cli.lazy import LazyGroup, from_modules
from safebench.errors import SafebenchError, visible

COMMANDS = {
    "demo": "Watch fine-tuning lower safety on an embedded model.",
    "doctor": "Say what this machine can run, and how to get what it cannot.",
    "new": "Write the folder of a new study, with a plan that can be run.",
    "init": "Draft a card from adapters, trainer output and lm-eval results.",
    "run": "Execute a card: fine-tune, generate, judge, score.",
    "status": "Show the progress of a run.",
    "merge": "Join the shards of one grid.",
    "withdraw": "Withdraw a registered run, with a reason.",
    "import": "Turn runs made elsewhere into a submission.",
    "validate": "Check cards and their evidence; explain each problem.",
    "verify": "Check evidence of any size, file by file and row by row.",
    "sign": "Sign a submission, or make a key to sign with.",
    "register": "Register a protocol before it is run, or issue the nonce for one.",
    "rules": "List the rules of the standard, or explain some of them.",
    "tasks": "List the tasks, with what each measures, its size and its source.",
    "judges": "List judges, or explain one and print its entry for a card.",
    "judge": "Let more judges decide stored responses; calibrate, audit and test judges.",
    "score": "Recompute a submission's numbers from its evidence.",
    "plan": "Plan how many seeds, repeats and prompts are needed.",
    "rerun": "Repeat a submission and print a reproduction verdict.",
    "compare": "Compare submissions, or runs without a card, on the prompts they share.",
    "leaderboard": "Start, check, build and show a board of submissions.",
    "pack": "Write a submission as one archive.",
    "unpack": "Unpack an archive, and verify the submission in it.",
    "redact": "Replace a submission's texts by commitments that a secret opens.",
    "export": "Write a submission in another format.",
    "schema": "Print the card's JSON Schema.",
}
"""Each command with its line in the list."""
_OBJECTS = 50_000
"""New objects after which Python looks for cycles. Its own 700 make it look again and again while
a library defines its classes, which takes a tenth of a light command's time."""


def _print_version(context: click.Context, _: click.Parameter, is_set: bool) -> None:
    if is_set:  # looked up only now: the look-up would slow the start of every other command
        click.echo(f"safebench, version {safebench.__version__}")
        context.exit()


@click.group(
    cls=LazyGroup,
    summaries=COMMANDS,
    load=from_modules("safebench.cli"),
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.option(
    "-V",
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_print_version,
    help="Show the version and exit.",
)
def cli() -> None:
    """An executable reporting card for the safety of fine-tuned language models.

    \b
    Exit codes: 0 done; 1 `validate`, `verify`, `unpack` or `leaderboard check` found errors, or
                `rerun` did not reproduce; 2 the command failed; 3 `rerun` is inconclusive or has
                no verdict; 130 interrupted.

    Completion of commands and options by the Tab key: docs/command-line.md.
    """


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code; no traceback for what a user can fix."""
    # A card means the same whatever else is installed: pydantic would search every installed
    # distribution for plugins that change how models are read.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    gc.set_threshold(_OBJECTS)
    _print_anything()
    try:
        code = cli.main(args=argv, prog_name="safebench", standalone_mode=False)
    except click.exceptions.Exit as exit_request:
        code = exit_request.exit_code
    except click.ClickException as problem:
        problem.show()
        code = 2
    except SafebenchError as problem:
        _complain(str(problem), problem.fix)
        code = 2
    except click.Abort:
        _complain("interrupted; finished work is kept", "run the same command again to resume")
        code = 130
    except OSError as problem:
        where = f"{problem.filename}: " if problem.filename else ""
        _complain(f"{where}{problem.strerror or problem}", None)
        code = 2
    sys.exit(code if isinstance(code, int) else 0)


def _print_anything() -> None:
    """Print characters that the terminal's encoding lacks, and undecodable names, as escapes."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _complain(message: str, fix: str | None) -> None:
    lines = [f"error: {message}", *([f"  Fix: {fix}"] if fix else [])]
    for line in "\n".join(lines).split("\n"):
        click.echo(visible(line), err=True)


if __name__ == "__main__":
    main()
