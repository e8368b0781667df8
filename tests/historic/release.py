"""Keep the valid examples of a version for ever: `python tests/historic/release.py 1.0`.

Also what compares a kept version with what the program says of it today.
"""

from __future__ import annotations

import argparse
import datetime
import json
import shutil
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from safebench.card.digest import derive_seeds, generation_seed, protocol_digest  # noqa: E402
from safebench.card.versions import CURRENT, version_of  # noqa: E402
from safebench.checks import check  # noqa: E402
from safebench.checks.discover import find_cards  # noqa: E402
from safebench.errors import SafebenchError  # noqa: E402
from safebench.files import sha256_of  # noqa: E402

HISTORIC = Path(__file__).resolve().parent
VALID = ROOT / "spec" / "v1" / "examples" / "valid"
EXPECTED = "expected.json"
_SEEDS = 3  # how many derived training seeds are recorded; more follow from the same digest
Data = dict[str, Any]


class ReleaseError(Exception):
    """A version cannot be kept as it stands."""


def release(version: str, source: Path = VALID, historic: Path = HISTORIC) -> Path:
    """Copy the cards of a version with the files beside them, and record what is said of them.

    Returns the new folder.

    Raises:
        ReleaseError: it is not the version of this program, it was kept before, there is no card,
            or a card has an error or cannot be read.
    """
    if f"safebench/{version}" != str(CURRENT):
        raise ReleaseError(f"this program is of {CURRENT}, and keeps cards of that version alone")
    folder = historic / version
    if folder.exists():
        raise ReleaseError(f"{folder} is there: what was released is never changed")
    today = datetime.datetime.now(datetime.UTC).date()
    cards = {_name(path, source): answer(path, today) for path in find_cards(source)}
    wrong = [
        name
        for name, said in cards.items()
        if said["spec"] != str(CURRENT)
        or any(finding["severity"] == "error" for finding in said["findings"])
    ]
    if wrong or not cards:
        raise ReleaseError(f"not valid cards of {CURRENT}: {', '.join(wrong) or 'there is none'}")
    shutil.copytree(source, folder)
    expected = {"today": today.isoformat(), "files": _digests(folder), "cards": cards}
    text = json.dumps(expected, indent=2, ensure_ascii=False) + "\n"
    (folder / EXPECTED).write_text(text, encoding="utf-8")
    return folder


def answer(path: Path, today: datetime.date) -> Data:
    """Return what the program says of a card; raises CardError where it cannot be read."""
    report = check(path, today=today)
    card, counts = report.card, report.completeness
    return {
        "spec": report.spec,
        "level": report.level,
        "completeness": None if counts is None else list(counts),
        "findings": [
            {"rule": f.rule, "severity": f.severity, "pointer": f.pointer} for f in report.findings
        ],
        "digest": None if card is None else protocol_digest(card),
        "training": None if card is None else list(derive_seeds(card, _SEEDS)),
        "generation": None if card is None else generation_seed(card),
    }


def differences(folder: Path) -> list[str]:
    """Return in words everything in which a kept version is not what it was."""
    expected = json.loads((folder / EXPECTED).read_text(encoding="utf-8"))
    kept, now = expected["files"], _digests(folder)
    found = [f"{name}: removed" for name in kept if name not in now]
    found += [f"{name}: added" for name in now if name not in kept]
    found += [f"{name}: changed" for name in kept if name in now and now[name] != kept[name]]
    today = datetime.date.fromisoformat(expected["today"])
    later = version_of(f"safebench/{folder.name}") < CURRENT
    for name, before in expected["cards"].items():
        try:
            after = answer(folder / name, today)
        except SafebenchError as problem:
            found.append(f"{name}: cannot be read any more: {problem}")
            continue
        if later:  # a later minor version may have added warnings and notes
            before, after = _errors_only(before), _errors_only(after)
        found += [
            f"{name}: {key} was {before[key]!r}, is {after[key]!r}"
            for key in before
            if before[key] != after[key]
        ]
    return found


def _errors_only(said: Data) -> Data:
    return {**said, "findings": [f for f in said["findings"] if f["severity"] == "error"]}


def _digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {_name(p, folder): sha256_of(p) for p in files if p != folder / EXPECTED}


def _name(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix()


def main() -> int:
    """Keep the version named on the command line."""
    parser = argparse.ArgumentParser(description="Keep the valid examples of a version for ever.")
    parser.add_argument("version", help=f"version of the standard: {CURRENT.major}.{CURRENT.minor}")
    try:
        folder = release(parser.parse_args().version)
    except (ReleaseError, SafebenchError) as problem:
        sys.stderr.write(f"{problem}\n")
        return 1
    sys.stdout.write(f"kept in {folder}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
