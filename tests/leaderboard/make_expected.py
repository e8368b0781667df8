"""Write leaderboard/expected.json: `python tests/leaderboard/make_expected.py`.

The board's numbers as its evidence gives them, to six decimals, so that another processor's last
digits do not matter; and the digest of every published file of evidence.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from safebench.files import sha256_of  # noqa: E402
from safebench.site import build  # noqa: E402

BOARD = ROOT / "leaderboard"
EXPECTED = BOARD / "expected.json"
PLACES = ("estimate", "lower", "upper")
NUMBERS = ("harm", "harm_base", "harm_change", "over_refusal", "capability", "stability")
PLAIN = ("id", "level", "read_as", "training_seeds", "reruns")


def build_copy(place: Path) -> list[dict[str, Any]]:
    """Build the board from a copy of its folder; return the submissions of leaderboard.json."""
    shutil.copytree(BOARD, place / "board", ignore=shutil.ignore_patterns("studies"))
    build(place / "board", place / "site")
    data = json.loads((place / "site" / "leaderboard.json").read_text(encoding="utf-8"))
    assert not data.get("left_out"), data["left_out"]
    found: list[dict[str, Any]] = data["submissions"]
    return found


def numbers(row: dict[str, Any]) -> dict[str, Any]:
    """Return what is expected of one submission."""
    found = {name: row[name] for name in PLAIN}
    for name in NUMBERS:
        part = row[name]
        if part is not None:
            found[name] = {p: part[p] and round(part[p], 6) for p in PLACES if p in part}
    return found


def evidence() -> dict[str, str]:
    """Return path -> SHA-256 of all that the board is built from."""
    files = sorted(path for path in (BOARD / "submissions").rglob("*") if path.is_file())
    return {p.relative_to(BOARD).as_posix(): sha256_of(p) for p in files if p.name != ".gitkeep"}


def main() -> None:
    """Write the file."""
    with tempfile.TemporaryDirectory() as place:
        rows = sorted((numbers(row) for row in build_copy(Path(place))), key=lambda r: r["id"])
    text = json.dumps({"submissions": rows, "evidence": evidence()}, indent=1)
    EXPECTED.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
