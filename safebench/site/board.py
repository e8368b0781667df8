"""board.yaml: what the board is called."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import Field, ValidationError

from safebench.card.base import Section
from safebench.errors import InputError
from safebench.words import number

BOARD_FILE = "board.yaml"
_LIMIT = 100_000


class Board(Section):
    """The head of the board; every field has a default, so the file may be absent."""

    title: Annotated[str, Field(min_length=1, max_length=200)] = "Safety of fine-tuned models"
    """Heading of the first page."""
    description: Annotated[str, Field(max_length=5_000)] = ""
    """A few sentences below it, plain text."""
    url: Annotated[str, Field(pattern=r"^https?://[^\s]+$", max_length=500)] | None = None
    """Where the board's own repository or policy is found."""


def read_board(folder: Path) -> Board:
    """Read board.yaml of a folder, or return the defaults when there is none.

    Raises:
        InputError: the file is unreadable, is not YAML, or has a wrong or unknown field.
    """
    path = folder / BOARD_FILE
    if not path.exists() and not path.is_symlink():
        return Board()
    if path.is_symlink() or not path.is_file():
        raise InputError(f"{path}: not a regular file")
    if path.stat().st_size > _LIMIT:
        raise InputError(f"{path}: larger than {number(_LIMIT)} bytes")
    try:
        data: Any = yaml.safe_load(path.read_bytes())
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError) as problem:
        first_line = str(problem).splitlines()[0] if str(problem) else "unreadable"
        raise InputError(f"{path}: not YAML ({first_line})") from problem
    try:
        return Board.model_validate({} if data is None else data)
    except ValidationError as problem:
        first = problem.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the whole file"
        raise InputError(
            f"{path}: {where}: {first['msg']}",
            fix=f"known fields: {', '.join(Board.model_fields)}",
        ) from problem
