"""Fill the measured tables of two pages: `python tests/conformance/make_coverage.py`.

Figures come from benchmarks/coverage.txt, what benchmarks/coverage.py printed, and the power table
from the exact power of the test. A test compares the bytes.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from safebench.stats import tost_power  # noqa: E402

PAGES = ROOT / "spec" / "v1"
NAMES = ("stability.md", "verdict.md")
SEEDS = (2, 3, 5, 10)
_MEASURED = re.compile(
    r"<!-- (coverage \w+|power|predicted|errors|signs) -->\n.*?<!-- end -->\n", re.S
)
_LINE = re.compile(r"(\w+) +(.+?) +(\d\.\d{3}) \+-\d\.\d{3}(?: +[<>]= \S+)?(?: +(MISSED))? *(.*)")
ARMS = {(3, 1): "3 old, 1 new", (3, 3): "3 and 3", (5, 3): "5 old, 3 new", (5, 5): "5 and 5",
        (10, 10): "10 and 10"}  # fmt: skip


@dataclass(frozen=True)
class Cell:
    """One line of the table."""

    part: str
    label: str
    share: str
    missed: bool
    note: str

    @property
    def text(self) -> str:
        """The share as the pages write it."""
        short = self.share.removeprefix("0")
        return f"**{short}**" if self.missed else short


def cells() -> dict[str, Cell]:
    """Return the lines of benchmarks/coverage.txt by part and label."""
    found = {}
    for line in (ROOT / "benchmarks" / "coverage.txt").read_text(encoding="utf-8").splitlines():
        if match := _LINE.match(line):
            part, label, share, missed, note = match.groups()
            found[f"{part} {label}"] = Cell(part, label, share, bool(missed), note)
    return found


def page(name: str) -> str:
    """Return a page with its measured parts filled in."""
    text = (PAGES / name).read_text(encoding="utf-8")
    return _MEASURED.sub(lambda m: f"<!-- {m[1]} -->\n{_table(m[1])}<!-- end -->\n", text)


def _table(name: str) -> str:
    if name.startswith("coverage "):
        return _coverage(name.partition(" ")[2])
    makers = {"power": _power, "predicted": _predicted, "errors": _errors, "signs": _signs}
    return makers[name]()


def _rows(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _coverage(part: str) -> str:
    """Return worlds x training seeds; the companion of pairs beside the bound."""
    grid: dict[str, dict[int, Cell]] = {}
    for cell in cells().values():
        match = re.fullmatch(r"(.+), S=(\d+)(.*)", cell.label)
        if cell.part == part and match:
            grid.setdefault(match[1] + match[3], {})[int(match[2])] = cell
    rows = []
    for label, row in grid.items():
        if not label.endswith(": pairs"):
            rows.append([label, *(row[s].text if s in row else "" for s in SEEDS)])
    if part == "stability":
        pairs = [row for label, row in grid.items() if label.endswith(": pairs")]
        least = [min((row[s] for row in pairs), key=lambda c: c.share).text for s in SEEDS]
        rows.append(["pairs, the least of all of these", *least])
    return _rows(["world", *(f"{s} seeds" for s in SEEDS)], rows)


def _short(share: float) -> str:
    return f"{share:.2f}".removeprefix("0")


def _power() -> str:
    rows = []
    for points in (1.5, 2, 3, 3.9):
        power = [tost_power(2 * points / 100, 0.1, *arms) for arms in ARMS]
        rows.append([f"{points} points", *(_short(share) for share in power)])
    return _rows(["SD of a run, near .5", *ARMS.values()], rows)


def _predicted() -> str:
    rows = []
    for arms in ((3, 1), (3, 3), (5, 5)):
        label = f"verdict SD 3 points, shift %d, {arms[0]} and {arms[1]} seeds: predicted"
        row = [ARMS[arms]]
        for cell in (cells()[label % shift] for shift in (0, 10)):
            row += [cell.text, cell.note.removeprefix("reproduced ").removeprefix("0")]
        rows.append(row)
    head = ["SD of a run 3 points", "equal: inside", "equal: `reproduced`",
            "10 points apart: inside", "10 points apart: `reproduced`"]  # fmt: skip
    return _rows(head, rows)


def _errors() -> str:
    table = cells()
    rows = []
    for key, cell in table.items():
        if key.startswith("verdict ") and key.endswith(": false reproduced"):
            start = key.removesuffix("false reproduced")
            other = [table.get(start + kind) for kind in ("false not_reproduced", "power")]
            label = cell.label.removesuffix(": false reproduced")
            rows.append([label, cell.text, *(c.text if c else "" for c in other)])
    return _rows(["", "false `reproduced`", "false `not_reproduced`", "power"], rows)


def _signs() -> str:
    rows = [
        [cell.label.removesuffix(": wrong sign"), cell.text]
        for key, cell in cells().items()
        if key.startswith("sign no change") and key.endswith(": wrong sign")
    ]
    return _rows(["", "sign claimed"], rows)


def main() -> None:
    """Write the pages."""
    for name in NAMES:
        (PAGES / name).write_text(page(name), encoding="utf-8")


if __name__ == "__main__":
    main()
