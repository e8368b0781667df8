"""How fast a grid is: 5 ready adapters x 5 repeats, against what a user does today.

    python benchmarks/run.py > benchmarks/run.txt

Everything is measured on one machine in one run, from process start to files written; contenders
take turns and the least time of each counts. Same prompts, tokens and decoding for all. What
differs is in favour of the others: safebench also judges every response, computes intervals and
writes the card.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import yaml

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
MODEL = ROOT / "safebench" / "demo" / "tiny-chat"
TASK = "safebench_harm"
ADAPTERS, REPEATS, PROMPTS, TOKENS = 5, 5, 100, 32
TEMPERATURE, MIN_P = 0.7, 0.1
ROUNDS = int(os.environ.get("ROUNDS", "3"))
PROCESSES = int(os.environ.get("PROCESSES", "25"))
BATCH = 128
OFFLINE = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
ENVIRONMENT = {**os.environ, **OFFLINE}
PLAN = f"""
model:
  base: {{id: {json.dumps(str(MODEL))}}}
  dtype: float32
  chat_template: {{source: tokenizer}}
seeds:
  scheme: declared
  training: {list(range(1, ADAPTERS + 1))}
  generation: 1
  origin: made for the benchmark
  controls: [adapter_init, data_order, dropout]
decoding:
  - {{name: t07, do_sample: true, temperature: {TEMPERATURE}, min_p: {MIN_P}, repeats: 1,
     max_new_tokens: {TOKENS}}}
