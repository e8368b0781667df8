"""The folder of a new board: what `safebench leaderboard new` writes."""

from __future__ import annotations

from pathlib import Path

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from safebench import __version__
from safebench.errors import InputError
from safebench.files import folder_at_once
from safebench.site.board import Board

FILES = {
    "board.yaml": "board.yaml",
    "README.md": "README.md",
    ".gitattributes": "gitattributes",
    ".github/workflows/board.yml": "board.yml",
    ".github/ISSUE_TEMPLATE/submission.yml": "submission.yml",
}
"""Each file of a new board, with its template in starter/, where no name begins with a dot."""
_STARTER = Path(__file__).resolve().parent / "starter"


def start_board(folder: Path, title: str) -> list[str]:
    """Write a new board, all of it or nothing, and return the names of its files.

    Raises:
        InputError: the folder is not empty, or the title is empty or longer than a board's may be.
    """
    if folder.is_symlink() or (folder.exists() and (not folder.is_dir() or any(folder.iterdir()))):
        raise InputError(f"{folder}: is not an empty folder", fix="give DIR a new name")
    most = 200
    if not 1 <= len(title) <= most or not title.isprintable():
        raise InputError(
            f"--title: {title[:60]!r} is not 1 to {most} printable characters",
            fix="give one line, as it shall stand at the head of the board",
        )
    # No autoescape: these are YAML and Markdown, and the one text in them is written as YAML.
    environment = Environment(  # noqa: S701
        loader=FileSystemLoader(_STARTER), undefined=StrictUndefined, keep_trailing_newline=True
    )
    quoted = yaml.safe_dump(title, width=10_000, allow_unicode=True).partition("\n")[0]
    with folder_at_once(folder) as made:
        for name, template in FILES.items():
            (made / name).parent.mkdir(parents=True, exist_ok=True)
            shown = quoted if name == "board.yaml" else title
            text = environment.get_template(template).render(title=shown, version=__version__)
            (made / name).write_text(text, encoding="utf-8")
        (made / "submissions").mkdir()
        (made / "submissions" / ".gitkeep").touch()
    return [*FILES, "submissions/.gitkeep"]


def default_title() -> str:
    """Return what a board is called that has no title of its own."""
    return Board().title
