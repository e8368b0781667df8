"""Fill the measured tables of benchmarks/coverage.md: `python tests/conformance/make_coverage.py`.

Figures come from benchmarks/coverage.txt, what benchmarks/coverage.py printed, and the power table
from the exact power of the test. A test compares the bytes.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from itertools import product
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from safebench.stats import tost_power  # noqa: E402

PAGES = ROOT / "spec" / "v1"
MEASURED = ROOT / "benchmarks" / "coverage.md"
SEEDS = (2, 3, 5, 10)
RATED = (3, 5, 10, 20)
READ = ("3", "5", "10")
_MEASURED = re.compile(
    r"<!-- ((?:coverage|errors|few) \w+|power|predicted|signs|readings|ends) -->\n"
    r".*?<!-- end -->\n",
    re.S,
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


def page() -> str:
    """Return the page with its measured parts filled in."""
    text = MEASURED.read_text(encoding="utf-8")
    return _MEASURED.sub(lambda m: f"<!-- {m[1]} -->\n{_table(m[1])}<!-- end -->\n", text)


def _table(name: str) -> str:
    kind, _, part = name.partition(" ")
    if part:
        return {"coverage": _coverage, "errors": _errors, "few": _few}[kind](part)
    makers = {"power": _power, "predicted": _predicted, "signs": _signs, "ends": _ends}
    makers |= {"readings": _readings}
    return makers[kind]()


def _rows(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _coverage(part: str) -> str:
    """Return worlds x training seeds; of stability the other two bounds too."""
    grid: dict[str, dict[int, Cell]] = {}
    for cell in cells().values():
        match = re.fullmatch(r"(.+), S=(\d+)(.*)", cell.label)
        if cell.part == part and match:
            grid.setdefault(match[1] + match[3], {})[int(match[2])] = cell
    if part == "stability":
        return _bounds(grid)
    rows = [
        [label, *(row[s].text if s in row else "" for s in SEEDS)] for label, row in grid.items()
    ]
    return _rows(["world", *(f"{s} seeds" for s in SEEDS)], rows)


def _bounds(grid: dict[str, dict[int, Cell]]) -> str:
    """Return `lower` and `lower_if_normal` side by side, and the least of each and of the pairs."""
    rows = []
    kinds = ("", ": if normal", ": pairs")
    worlds = [label for label in grid if not label.endswith(kinds[1:])]
    for label in worlds:
        rows.append([label, *(grid[label + kind][s].text for kind in kinds[:2] for s in RATED)])
    least = [
        min((grid[label + kind][s] for label in worlds), key=lambda c: c.share).text
        for kind in kinds
        for s in RATED
    ]
    rows.append(["least of all", *least[:8]])
    rows.append(["pairs, least of all", *least[8:], *[""] * 4])
    heads = [f"{s} seeds{kind}" for kind in ("", ", if normal") for s in RATED]
    return _rows(["world", *heads], rows)


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


def _errors(part: str) -> str:
    """Return a line for each kind of study that has no prompts of its own."""
    table = cells()
    rows = []
    head = ["", "false `reproduced`", "false `not_reproduced`", "power"]
    for key, cell in table.items():
        label = cell.label.removesuffix(": false reproduced")
        if cell.part == part and label != cell.label and "P=" not in label:
            start = key.removesuffix("false reproduced")
            other = [table.get(start + kind) for kind in ("false not_reproduced", "power")]
            rows.append([label, cell.text, *(c.text if c else "" for c in other)])
            if part == "sequential":
                rows[-1].append(other[1].note.removeprefix("seeds ") if other[1] else "")
    return _rows([*head, *(["new seeds"] if part == "sequential" else [])], rows)


def _few(part: str) -> str:
    """Return the largest errors over all worlds and both directions, by prompts and arms."""
    found: dict[tuple[str, str, str], list[Cell]] = {}
    for cell in cells().values():
        match = re.fullmatch(r"(.+), P=(\d+), (.+?)(?: seeds)?(?:, downwards)?: (.+)", cell.label)
        if cell.part == part and match and (match[4] != "power" or match[1] == "usual"):
            found.setdefault((match[4], match[2], match[3]), []).append(cell)
    columns = list(dict.fromkeys(key[2] for key in found))
    counts = list(dict.fromkeys(key[1] for key in found))
    rows = []
    for kind, prompts in product(("false reproduced", "false not_reproduced", "power"), counts):
        here = (found.get((kind, prompts, arms), []) for arms in columns)
        worst = (max(c, key=lambda c: c.share).text if c else "" for c in here)
        shown = kind.replace("false ", "false `") + "`" * kind.startswith("false")
        rows.append([f"{shown}, {prompts} prompts", *worst])
    if part == "regenerate":
        key = "regenerate large seed effect, P={}, {} seeds: power"
        for prompts in counts:
            power = (cells()[key.format(prompts, seeds)] for seeds in columns)
            rows.append([f"seeds that spread much, {prompts} prompts", *(c.text for c in power)])
    for prompts in counts if part == "sequential" else ():
        power = (found["power", prompts, arms][0] for arms in columns)
        rows.append([f"new seeds, {prompts} prompts", *(c.note.split()[1] for c in power)])
    return _rows(["seeds", *columns], rows)


def _signs() -> str:
    """Return how often a sign is claimed where there is none, the larger of one base and three."""
    found: dict[str, dict[str, list[Cell]]] = {}
    for cell in cells().values():
        match = re.fullmatch(r"(no change.+), S=(\d+), base R=\d+: wrong sign", cell.label)
        if cell.part == "sign" and match:
            found.setdefault(match[1], {}).setdefault(match[2], []).append(cell)
    rows = [
        [label, *(max(row[s], key=lambda c: c.share).text for s in ("2", "3", "5"))]
        for label, row in found.items()
    ]
    return _rows(["", "2 seeds", "3 seeds", "5 seeds"], rows)


def _readings() -> str:
    """Return how often each word is wrong, the larger of both directions at the margin."""
    found: dict[str, dict[str, list[Cell]]] = {}
    for cell in cells().values():
        match = re.fullmatch(r"(.+), S=(\d+)(?:, change (\S+))?: (\w+)", cell.label)
        if cell.part == "reading" and match:
            world, seeds, change, word = match.groups()
            at = "" if change is None else " at none" if change == "0" else " at the margin"
            found.setdefault(f"`{word}`{at}: {world}", {}).setdefault(seeds, []).append(cell)
    rows = [
        [label, *(max(row[s], key=lambda c: c.share).text if s in row else "" for s in READ)]
        for label, row in sorted(found.items(), key=lambda item: item[0].partition(":")[0])
    ]
    return _rows(["", *(f"{s} seeds" for s in READ)], rows)


def _ends() -> str:
    """Return how often the change has a sign where a rerun ends that added seeds."""
    found: dict[str, list[str]] = {}
    for cell in cells().values():
        match = re.fullmatch(r"no change, (SD .+), (\d+) old: wrong sign", cell.label)
        if match:
            found.setdefault(match[1], []).append(cell.text)
    return _rows(["", *(f"{old} old" for old in (3, 5, 10))], [[k, *v] for k, v in found.items()])


def main() -> None:
    """Write the page."""
    MEASURED.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