tasks: [{{name: {TASK}, limit: {PROMPTS}}}]
"""


def timed(command: list[str], where: Path) -> tuple[float, float]:
    """Run a command; return seconds and its peak memory in MiB."""
    began = time.perf_counter()
    with (where / "log.txt").open("w") as log:
        environment = {**ENVIRONMENT, "STARTED": str(time.time())}
        process = subprocess.Popen(command, cwd=where, env=environment, stdout=log, stderr=log)
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{shlex.join(command)}\n{(where / 'log.txt').read_text()[-3000:]}")
    return time.perf_counter() - began, usage.ru_maxrss / 1024


def plan(weights: list[dict[str, object]], repeats: int) -> dict[str, object]:
    """Return a plan that measures ready adapters."""
    demo = ROOT / "safebench" / "demo"
    base = yaml.safe_load((demo / "plan.yaml").read_text()) | yaml.safe_load(PLAN)
    base["data"][0]["path"] = str(demo / "household.jsonl")
    base["hyperparameters"] |= {"epochs": 1, "checkpoints": [1]}
    base["decoding"][0]["repeats"] = repeats
    if weights:
        base["model"]["weights"] = weights
    return base


def ours(path: Path, out: str, *options: str) -> list[str]:
    """Return our command line."""
    command = [sys.executable, *["-m", "safebench.cli.main", "run"]]
    return [*command, str(path), "--out", out, *options]


def make_adapters(folder: Path) -> list[dict[str, object]]:
    """Fine-tune the adapters once; return their entries of the card."""
    path = folder / "tune.yaml"
    path.write_text(yaml.safe_dump({**plan([], 1), "tasks": [{"name": TASK, "limit": 1}]}))
    timed(ours(path, "tuned", "--threads", "1"), folder)
    card = yaml.safe_load((folder / "tuned" / "card.yaml").read_text())
    entries = card["model"]["weights"]
    for entry in entries:
        entry["path"] = f"tuned/{entry['path']}"
    return list(entries)


def theirs(adapter: Path, seed: int, out: Path) -> list[str]:
    """Return what a user runs today, once per training seed and repeat."""
    model = f"pretrained={MODEL},peft={adapter},dtype=float32"
    kwargs = f"do_sample=true,temperature={TEMPERATURE},min_p={MIN_P},max_gen_toks={TOKENS}"
    return [
        *[sys.executable, *["-m", "lm_eval", "run", "--model", "hf", "--model_args"], model],
        *["--include_path", str(ROOT / "tasks"), "--tasks", TASK, "--apply_chat_template"],
        *f"--limit {PROMPTS} --device cpu --batch_size {BATCH} --seed {seed}".split(),
        *["--output_path", str(out), "--log_samples", "--gen_kwargs", kwargs],
    ]


def other(what: str, folder: Path) -> list[str]:
    """Return the command line of a part of run_others.py."""
    return [sys.executable, str(HERE / "run_others.py"), what, str(folder)]


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        entries = make_adapters(folder)
        adapters = [folder / str(entry["path"]) for entry in entries]
        (folder / "adapters.json").write_text(json.dumps([str(path) for path in adapters]))
        for repeats in (1, 5, 25):
            text = yaml.safe_dump(plan(entries, repeats))
            (folder / f"plan-{repeats}.yaml").write_text(text)
        report(folder, adapters)


def report(folder: Path, adapters: list[Path]) -> None:
    """Time everything in turns and print ratios."""
    loop = other("loop", folder)
    single: list[tuple[float, float]] = []
    looped: list[tuple[float, float, float]] = []
    mine: dict[int, list[tuple[float, float]]] = {1: [], 5: [], 25: []}
    jobs = [(a, s) for s in range(1, REPEATS + 1) for a in adapters][:PROCESSES]
    for turn in range(ROUNDS):
        for repeats, found in mine.items():
            out = f"out-{repeats}-{turn}"
            found.append(
                timed(ours(folder / f"plan-{repeats}.yaml", out, "--batch-size", "512"), folder)
            )
        seconds, peak = timed(loop, folder)
        told = [x for x in (folder / "log.txt").read_text().splitlines() if '{"adapters"' in x]
        looped.append((json.loads(told[-1])["adapters"], seconds, peak))
        for number, (adapter, seed) in list(enumerate(jobs))[turn::ROUNDS]:
            single.append(timed(theirs(adapter, seed, folder / f"single-{number}"), folder))
    run = partial(subprocess.run, cwd=folder, env=ENVIRONMENT, check=True)
    floor = run(other("floor", folder), capture_output=True, text=True).stdout.splitlines()[-1]
    print_report(folder, adapters, mine, single, looped, json.loads(floor), loop)
    print()
    print("where the time of `safebench run` goes (25 cells and 5 of the base)", flush=True)
    run(other("profile", folder))


def print_report(
    folder: Path,
    adapters: list[Path],
    mine: dict[int, list[tuple[float, float]]],
    single: list[tuple[float, float]],
    looped: list[tuple[float, float, float]],
    floor: dict[str, float],
    loop: list[str],
) -> None:
    """Print figures and the bounds they are held against."""
    best = {repeats: min(t for t, _ in found) for repeats, found in mine.items()}
    memory = max(m for _, m in mine[5])
    process = min(t for t, _ in single)
    total = process * ADAPTERS * REPEATS
    print(f"{ADAPTERS} adapters x {REPEATS} repeats, {PROMPTS} prompts of {TASK}, {TOKENS} tokens,")
    print(f"T = {TEMPERATURE}, min-p {MIN_P}; process start to files written; least of {ROUNDS}")
    print(f"rounds in turn; {os.cpu_count()} cores")
    print()
    print("ours:   ", shlex.join(ours(folder / "plan-5.yaml", "out", "--batch-size", "512")))
    print("theirs: ", shlex.join(theirs(adapters[0], 1, folder / "single")))
    print("        once per training seed and repeat")
    print("loop:   ", shlex.join(loop))
    print()
    least = min(m for _, m in single)
    loop_best, loop_base = (min(found[i] for found in looped) for i in (0, 1))
    loop_peak = max(found[2] for found in looped)
    cells = ADAPTERS * REPEATS
    bare = f"best batch {floor['batch']:.0f}; model loaded"
    for what, seconds, note in (
        ("safebench run", f"{best[5]:8.1f}", f"peak {memory:6.0f} MiB"),
        (
            "lm_eval run, one process",
            f"{process:8.1f}",
            f"peak {least:6.0f} MiB, least of {len(single)}",
        ),
        (f"  x {cells}", f"{total:8.1f}", ""),
        ("simple_evaluate in a loop", f"{loop_best:8.1f}", f"peak {loop_peak:6.0f} MiB"),
        ("  and the base model, 5 more cells", f"{loop_base:8.1f}", ""),
        (f"bare model.generate, {cells} cells", f"{floor['floor']:8.2f}", bare),
        ("our generation of the same", f"{floor['ours']:8.2f}", ""),
    ):
        print(f"{what:<37}{seconds} s   {note}".rstrip())
    print()
    generation = floor["ours"] / floor["floor"]
    for what, ratio, bound in (
        ("lm_eval run in a loop / ours", f"{total / best[5]:8.1f}", "at least 20"),
        ("simple_evaluate in a loop / ours", f"{loop_best / best[5]:8.1f}", "at least 3"),
        ("  where it measures the base too", f"{loop_base / best[5]:8.1f}", "as ours always does"),
        ("our generation / bare floor", f"{generation:8.2f}", "at most 1.25"),
        ("our peak memory / one lm_eval", f"{memory / least:8.2f}", "at most 1.3"),
    ):
        print(f"{what:<37}{ratio}     {bound}")
    print()
    print("cost is linear in cells (a cell: one adapter, one repeat, 100 prompts)")
    for repeats, taken in best.items():
        print(f"  {ADAPTERS * repeats:4d} cells (and {repeats:2d} of the base)  {taken:8.1f} s")
    slope, between = ((best[n] - best[1]) / (6 * (n - 1)) for n in (25, 5))
    print(
        f"  a cell costs {slope:.3f} s from 5 to 125 cells, {between:.3f} s from 5 to 25; the "
        f"start {best[1] - 6 * slope:.1f} s"
    )
    own = floor["ours"] / cells
    print(
        f"  of a cell {own:.3f} s is generation, {slope - own:.3f} s the overhead: judging, "
        "tables, numbers"
    )


if __name__ == "__main__":
    main()
