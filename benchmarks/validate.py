"""How fast `safebench validate` is: side by side with check-jsonschema, PyYAML and jsonschema.

    python benchmarks/validate.py

Cold: one card, each program started anew. At most 1.0 x check-jsonschema.
Warm: 1,000 cards in one process. At most 3.0 x parsing the same files with PyYAML's C loader and
validating the data with jsonschema.

Rounds take turns, so that a busy machine slows all sides alike; ratios are of the fastest rounds.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from cards import ROOT, SEED, VALID, as_yaml, write_cards

from safebench.card.io import load_document

CARDS = 1_000
COLD_ROUNDS, WARM_ROUNDS = 15, 5
MOST_COLD, MOST_WARM = 1.0, 3.0
SCHEMA = ROOT / "spec" / "v1" / "card.schema.json"
COLD_CARDS = {"plan": VALID / "minimal-plan.yaml", "report": VALID / "submission" / "card.yaml"}

# Both say how many of the cards in a folder have something wrong, and how long that took them.
OURS = """
import json, sys, time
from pathlib import Path
from safebench.checks import check
paths = sorted(Path(sys.argv[1]).iterdir())
start = time.perf_counter()
wrong = sum(check(path).errors > 0 for path in paths)
print(json.dumps([time.perf_counter() - start, wrong]))
"""
FLOOR = """
import json, sys, time
from pathlib import Path
import jsonschema, yaml
paths = sorted(Path(sys.argv[1]).iterdir())
schema = json.loads(Path(sys.argv[2]).read_bytes())
start = time.perf_counter()
validator = jsonschema.Draft202012Validator(schema)
wrong = 0
for path in paths:
    data = yaml.load(path.read_bytes(), Loader=yaml.CSafeLoader)
    wrong += bool(list(validator.iter_errors(data)))
print(json.dumps([time.perf_counter() - start, wrong]))
"""


def main() -> int:
    """Measure, print, and return 1 if a ratio is over its bound."""
    theirs = _check_jsonschema()
    if theirs is None:
        print("check-jsonschema is not installed: pip install check-jsonschema", file=sys.stderr)
        return 2
    print(f"{os.cpu_count()} CPUs, {platform.machine()}, Python {platform.python_version()}, "
          f"{platform.system()}; cards made with seed {SEED}")  # fmt: skip
    packages = ("pydantic", "PyYAML", "jsonschema", "click")
    print(", ".join(f"{name} {version(name)}" for name in packages) + f"; {_said(theirs)}")
    with tempfile.TemporaryDirectory() as folder:
        over = [*_cold(theirs, Path(folder)), *_warm(Path(folder))]
    print("\nwithin the bounds" if not over else f"\nOVER THE BOUND: {', '.join(over)}")
    return 1 if over else 0


def _check_jsonschema() -> str | None:
    """Return the program beside this interpreter, else the one that the shell would find."""
    beside = Path(sys.executable).with_name("check-jsonschema")
    return str(beside) if beside.is_file() else shutil.which("check-jsonschema")


def _said(program: str) -> str:
    return subprocess.run(
        [program, "--version"], capture_output=True, text=True, check=True
    ).stdout.strip()


def _cold(theirs: str, folder: Path) -> list[str]:
    """Compare one card, each program started anew."""
    over = []
    for name, path in COLD_CARDS.items():
        data = load_document(path).data
        data.pop("evidence", None)
        card = folder / f"{name}.yaml"
        card.write_text(as_yaml(data), encoding="utf-8")
        ours = [sys.executable, "-m", "safebench.cli.main", "validate", str(card)]
        other = [theirs, "--schemafile", str(SCHEMA), str(card)]
        print(f"\ncold, one {name} of {card.stat().st_size:,} bytes, {COLD_ROUNDS} rounds")
        print(f"  A  python -m safebench.cli.main validate {card.name}")
        print(f"  B  check-jsonschema --schemafile spec/v1/card.schema.json {card.name}")
        seconds = _rounds(COLD_ROUNDS, lambda a=ours: _started(a), lambda b=other: _started(b))
        if _table(*seconds) > MOST_COLD:
            over.append(f"cold {name}")
    return over


def _warm(folder: Path) -> list[str]:
    """Compare many cards in one process, without and with something wrong in each."""
    over = []
    for what, wrong in (("all right", False), ("one misspelt field in each", True)):
        cards = folder / ("wrong" if wrong else "right")
        cards.mkdir()
        paths = write_cards(cards, CARDS, wrong=wrong)
        size = sum(path.stat().st_size for path in paths)
        print(f"\nwarm, {CARDS:,} cards ({what}), {size:,} bytes, {WARM_ROUNDS} rounds")
        print("  A  safebench.checks.check(path) for each: reading, models, rules, level")
        print("  B  yaml.load(..., CSafeLoader) and Draft202012Validator.iter_errors for each")
        expected = CARDS if wrong else 0
        seconds = _rounds(
            WARM_ROUNDS,
            lambda c=cards, n=expected: _inside([sys.executable, "-c", OURS, str(c)], n),
            lambda c=cards, n=expected: _inside(
                [sys.executable, "-c", FLOOR, str(c), str(SCHEMA)], n
            ),
        )
        if _table(*seconds) > MOST_WARM:
            over.append(f"warm, {what}")
        command = [sys.executable, "-m", "safebench.cli.main", "validate", str(cards)]
        whole = min(_started(command, code=int(wrong)) for _ in range(2))
        print(f"  safebench validate FOLDER, start and printing included: {whole:.2f} s")
    return over


def _rounds(
    number: int, first: Callable[[], float], second: Callable[[], float]
) -> tuple[list[float], list[float]]:
    """Take turns; the round before the first fills caches and writes bytecode."""
    pairs = [(first(), second()) for _ in range(number + 1)][1:]
    return [a for a, _ in pairs], [b for _, b in pairs]


def _started(command: list[str], code: int = 0) -> float:
    """Return the seconds from a program's start to its end."""
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, cwd=ROOT, env=_environment(), check=False)
    seconds = time.perf_counter() - start
    assert done.returncode == code, (command, done.returncode, done.stdout[-500:], done.stderr)
    return seconds


def _inside(command: list[str], wrong: int) -> float:
    """Return the seconds that a program measured itself; both sides agree on what is wrong."""
    done = subprocess.run(command, capture_output=True, cwd=ROOT, env=_environment(), check=True)
    seconds, found = json.loads(done.stdout)
    assert found == wrong, (command[2], found, wrong)
    return float(seconds)


def _environment() -> dict[str, str]:
    """Return the environment of a user's shell: bytecode is cached for both sides."""
    return {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}


def _table(ours: list[float], theirs: list[float]) -> float:
    for name, seconds in (("A", ours), ("B", theirs)):
        print(f"  {name}  min {min(seconds):7.3f} s   median {statistics.median(seconds):7.3f} s")
    ratio = min(ours) / min(theirs)
    middle = statistics.median(ours) / statistics.median(theirs)
    print(f"  A / B: {ratio:.2f} (of medians {middle:.2f})")
    return ratio


if __name__ == "__main__":
    sys.exit(main())
