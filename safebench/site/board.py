"""board.yaml: what the board is called, what it shows, and whose keys it knows."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from safebench.card.base import Section, Sha256
from safebench.card.read import load_document
from safebench.card.schema import DIALECT
from safebench.errors import InputError
from safebench.evidence.documents import check_schema
from safebench.evidence.signature import Signer
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
    show_responses: Literal["never", "folded"] = "never"
    """Whether pages show prompts and responses, which may do harm: `never`, or `folded`, on pages
    of their own, each below a warning, of submissions whose `response_policy` is `public`."""
    signers: dict[Sha256, Signer] = Field(
        default_factory=dict,
        max_length=500,
        json_schema_extra={"additionalProperties": False},
    )
    """Whose keys the board knows: fingerprint of a key -> name and organisation."""


def read_board(folder: Path) -> Board:
    """Read board.yaml of a folder, or return the defaults when there is none.

    Raises:
        InputError: the file is unreadable, is not YAML, or is not of its schema.
    """
    path = folder / BOARD_FILE
    if not path.exists() and not path.is_symlink():
        return Board()
    if path.is_symlink() or not path.is_file():
        raise InputError(f"{path}: not a regular file")
    if path.stat().st_size > _LIMIT:
        raise InputError(f"{path}: larger than {number(_LIMIT)} bytes")
    document = load_document(path)
    for problem in document.problems:  # a key that stands twice, a number that is none
        raise InputError(f"{path}:{problem.place.line}: {problem.message}", fix=problem.fix)
    check_schema(document.data, "board", path, InputError)
    return Board.model_validate(document.data)


def board_schema() -> dict[str, Any]:
    """Return the JSON Schema of board.yaml, published as spec/v1/board.schema.json."""
    return {
        "$schema": DIALECT,
        "$id": "urn:safebench:spec:v1:board",
        **Board.model_json_schema(mode="validation"),
        "title": "What a board is called (board.yaml)",
    }
