"""How fast `safebench compare` answers from runs without a card: lm-eval's samples, 10,000 in all.

    python benchmarks/compare.py

A reads them, judges those of harm by the rule, pairs them and prints; the aim is 3 s on a machine
with nothing else to do. B only parses the same lines with `json` and averages differences with
numpy, each program started anew. At most 15 x B, in the processor's time. Rounds take turns.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

from timing import machine, table, turns

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
from tests.importing.uncarded_made import draws, run  # noqa: E402

PROMPTS = 2_500
"""Prompts of each of two tasks, answered by a base model and by a tuned one."""
ROUNDS = 7
MOST = 15.0
#: That of a user's shell, so that bytecode is cached for both sides.
ENVIRONMENT = {k: v for k, v in os.environ.items() if not k.startswith("PYTHONDONT")}
FLOOR = """
import json, sys
from pathlib import Path
import numpy as np
means = []
for folder in sys.argv[1:]:
    rows = [json.loads(line) for file in sorted(Path(folder).glob("samples_*"))
            for line in file.read_bytes().splitlines()]
    means.append(np.array([row[row["metrics"][0]] for row in rows]))
print(len(means[0]), float((means[1] - means[0]).mean()))
"""


def main() -> int:
    """Measure, print, and return 1 if the ratio is over its bound."""
    print(machine("numpy", "scipy", "pyarrow", "pydantic"))
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        base = run(folder / "base", None, draws(0, 0.2, PROMPTS))
        tuned = run(folder / "s1", "ckpt/s1", draws(1, 0.5, PROMPTS))
        size = sum(file.stat().st_size for file in folder.rglob("*.json*"))
        print(f"\n{4 * PROMPTS:,} samples, {size:,} bytes, {ROUNDS} rounds")
        print("  A  safebench compare BASE TUNED")
        print("  B  json.loads of every line, and the mean of the differences")
        ours = [sys.executable, "-m", "safebench.cli.main", "compare", str(base), str(tuned)]
        floor = [sys.executable, "-c", FLOOR, str(base), str(tuned)]
        taken = turns(ROUNDS, {"A": partial(_seconds, ours), "B": partial(_seconds, floor)})
    table(taken)
    ratio = min(taken["A"]) / min(taken["B"])
    print(f"  A / B: {ratio:.1f}")
    print("within the bound" if ratio <= MOST else f"OVER THE BOUND of {MOST:g}")
    return 0 if ratio <= MOST else 1


def _seconds(command: list[str]) -> float:
    """Return the seconds of the processor's time that a program takes, from start to end."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, capture_output=True, cwd=ROOT, env=ENVIRONMENT, check=False)
    assert done.returncode == 0, done.stderr
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime)


if __name__ == "__main__":
    sys.exit(main())
