"""How fast `safebench validate` is: side by side with check-jsonschema, PyYAML and jsonschema.

    python benchmarks/validate.py

Cold: one card, each program started anew. At most 1.0 x check-jsonschema.
Warm: 1,000 cards in one process. At most 3.0 x parsing the same files with PyYAML's C loader and
validating the data with jsonschema.

Rounds take turns, so that a busy machine slows all sides alike; ratios are of the fastest rounds.
"""

from __future__ import annotations

import copy
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import yaml
from timing import machine, table, turns

from safebench.card.io import load_document

ROOT = Path(__file__).resolve().parent.parent
VALID = ROOT / "spec" / "v1" / "examples" / "valid"
SEED = 20_250
CARDS = 1_000
COLD_ROUNDS, WARM_ROUNDS = 15, 5
MOST_COLD, MOST_WARM = 1.0, 3.0
SCHEMA = ROOT / "spec" / "v1" / "card.schema.json"
COLD_CARDS = {"plan": VALID / "minimal-plan.yaml", "report": VALID / "submission" / "card.yaml"}
#: That of a user's shell, so that bytecode is cached for both sides.
ENVIRONMENT = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}

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
    beside = Path(sys.executable).with_name("check-jsonschema")
    theirs = str(beside) if beside.is_file() else shutil.which("check-jsonschema")
    if theirs is None:
        print("check-jsonschema is not installed: pip install check-jsonschema", file=sys.stderr)
        return 2
    packages = machine("pydantic", "PyYAML", "jsonschema", "click", "check-jsonschema")
    print(f"{packages}; cards made with seed {SEED}")
    with tempfile.TemporaryDirectory() as folder:
        over = [*_cold(theirs, Path(folder)), *_warm(Path(folder))]
    print("\nwithin the bounds" if not over else f"\nOVER THE BOUND: {', '.join(over)}")
    return 1 if over else 0


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
        sides = {"A": partial(_started, ours), "B": partial(_started, other)}
        if _ratio(COLD_ROUNDS, sides) > MOST_COLD:
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
        sides = {
            "A": partial(_inside, [OURS, str(cards)], expected),
            "B": partial(_inside, [FLOOR, str(cards), str(SCHEMA)], expected),
        }
        if _ratio(WARM_ROUNDS, sides) > MOST_WARM:
            over.append(f"warm, {what}")
        command = [sys.executable, "-m", "safebench.cli.main", "validate", str(cards)]
        whole = min(_started(command, code=int(wrong)) for _ in range(2))
        print(f"  safebench validate FOLDER, start and printing included: {whole:.2f} s")
    return over


def _started(command: list[str], code: int = 0) -> float:
    """Return the seconds from a program's start to its end."""
    run = partial(subprocess.run, command, capture_output=True, cwd=ROOT, env=ENVIRONMENT)
    began = time.perf_counter()
    done = run(check=False)
    taken = time.perf_counter() - began
    assert done.returncode == code, (command, done.returncode, done.stdout[-500:], done.stderr)
    return taken


def _inside(program: list[str], wrong: int) -> float:
    """Return the seconds that a program measured itself; both sides agree on what is wrong."""
    command = [sys.executable, "-c", *program]
    done = subprocess.run(command, capture_output=True, cwd=ROOT, env=ENVIRONMENT, check=True)
    taken, found = json.loads(done.stdout)
    assert found == wrong, (program[1], found, wrong)
    return float(taken)


def _ratio(rounds: int, sides: dict[str, Any]) -> float:
    taken = turns(rounds, sides)
    table(taken)
    ours, theirs = taken["A"], taken["B"]
    ratio = min(ours) / min(theirs)
    middle = statistics.median(ours) / statistics.median(theirs)
    print(f"  A / B: {ratio:.2f} (of medians {middle:.2f})")
    return ratio


def write_cards(folder: Path, number: int, *, wrong: bool = False) -> list[Path]:
    """Write plans and reports with an id each; with `wrong`, each has one misspelt field.

    Reports come without their evidence, which a schema does not look at.
    """
    rng = random.Random(SEED)  # noqa: S311 - seeded, and no secret
    bases = [load_document(path).data for path in sorted(VALID.rglob("*.yaml"))]
    paths = []
    for index in range(number):
        data = _varied(copy.deepcopy(bases[index % len(bases)]), index, rng)
        if wrong:
            data["submission"]["titel"] = data["submission"].pop("title")
        path = folder / f"card-{index:05}.yaml"
        path.write_text(as_yaml(data), encoding="utf-8")
        paths.append(path)
    return paths


def as_yaml(data: Any) -> str:
    """Return data as YAML that readers of 1.1 and of 1.2 read alike: 2.0e-05 and never 2e-05."""
    return yaml.safe_dump(data, sort_keys=False, default_flow_style=None, allow_unicode=True)


def _varied(data: dict[str, Any], index: int, rng: random.Random) -> dict[str, Any]:
    submission = data["submission"]
    submission["id"] = f"{submission['id'][:50]}-{index}"
    submission["title"] = f"{submission['title']} ({rng.randrange(10**6)})"
    submission["date"] = f"2025-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}"
    data.pop("evidence", None)
    if "results" in data:  # the protocol of a report is bound to its seeds and numbers
        return data
    training = data.get("hyperparameters", {})
    if isinstance(training.get("learning_rate"), float):
        training["learning_rate"] = rng.choice([1e-5, 2e-5, 5e-5, 1e-4, 2e-4])
    for decoding in data.get("decoding", []):
        decoding["max_new_tokens"] = rng.choice([128, 256, 512, 1024])
    return data


if __name__ == "__main__":
    sys.exit(main())
