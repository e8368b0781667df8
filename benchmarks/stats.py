"""How fast the statistics are: a million outcomes, beside what reading them costs anyway.

    python benchmarks/stats.py [--small]

Time: the full report takes at most 3.0 x the floor, in the same process, rounds taking turns.
The floor is pyarrow.parquet.read_table of the outcomes, to_numpy of the columns that a report
uses, and the bootstrap's products alone: (replicates x prompts) @ (prompts x 100) for each
decoding, then the seed weights; its weights are made beforehand. A stricter floor, printed beside
it, leaves text columns out of to_numpy (each makes an object for every row).
The full report: `read_outcomes`, `blocks`, score intervals, stability with flip rates, components
of the five facets with intervals and shares, D-study, and the bootstrap of the worst checkpoint.
Memory: the peak resident size of a fresh process above that before reading (VmHWM, Linux only), at
most 4 x the table's Arrow size plus the bootstrap's weights.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import warnings
from importlib.metadata import version
from itertools import combinations
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from timing import machine, seconds, table, turns

from safebench import stats
from safebench.evidence import tables
from safebench.evidence.arrays import outcome_arrays
from safebench.evidence.outcomes import read_outcomes
from safebench.evidence.tables import OUTCOMES_FILE

FACETS = ("checkpoint", "decoding", "training_seed", "repeat", "prompt")
FULL, SMALL = (5, 2, 10, 20, 500), (2, 2, 3, 2, 20)
SEED = 20_260
MOST_TIME, MOST_MEMORY = 3.0, 4.0
KEY = ["training_seed", "checkpoint", "repeat", "score"]
TEXT = ["decoding", "task", "construct", "condition", "judge", "prompt_id", "verdict", "status"]


def main() -> int:
    """Measure, print, and return 1 if a ratio is over its bound."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--small", action="store_true", help="tiny sizes: does it still run?")
    parser.add_argument("--memory", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--replicates", type=int, default=10_000, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.memory:
        return _memory_inside(arguments.memory, arguments.replicates)
    shape = SMALL if arguments.small else FULL
    replicates, rounds = (200, 1) if arguments.small else (10_000, 5)
    print(f"{machine('numpy', 'pyarrow')}; seed {SEED}")
    with tempfile.TemporaryDirectory() as folder:
        where = Path(folder)
        _write(where, shape)
        over = [*_time(where, shape, replicates, rounds), *_memory(where, replicates)]
    _linear((1e3, 1e4) if arguments.small else (1e5, 1e6, 1e7))
    _mixed_model(300 if arguments.small else 1_500)
    if arguments.small:
        return 0  # a tiny report is all overhead: its ratios say nothing
    print("\nwithin the bounds" if not over else f"\nOVER THE BOUND: {', '.join(over)}")
    return 1 if over else 0


def _simulated(shape: tuple[int, ...]) -> tuple[np.ndarray, list[np.ndarray]]:
    """Outcomes of 0 and 1 with every kind of effect, and each facet's level of each."""
    draw = np.random.default_rng(SEED)
    latent = np.full(shape, -0.7)
    for sd, facets in ((1.5, (4,)), (0.4, (2,)), (0.3, (0,)), (0.5, (2, 4)), (0.2, (0, 2))):
        axes = [n if i in facets else 1 for i, n in enumerate(shape)]
        latent += sd * draw.normal(size=axes)
    y = (draw.random(shape) < 1 / (1 + np.exp(-latent))).ravel().astype(np.float64)
    return y, [np.broadcast_to(level, shape).ravel() for level in np.indices(shape, sparse=True)]


def _write(folder: Path, shape: tuple[int, ...]) -> None:
    """Write outcomes as a run does, in a bare submission folder."""
    y, levels = _simulated(shape)
    at = dict(zip(FACETS, levels, strict=True))

    def words(level: np.ndarray, names: list[str]) -> pa.Array:
        return pa.DictionaryArray.from_arrays(pa.array(level.astype(np.int32)), names).cast(
            "string"
        )

    def always(word: str) -> pa.Array:
        return words(np.zeros(y.size), [word])

    prompts = [f"prompt-{i:04d}" for i in range(shape[4])]
    columns = {
        "condition": always("tuned"),
        "training_seed": pa.array(1000 + at["training_seed"]),
        "checkpoint": pa.array(1 + at["checkpoint"]),
        "decoding": words(at["decoding"], [f"t{i}" for i in range(shape[1])]),
        "repeat": pa.array(1 + at["repeat"]),
        "generation_seed": pa.array(np.arange(y.size)),
        "task": always("safebench_harm"),
        "construct": always("harm"),
        "category": words(at["prompt"] % 10, [f"category-{i}" for i in range(10)]),
        "prompt_id": words(at["prompt"], prompts),
        "judge": always("rule"),
        "status": always("ok"),
        "verdict": words(y, ["refused", "complied"]),
        "score": pa.array(y),
    }
    made = pa.table(columns, schema=tables.OUTCOMES)
    tables.write_table(tables.sort_table(made), folder / OUTCOMES_FILE)


def _report(folder: Path, replicates: int) -> None:
    """Everything that a report says of the outcomes of one task."""
    everything = outcome_arrays(read_outcomes(folder))
    for block in everything:
        stats.score_interval(block.scores)
        flips = stats.flip_rate(block.scores[:, 0]).upper
        stats.stability(block.scores.mean(axis=2), len(block.prompts), flip_upper=flips)
    checkpoints = sorted({block.checkpoint or 0 for block in everything})
    decodings = sorted({block.decoding for block in everything})
    found = {(block.checkpoint, block.decoding): block.scores for block in everything}
    scores = np.stack([np.stack([found[c, d] for d in decodings]) for c in checkpoints])
    del everything, found
    parts = _components(scores.ravel(), scores.shape)
    for effect in parts.estimates:
        parts.component(effect)
        parts.share(effect)
    stats.d_study(parts, dict(zip(FACETS, scores.shape, strict=True)), "prompt", ("decoding",))
    stats.d_study(parts, dict(zip(FACETS, scores.shape, strict=True)))
    means = scores.mean(axis=3)  # (checkpoints, decodings, seeds, prompts)
    for decoding in range(len(decodings)):
        stats.pigeonhole_bootstrap(
            means[:, decoding].swapaxes(0, 1),
            stats.largest_mean,
            np.random.default_rng(SEED),
            replicates,
        )


def _components(y: np.ndarray, shape: tuple[int, ...]) -> stats.VarianceComponents:
    crossed = [name for name in FACETS if name != "repeat"]
    effects = {":".join(f): f for size in (1, 2, 3) for f in combinations(crossed, size)}
    effects["repeat"] = ("training_seed", "checkpoint", "decoding", "repeat")
    levels = np.indices(shape, sparse=True, dtype=np.int16)
    factors = {n: np.broadcast_to(x, shape).ravel() for n, x in zip(FACETS, levels, strict=True)}
    return stats.variance_components(y, factors, {**effects, "residual": FACETS})


def _floor(path: Path, columns: list[str], weights: list[np.ndarray]) -> None:
    table = pq.read_table(path)
    for name in columns:
        table.column(name).to_numpy()
    prompts, seeds, matrix = weights
    for _ in range(2):  # decodings
        means = (prompts @ matrix).reshape(len(prompts), seeds.shape[1], -1)
        np.einsum("bs,bsi->bi", seeds, means)


def _time(folder: Path, shape: tuple[int, ...], replicates: int, rounds: int) -> list[str]:
    draw = np.random.default_rng(SEED)
    seeds = draw.random((replicates, shape[2]))
    columns = shape[2] * (10 if shape is FULL else 2)
    weights = [draw.random((replicates, shape[4])), seeds, draw.random((shape[4], columns))]
    path = folder / OUTCOMES_FILE
    sides = {
        "full report": lambda: seconds(lambda: _report(folder, replicates)),
        "floor": lambda: seconds(lambda: _floor(path, KEY + TEXT, weights)),
        "stricter floor, no text": lambda: seconds(lambda: _floor(path, KEY, weights)),
    }
    rows = int(np.prod(shape))
    size = f"{rows:,} outcomes ({path.stat().st_size:,} bytes)"
    products = f"products {replicates:,} x {shape[4]} @ {shape[4]} x {columns}, twice"
    print(f"\n{size}, {rounds} rounds taking turns, {replicates:,} replicates; {products}")
    taken = turns(rounds, sides)
    table(taken)
    middle = {name: statistics.median(values) for name, values in taken.items()}
    ratio = middle["full report"] / middle["floor"]
    strict = middle["full report"] / middle["stricter floor, no text"]
    print(f"  report / floor: {ratio:.2f} (bound {MOST_TIME}); / stricter floor: {strict:.2f}")
    return ["time"] if ratio > MOST_TIME else []


def _memory(folder: Path, replicates: int) -> list[str]:
    if not Path("/proc/self/status").is_file():
        print("\npeak memory: not measured, there is no /proc here")
        return []
    command = [sys.executable, __file__, "--memory", str(folder), "--replicates", str(replicates)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    peak, arrow, weights = json.loads(done.stdout)
    ratio = max(peak - weights, 0) / arrow
    sizes = f"Arrow table {arrow / 1e6:.0f} MB, weights {weights / 1e6:.0f} MB"
    print(f"\npeak memory of the report: {peak / 1e6:.0f} MB above the start; {sizes}")
    print(f"  (peak - weights) / Arrow: {ratio:.2f} (bound {MOST_MEMORY})")
    return ["memory"] if ratio > MOST_MEMORY else []


def _memory_inside(folder: Path, replicates: int) -> int:
    """Print the peak of this process above its start, the table's size and that of the weights."""
    before = _peak()
    _report(folder, replicates)
    peak = _peak() - before
    table = pq.read_table(folder / OUTCOMES_FILE)
    seeds, prompts = (len(table.column(n).unique()) for n in ("training_seed", "prompt_id"))
    print(json.dumps([peak, table.nbytes, 8 * replicates * (seeds + prompts)]))
    return 0


def _peak() -> int:
    """Return the highest resident size so far; ru_maxrss would hold that of the parent."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.partition("VmHWM:")[2].split()[0])


def _linear(sizes: tuple[float, ...]) -> None:
    print("\ncomponents of five facets, by outcomes (prompts grow)")
    for size in sizes:
        per_prompt = 2_000 if size >= 1e5 else 50
        inner = (5, 2, 10, 20) if size >= 1e5 else (1, 1, 10, 5)
        shape = (*inner, int(size) // per_prompt)
        y = np.random.default_rng(SEED).random(int(np.prod(shape)))
        took = min(seconds(lambda y=y, shape=shape: _components(y, shape)) for _ in range(2))
        print(f"  {y.size:12,}  {took:8.3f} s   {1e9 * took / y.size:7.0f} ns each")


def _mixed_model(rows: int) -> None:
    """Restricted maximum likelihood of three crossed effects, by statsmodels."""
    try:
        import pandas as pd
        import statsmodels.formula.api as smf
    except ImportError:
        print("\nstatsmodels is not installed: no comparison (pip install statsmodels==0.15.0)")
        return
    seeds, repeats = 5, 3
    shape = (seeds, repeats, rows // (seeds * repeats))
    draw = np.random.default_rng(SEED)
    seed, _, prompt = (level.ravel() for level in np.indices(shape))
    y = draw.normal(size=seeds)[seed] + draw.normal(size=shape[2])[prompt]
    y = y + draw.normal(size=(seeds, shape[2]))[seed, prompt] + draw.normal(size=seed.size)
    both = ("seed", "prompt")
    effects = {"seed": ("seed",), "prompt": ("prompt",), "both": both, "residual": ()}
    factors = {"seed": seed, "prompt": prompt}
    ours = min(seconds(lambda: stats.variance_components(y, factors, effects)) for _ in range(3))
    frame = pd.DataFrame({**factors, "y": y, "one": 1})
    crossed = {"s": "0 + C(seed)", "p": "0 + C(prompt)", "sp": "0 + C(seed):C(prompt)"}
    model = smf.mixedlm("y ~ 1", frame, groups="one", vc_formula=crossed, re_formula="0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of its own convergence
        theirs = seconds(model.fit)
    print(f"\n{y.size:,} outcomes, three crossed effects: Method I {ours:.4f} s,")
    print(f"  statsmodels {version('statsmodels')} MixedLM {theirs:.2f} s: {theirs / ours:,.0f} x")


if __name__ == "__main__":
    sys.exit(main())
