"""How fast a grid is: 5 ready adapters x 5 repeats, against what a user does today.

    python benchmarks/run.py > benchmarks/run.txt

Everything is measured on one machine in one run, from process start to files written; contenders
take turns and the least time of each counts. Same prompts, tokens and decoding for all. What
differs is in favour of the others: safebench also judges every response, computes intervals and
writes the card.
"""

from __future__ import annotations

import importlib
import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
MODEL = ROOT / "safebench" / "demo" / "tiny-chat"
TASK = "safebench_harm"
ADAPTERS, REPEATS, PROMPTS, TOKENS = 5, 5, 100, 32
TEMPERATURE, MIN_P = 0.7, 0.1
SAMPLED: dict[str, Any] = {"do_sample": True, "temperature": TEMPERATURE, "min_p": MIN_P}
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
    """Return the command line of a part that needs a process of its own."""
    return [sys.executable, __file__, what, str(folder)]


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
    commands = {
        "ours": ours(folder / "plan-5.yaml", "out", "--batch-size", "512"),
        "theirs": theirs(adapters[0], 1, folder / "single"),
        "loop": other("loop", folder),
    }
    single: list[tuple[float, float]] = []
    looped: list[tuple[float, float, float]] = []
    mine: dict[int, list[tuple[float, float]]] = {1: [], 5: [], 25: []}
    jobs = [(a, s) for s in range(1, REPEATS + 1) for a in adapters][:PROCESSES]
    for turn in range(ROUNDS):
        for repeats, found in mine.items():
            plan_file, out = folder / f"plan-{repeats}.yaml", f"out-{repeats}-{turn}"
            found.append(timed(ours(plan_file, out, "--batch-size", "512"), folder))
        seconds, peak = timed(commands["loop"], folder)
        lines = [x for x in (folder / "log.txt").read_text().splitlines() if '{"adapters"' in x]
        looped.append((json.loads(lines[-1])["adapters"], seconds, peak))
        for number, (adapter, seed) in list(enumerate(jobs))[turn::ROUNDS]:
            single.append(timed(theirs(adapter, seed, folder / f"single-{number}"), folder))
    run = partial(subprocess.run, cwd=folder, env=ENVIRONMENT, check=True)
    floor = run(other("floor", folder), capture_output=True, text=True).stdout.splitlines()[-1]
    print(f"{ADAPTERS} adapters x {REPEATS} repeats, {PROMPTS} prompts of {TASK}, {TOKENS} tokens,")
    print(f"T = {TEMPERATURE}, min-p {MIN_P}; process start to files written; least of {ROUNDS}")
    print(f"rounds in turn; {os.cpu_count()} cores\n")
    for name, command in commands.items():
        print(f"{name + ':':8}", shlex.join(command))
    print("        theirs once per training seed and repeat\n")
    print_figures(mine, single, looped, json.loads(floor))
    print("\nwhere the time of `safebench run` goes (25 cells and 5 of the base)", flush=True)
    run(other("profile", folder))


def print_figures(
    mine: dict[int, list[tuple[float, float]]],
    single: list[tuple[float, float]],
    looped: list[tuple[float, float, float]],
    floor: dict[str, float],
) -> None:
    """Print seconds, and ratios beside the bounds they are held against."""
    best = {repeats: min(t for t, _ in found) for repeats, found in mine.items()}
    memory = max(m for _, m in mine[5])
    process, least = (min(found[i] for found in single) for i in (0, 1))
    loop, loop_and_base = (min(found[i] for found in looped) for i in (0, 1))
    cells = ADAPTERS * REPEATS
    total = process * cells
    for what, seconds, note in (
        ("safebench run", best[5], f"peak {memory:6.0f} MiB"),
        ("lm_eval run, one process", process, f"peak {least:6.0f} MiB, least of {len(single)}"),
        (f"  x {cells}", total, ""),
        ("simple_evaluate in a loop", loop, f"peak {max(f[2] for f in looped):6.0f} MiB"),
        ("  and the base model, 5 more cells", loop_and_base, ""),
        (f"bare model.generate, {cells} cells", floor["floor"], f"best batch {floor['batch']:.0f}"),
        ("our generation of the same", floor["ours"], ""),
    ):
        print(f"{what:<37}{seconds:8.2f} s   {note}".rstrip())
    print()
    for what, ratio, bound in (
        ("lm_eval run in a loop / ours", total / best[5], "at least 20"),
        ("simple_evaluate in a loop / ours", loop / best[5], "without the base, which ours has"),
        ("  where it measures the base too", loop_and_base / best[5], "at least 4"),
        ("our generation / bare floor", floor["ours"] / floor["floor"], "at most 1.25"),
        ("our peak memory / one lm_eval", memory / least, "at most 1.3"),
    ):
        print(f"{what:<37}{ratio:8.2f}     {bound}")
    print("\ncost is linear in cells (a cell: one adapter, one repeat, 100 prompts)")
    for repeats, taken in best.items():
        print(f"  {ADAPTERS * repeats:4d} cells (and {repeats:2d} of the base)  {taken:8.1f} s")
    slope, between = ((best[n] - best[1]) / (6 * (n - 1)) for n in (25, 5))
    own, start = floor["ours"] / cells, best[1] - 6 * slope
    print(f"  a cell costs {slope:.3f} s from 5 to 125 cells, {between:.3f} s from 5 to 25;")
    print(f"  the start {start:.1f} s; of a cell {own:.3f} s is generation, {slope - own:.3f} s")
    print("  the overhead: judging, tables, numbers")


