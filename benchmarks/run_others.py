"""What run.py needs a process of its own for: a loop, the bare floor, and where our time goes."""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from benchmarks.run import (  # noqa: E402
    ADAPTERS,
    BATCH,
    MIN_P,
    MODEL,
    PROMPTS,
    REPEATS,
    ROOT,
    TASK,
    TEMPERATURE,
    TOKENS,
)


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
                gen_kwargs={
                    "do_sample": True,
                    "temperature": TEMPERATURE,
                    "min_p": MIN_P,
                    "max_gen_toks": TOKENS,
                },
                torch_random_seed=repeat,
                bootstrap_iters=0,
            )
            text = json.dumps(
                {"results": found["results"], "samples": found["samples"]}, default=str
            )
            (folder / f"loop-{number}-{repeat}.json").write_text(text)


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

    def bare_once(batch: int) -> float:
        began = time.perf_counter()
        with torch.inference_mode():
            for start in range(0, PROMPTS, batch):
                bare.generate(
                    input_ids=encoded["input_ids"][start : start + batch],
                    attention_mask=encoded["attention_mask"][start : start + batch],
                    do_sample=True,
                    temperature=TEMPERATURE,
                    min_p=MIN_P,
                    top_k=0,
                    max_new_tokens=TOKENS,
                    pad_token_id=tokenizer.pad_token_id,
                )
        return time.perf_counter() - began

    decoding = Decoding(
        name="t07",
        do_sample=True,
        temperature=TEMPERATURE,
        min_p=MIN_P,
        max_new_tokens=TOKENS,
        repeats=REPEATS,
    )

    def ours_once(seed: int) -> float:
        placed = PlacedWeights("tuned", seed, 1, "adapter", adapters[0])
        with engine.using(placed):
            began = time.perf_counter()
            generate(
                engine,
                prompts,
                decoding,
                Stream(1, "tuned", seed, 1, "t07"),
                batch_size=512,
                on_batch=lambda count: None,
            )
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
    found = {
        "floor": min(theirs[best]) * cells,
        "batch": best,
        "ours": min(mine) * ADAPTERS,
    }
    print(json.dumps(found))


def profile(folder: Path) -> None:
    """Print where the time of `safebench run` goes, step by step, in the order of a run."""
    began = last = time.perf_counter()

    def told(what: str) -> None:
        nonlocal last
        now = time.perf_counter()
        print(f"  {now - last:6.2f} s  {what}")
        last = now

    from safebench.cli.executing import load_sound_card

    card = load_sound_card(folder / "plan-5.yaml")
    told("import the command line, read and check the card")
    importlib.import_module("torch")
    told("import torch")
    importlib.import_module("transformers")
    importlib.import_module("lm_eval.models.huggingface")
    importlib.import_module("lm_eval.tasks")
    told("import transformers, lm-eval, datasets")
    from safebench.evidence.submission import Submission
    from safebench.progress import Silent
    from safebench.study.engines import Settings
    from safebench.study.execute import execute
    from safebench.study.plan import make_plan

    told("import the rest of safebench")
    plan = make_plan(Submission(card, folder), folder / "profiled")
    told("plan: transformers imports the architecture; tokenizer, prompts, digests")
    importlib.import_module("peft")
    told("import peft, which imports bitsandbytes where it is installed")
    execute(plan, folder / "profiled", Settings(batch_size=512), Silent())
    events = [json.loads(line) for line in (folder / "profiled/journal.jsonl").open()]
    cells = sum(event["seconds"] for event in events if event["event"] == "block")
    told(f"run: {cells:.2f} s of it generating 30 cells; loading, judging, numbers, files")
    print(f"  {time.perf_counter() - began:6.2f} s  in all")


if __name__ == "__main__":
    {"loop": loop, "floor": floor, "profile": profile}[sys.argv[1]](Path(sys.argv[2]))
