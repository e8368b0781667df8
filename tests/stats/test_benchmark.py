"""The benchmark of the statistics still runs, at tiny sizes."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_it_prints_its_ratios():
    done = subprocess.run(
        [sys.executable, ROOT / "benchmarks" / "stats.py", "--small"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT)},
    )
    for words in ("report / floor:", "peak", "components of five facets", "statsmodels"):
        assert words in done.stdout
