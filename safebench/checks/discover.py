"""Which files of a folder are cards."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from safebench.card.read import MAX_BYTES
from safebench.files import leads_out

_SUFFIXES = frozenset({".yaml", ".yml", ".json"})
_DECLARES = re.compile(rb"""^["']?spec["']?\s*:\s*["']?safebench/|"spec"\s*:\s*"safebench/""", re.M)


def _raise(problem: OSError) -> None:
    raise problem


def find_cards(folder: Path, complain: Callable[[OSError], None] = _raise) -> list[Path]:
    """Return the cards of a submission, or of a folder of submissions, in a fixed order.

    A card is a .yaml, .yml or .json file that declares `spec: safebench/...`, or is called
    card.yaml, card.yml or card.json whatever it holds. Hidden names are left out, and links to
    folders are not followed. A folder that cannot be listed may hold a card, so that `complain`
    is told of it.
    """
    return sorted(_walk(folder, complain))


def _walk(folder: Path, complain: Callable[[OSError], None]) -> Iterator[Path]:
    for where, folders, names in os.walk(folder, onerror=complain):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in names:
            path = Path(where, name)
            if not name.startswith(".") and is_card(path):
                yield path


def is_card(path: Path) -> bool:
    """Whether a file counts as a card when nobody says that it is one."""
    if path.suffix not in _SUFFIXES:
        return False
    if path.stem == "card":
        return True
    try:
        if leads_out(path) or not path.is_file() or path.stat().st_size > MAX_BYTES:
            return False
        raw = path.read_bytes()
    except OSError:
        return False
    return bool(_DECLARES.search(raw)) and not (path.suffix == ".json" and _tells_of_cards(raw))


def _tells_of_cards(raw: bytes) -> bool:
    """Whether JSON that has a card's `spec` somewhere is a list or report of cards, and not one."""
    try:
        data = json.loads(raw)
    except (ValueError, RecursionError):
        return False  # a card that cannot be read is still to be reported
    return not (isinstance(data, dict) and str(data.get("spec")).startswith("safebench/"))
