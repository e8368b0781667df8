"""`safebench judge`: judges of stored responses, and how far they can be trusted."""

from __future__ import annotations

import click

from safebench.cli.lazy import DefaultGroup, from_modules

COMMANDS = {
    "add": "Let more judges decide stored responses: what `safebench judge SUBMISSION` does.",
    "calibrate": "Compare a judge with labels that people gave.",
    "audit": "Draw responses for people to label, and read their labels.",
    "train": "Train a small judge on labels.",
    "selftest": "Give a judge cases with known answers.",
}


@click.group(
    cls=DefaultGroup,
    name="judge",
    summaries=COMMANDS,
    load=from_modules(__name__),
    default="add",
)
def command() -> None:
    """Let judges decide the stored responses in SUBMISSION, and find out how far to trust a judge.

    \b
    safebench judge SUBMISSION                 more judges, same responses
    safebench judge calibrate NAME --labels F  agreement with people, with intervals
    safebench judge audit SUBMISSION           responses to be labelled
    """
