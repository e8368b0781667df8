"""Workflow commands: GitHub Actions shows each finding at its line of a change."""

from __future__ import annotations

from collections.abc import Sequence

from safebench.checks import Finding
from safebench.cli.reporters.interface import STDIN, Checked, Unreadable
from safebench.cli.reporters.words import (
    NO_CARDS,
    end_column,
    field,
    position,
    remedy,
    repository_path,
    tally,
)
from safebench.errors import visible
from safebench.words import count, sentence

_COMMANDS = {"error": "error", "warning": "warning", "note": "notice"}  # in the order printed
_SHOWN = 10  # annotations of each kind that GitHub shows for one step


def render(checked: Sequence[Checked]) -> str:
    """Return a command per finding, the worst first, then a plain line per card for the log."""
    lines: list[str] = []
    for severity, command in _COMMANDS.items():
        found = [(one.path, f) for one in checked for f in one.findings]
        lines += [_annotation(path, f) for path, f in found if f.severity == severity]
        hidden = sum(line.startswith(f"::{command} ") for line in lines) - _SHOWN
        if hidden > 0:
            lines.append(
                f"GitHub shows {_SHOWN} annotations of a kind at their lines: "
                f"the last {count(hidden, command)} above {'is' if hidden == 1 else 'are'} "
                "in this log alone."
            )
    lines += [_line(one) for one in checked]
    return "\n".join(lines) or NO_CARDS


def _annotation(path: str, finding: Finding) -> str:
    where = repository_path(path) if path != STDIN else None
    properties: dict[str, str | int] = {}
    if path != STDIN:
        properties["file"] = visible(where or path)
    if finding.line:
        properties |= {"line": finding.line, "col": finding.column}
        if end := end_column(finding):
            properties["endColumn"] = end
    properties["title"] = finding.rule
    listed = ",".join(f"{key}={_property(str(value))}" for key, value in properties.items())
    # The log shows the message alone, so that it says the place once more.
    place = position(visible(where or path), finding)
    about = f"{name}: " if (name := field(finding)) else ""
    message = f"{place}: {about}{visible(sentence(finding.message))}"
    message += f"\n{remedy(finding)}"
    return f"::{_COMMANDS[finding.severity]} {listed}::{_data(message)}"


def _line(one: Checked) -> str:
    """Return a card as a line that the runner does not read as a command."""
    path = visible(one.path)
    if isinstance(one, Unreadable):
        text = f"{path}: unreadable: {visible(sentence(one.finding.message))}"
    else:
        text = f"{path}: {tally(one)}"
    # Old commands start with ##[ anywhere in a line, new ones with :: at its start.
    text = text.replace("##[", r"#\x23[")
    return rf"\x3a{text[1:]}" if text.lstrip().startswith("::") else text


def _data(text: str) -> str:
    """Return a message, escaped for a command."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    """Return the value of a property, escaped for a command."""
    return _data(text).replace(":", "%3A").replace(",", "%2C")
