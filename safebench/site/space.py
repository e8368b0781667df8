"""A site as a static Space of the Hugging Face Hub: its README.md, and which files are large.

Format: https://huggingface.co/docs/hub/spaces-config-reference (YAML at the head of README.md; a
static Space needs `sdk: static`, and shows `app_file`).
"""

from __future__ import annotations

from collections.abc import Iterator

import yaml

from safebench.site.board import Board
from safebench.site.text import clean

_LARGE = ("*.parquet", "*.gz", "leaderboard.csv", "leaderboard.json", "log.jsonl")
"""What the Hub takes only as large files: binary, or more than 10 MB."""


def files(board: Board) -> Iterator[tuple[str, bytes]]:
    """Yield the files that make a Space of a site."""
    head = {
        "title": " ".join(clean(board.title).split())[:80],
        "sdk": "static",
        "app_file": "index.html",
        "pinned": False,
        "tags": ["leaderboard", "safety", "safebench"],
    }
    text = yaml.safe_dump(head, sort_keys=False, allow_unicode=True, width=1000)
    about = (
        "A board that safebench built: plain files, the same as on any web host. Every number was "
        "recomputed from the evidence in `files/`; `SHA256SUMS` lists every file.\n"
    )
    yield "README.md", f"---\n{text}---\n\n{about}".encode()
    lines = (f"{name} filter=lfs diff=lfs merge=lfs -text\n" for name in _LARGE)
    yield ".gitattributes", "".join(lines).encode()
