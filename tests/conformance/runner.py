"""Run the validator on an example, from the example's own folder."""

from __future__ import annotations

import contextlib
from pathlib import Path

from click.testing import CliRunner, Result

from safebench.cli.validate import command

EXAMPLES = Path(__file__).resolve().parents[2] / "spec" / "v1" / "examples"
VALID, INVALID = EXAMPLES / "valid", EXAMPLES / "invalid"
ARGUMENTS = "arguments.txt"
GOLDEN = Path(__file__).parent / "golden"


def run(folder: Path, *arguments: str) -> Result:
    """Return what `safebench validate card.yaml` prints in a folder, and its exit code."""
    stated = folder / ARGUMENTS
    more = stated.read_text().split() if stated.is_file() else []
    with contextlib.chdir(folder):
        return CliRunner().invoke(command, ["card.yaml", *more, *arguments])