def loop(folder: Path) -> None:
    """simple_evaluate per adapter and repeat; base model and tasks are loaded once."""
    from lm_eval import simple_evaluate
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    base = AutoModelForCausalLM.from_pretrained(MODEL)
    tokenizer = AutoTokenizer.from_pretrained(MODEL)
    manager = TaskManager(include_path=str(ROOT / "tasks"), include_defaults=False)
    adapters = json.loads((folder / "adapters.json").read_text())
    model: Any = None
    began = float(os.environ["STARTED"])
    for number, path in enumerate([*adapters, None]):
        name = f"a{number}"
        if path is None:  # the base model, which safebench measures too
            print(json.dumps({"adapters": time.time() - began}), flush=True)
            model = model.unload()
        elif model is None:
            model = PeftModel.from_pretrained(base, path, adapter_name=name).eval()
        else:
            model.load_adapter(path, adapter_name=name)
            model.set_adapter(name)
        lm = HFLM(pretrained=model, tokenizer=tokenizer, batch_size=BATCH)
        for repeat in range(1, REPEATS + 1):
            found = simple_evaluate(
                lm,
                tasks=[TASK],
                task_manager=manager,
                limit=PROMPTS,
                apply_chat_template=True,
                gen_kwargs={**SAMPLED, "max_gen_toks": TOKENS},
                torch_random_seed=repeat,
                bootstrap_iters=0,
            )
            kept = {name: found[name] for name in ("results", "samples")}
            (folder / f"loop-{number}-{repeat}.json").write_text(json.dumps(kept, default=str))


def floor(folder: Path) -> None:
    """Time generation alone: bare model.generate at its best batch size, and ours, in turns."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    from safebench.card.decoding import Decoding
    from safebench.harness.evaluate import build_prompts, generate
    from safebench.harness.tasks import load_task
    from safebench.models.interface import EngineSpec, PlacedWeights
    from safebench.models.loading import load_tokenizer, locate
    from safebench.models.sampling import Stream
    from safebench.models.transformers_engine import HfEngine

    located = locate(str(MODEL), None, folder)
    tokenizer = load_tokenizer(located)
    engine = HfEngine(EngineSpec(located, tokenizer, batch_size=512))
    prompts = build_prompts(engine, [load_task(TASK, limit=PROMPTS)], chat=True, system_prompt=None)
    adapters = [Path(p) for p in json.loads((folder / "adapters.json").read_text())]
    bare = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(MODEL), adapters[0])
    bare.eval()
    texts = [p.context for p in prompts]
    encoded = tokenizer(texts, add_special_tokens=False, padding=True, return_tensors="pt")
    inputs = {name: encoded[name] for name in ("input_ids", "attention_mask")}

    def bare_once(batch: int) -> float:
        began = time.perf_counter()
        with torch.inference_mode():
            for start in range(0, PROMPTS, batch):
                part = {name: rows[start : start + batch] for name, rows in inputs.items()}
                pad = tokenizer.pad_token_id
                bare.generate(**part, **SAMPLED, top_k=0, max_new_tokens=TOKENS, pad_token_id=pad)
        return time.perf_counter() - began

    decoding = Decoding(name="t07", **SAMPLED, max_new_tokens=TOKENS, repeats=REPEATS)

    def ours_once(seed: int) -> float:
        placed = PlacedWeights("tuned", seed, 1, "adapter", adapters[0])
        with engine.using(placed):
            began = time.perf_counter()
            stream = Stream(1, "tuned", seed, 1, "t07")
            generate(engine, prompts, decoding, stream, batch_size=512, on_batch=lambda _: None)
            return time.perf_counter() - began

    sizes = (25, 50, 100)
    theirs: dict[int, list[float]] = {size: [] for size in sizes}
    mine = []
    for turn in range(5):
        for size in sizes:
            theirs[size].append(bare_once(size))
        mine.append(ours_once(turn))
    best = min(sizes, key=lambda size: min(theirs[size]))
    cells = ADAPTERS * REPEATS
    took = {"floor": min(theirs[best]) * cells, "batch": best, "ours": min(mine) * ADAPTERS}
    print(json.dumps(took))


def profile(folder: Path) -> None:
    """Print where the time of `safebench run` goes, step by step, in the order of a run."""
    began = last = time.perf_counter()

    def report_step(what: str) -> None:
        nonlocal last
        now = time.perf_counter()
        print(f"  {now - last:6.2f} s  {what}")
        last = now

    from safebench.cli.executing import load_sound_card

    card = load_sound_card(folder / "plan-5.yaml")
    report_step("import the command line, read and check the card")
    importlib.import_module("torch")
    report_step("import torch")
    importlib.import_module("transformers")
    importlib.import_module("lm_eval.models.huggingface")
    importlib.import_module("lm_eval.tasks")
    report_step("import transformers, lm-eval, datasets")
    from safebench.evidence.submission import Submission
    from safebench.models.quantized import without_bitsandbytes
    from safebench.progress import Silent
    from safebench.study.engines import Settings
    from safebench.study.execute import execute
    from safebench.study.plan import make_plan

    report_step("import the rest of safebench")
    plan = make_plan(Submission(card, folder), folder / "profiled")
    report_step("plan: transformers imports the architecture; tokenizer, prompts, digests")
    with without_bitsandbytes():
        importlib.import_module("peft")
    report_step("import peft, for the adapters")
    execute(plan, folder / "profiled", Settings(batch_size=512), Silent())
    events = [json.loads(line) for line in (folder / "profiled/journal.jsonl").open()]
    cells = sum(event["seconds"] for event in events if event["event"] == "block")
    report_step(f"run: {cells:.2f} s of it generating 30 cells; loading, judging, numbers, files")
    print(f"  {time.perf_counter() - began:6.2f} s  in all")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        {"loop": loop, "floor": floor, "profile": profile}[sys.argv[1]](Path(sys.argv[2]))
    else:
        main()
