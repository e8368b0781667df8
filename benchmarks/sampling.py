"""How fast responses are made, and whether they are the same in any batch.

    python benchmarks/sampling.py [--small] [--rounds N] [--same PROMPTS] [--real PROMPTS]

Time: 100 prompts of safebench_harm, 5 repeats, the embedded model loaded. The floor is
`model.generate` with sampling on the same tokenized prompts, sorted by length, at the batch size of
the list at which it is fastest; ours does all that a run does, from texts to texts, at each batch
size. Rounds take turns, the minimum of each counts: wall time, and processor time, which neighbours
disturb less. The bound is 1.25 times the floor.
The same on a real vocabulary, of 49,152 tokens, where `make real` has brought the model.
Sameness: every response at batch sizes 1, 7 and 64, shuffled but for the first, and with a third of
the requests left out, against batch size 64 by length. For each response that differs: the first
differing token, and the gap between the two largest noisy scores there.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from timing import machine

from safebench.models.loading import load_base, load_tokenizer, locate
from safebench.models.quiet import preserved_random_state
from safebench.models.sampling import Sampling, Stream, filtered, gumbel_noise, sequences
from safebench.models.transformers_engine import SafebenchLM
from safebench.resources import tasks_dir

BOUND = 1.25
SIZES, REAL_SIZES = (64, 500), (16, 60)
REPEATS = 5
REAL = Path(__file__).parents[1] / "build" / "smollm2-135m"
"""Where tools/real_model.py puts it."""
STREAM = Stream(1, "base", None, None, "bench")
CASES: dict[str, tuple[dict[str, Any], tuple[int, ...]]] = {
    "T = 0.7, min-p 0.1": ({"temperature": 0.7, "min_p": 0.1}, (32, 72)),
    "T = 1, no filter": ({"temperature": 1.0}, (32, 72)),
}
REAL_CASES = {name: (how, (32,)) for name, (how, _) in CASES.items()}


def main() -> int:
    """Measure, print, and return 1 if a bound is broken."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--small", action="store_true", help="tiny sizes: does it still run?")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of timing")
    parser.add_argument("--real", type=int, default=12, help="prompts for the real model; 0: none")
    parser.add_argument("--same", type=int, default=100, help="prompts compared between batches")
    arguments = parser.parse_args()
    small = arguments.small
    prompts, rounds, same = (6, 1, 6) if small else (100, arguments.rounds, arguments.same)
    print(f"{machine('torch', 'transformers')}; {torch.get_num_threads()} threads")
    broken = _times(Bench("float32", prompts), SIZES, CASES, rounds)
    if REAL.is_dir() and arguments.real and not small:
        bench = Bench("float32", arguments.real, str(REAL))
        broken += _times(bench, REAL_SIZES, REAL_CASES, rounds)
    broken += _sameness(same)
    if small:
        return 0  # a few prompts are all overhead
    print("\nwithin the bounds" if not broken else f"\nOVER THE BOUND: {', '.join(broken)}")
    return 1 if broken else 0


class Bench:
    """A model with prompts of the harm task."""

    def __init__(self, dtype: str, prompts: int, model: str = "builtin:tiny-chat") -> None:
        located = locate(model, None, tasks_dir())
        self.name = model.rpartition("/")[2]
        self.model = load_base(located, dtype, "cpu")
        self.tokenizer = load_tokenizer(located)
        lines = (tasks_dir() / "safebench_harm" / "harm.jsonl").read_text().splitlines()
        self.documents = [json.loads(line) for line in lines][:prompts]
        self.contexts = [
            self.tokenizer.apply_chat_template(
                [{"role": "user", "content": document["prompt"]}],
                tokenize=False,
                add_generation_prompt=True,
            )
            for document in self.documents
        ]

    def lm(self, size: int) -> SafebenchLM:
        """Return a model under our loop, with the noise stream of a base model."""
        lm = SafebenchLM(self.model, self.tokenizer, size)
        lm.stream = STREAM
        return lm

    def requests(self, how: dict[str, Any], new_tokens: int) -> list[Any]:
        """Return what lm-eval would ask: every prompt REPEATS times."""
        settings = {"do_sample": True, "max_gen_toks": new_tokens, "until": [], **how}
        return [
            SimpleNamespace(args=(context, settings), doc=document, task_name="safebench_harm")
            for context, document in zip(self.contexts, self.documents, strict=True)
            for _ in range(REPEATS)
        ]

    def floor(self, how: dict[str, Any], new_tokens: int, size: int) -> Callable[[], None]:
        """Return a call of transformers' generate on the same prompts, tokenized beforehand."""
        pad = self.tokenizer.pad_token_id
        encoded = self.tokenizer(self.contexts, add_special_tokens=False)["input_ids"]
        rows = sorted((tokens for tokens in encoded for _ in range(REPEATS)), key=len)
        batches = []
        for start in range(0, len(rows), size):
            part = rows[start : start + size]
            width = max(map(len, part))
            ids = torch.tensor([[pad] * (width - len(row)) + row for row in part])
            mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in part])
            batches.append((ids, mask))

        def run() -> None:
            with torch.inference_mode(), preserved_random_state():
                for ids, mask in batches:
                    self.model.generate(
                        input_ids=ids,
                        attention_mask=mask,
                        max_new_tokens=new_tokens,
                        do_sample=True,
                        top_k=0,
                        pad_token_id=pad,
                        **how,
                    )

        return run


def _times(
    bench: Bench,
    sizes: tuple[int, ...],
    cases: dict[str, tuple[dict[str, Any], tuple[int, ...]]],
    rounds: int,
) -> list[str]:
    over, prompts = [], len(bench.documents)
    print(
        f"\n{bench.name}, {bench.model.config.vocab_size} tokens: {prompts} prompts x {REPEATS} "
        "repeats, float32; seconds: wall (processor)"
    )
    sizes = tuple(size for size in sizes if size <= prompts * REPEATS) or (prompts,)
    for name, (how, lengths) in cases.items():
        for new_tokens in lengths:
            calls: dict[tuple[str, int], Callable[[], Any]] = {}
            for size in sizes:
                lm, asked = bench.lm(size), bench.requests(how, new_tokens)
                calls["floor", size] = bench.floor(how, new_tokens, size)
                calls["ours", size] = lambda lm=lm, asked=asked: lm.generate_until(asked)
            best = _least(calls, rounds)
            print(f"\n{name}, {new_tokens} new tokens", flush=True)
            for (who, size), (wall, processor) in best.items():
                print(f"  {who:5} batch {size:3}: {wall:6.2f} ({processor:.2f})")
            (floor, floor_cpu), (ours, ours_cpu) = (
                np.min([took for (who, _), took in best.items() if who == side], axis=0)
                for side in ("floor", "ours")
            )
            ratio = ours / floor
            print(f"  ours / floor, each at its best: {ratio:.2f} ({ours_cpu / floor_cpu:.2f})")
            if ratio > BOUND:
                over.append(f"{bench.name}, {name}, {new_tokens} new tokens: {ratio:.2f}")
    return over


def _least(
    calls: dict[tuple[str, int], Callable[[], Any]], rounds: int
) -> dict[tuple[str, int], tuple[float, float]]:
    """Return the least wall and processor time of each call, rounds taking turns."""
    best = dict.fromkeys(calls, (float("inf"), float("inf")))
    for _ in range(rounds):
        for name, call in calls.items():
            wall, processor = time.perf_counter(), time.process_time()
            call()
            took = (time.perf_counter() - wall, time.process_time() - processor)
            best[name] = (min(best[name][0], took[0]), min(best[name][1], took[1]))
    return best


def _sameness(prompts: int) -> list[str]:
    broken = []
    how, new_tokens = {"temperature": 2.0}, 40  # hot: texts that differ, many near-ties
    for dtype, share in (("float64", 1.0), ("float32", 0.995)):
        bench = Bench(dtype, prompts)
        asked = bench.requests(how, new_tokens)
        expected = bench.lm(64).generate_until(asked)
        print(
            f"\nsame text as in batches of 64 by length, {dtype}, T = 2, {new_tokens} new tokens, "
            f"{len(set(expected))} texts in {len(asked)} responses"
        )
        kept = [i for i in range(len(asked)) if (i // REPEATS) % 3]
        for name, size, shuffled, chosen in (
            ("batch 1", 1, None, range(len(asked))),
            ("batch 7, shuffled", 7, 1, range(len(asked))),
            ("batch 64, shuffled", 64, 2, range(len(asked))),
            ("batch 64, a third left out", 64, None, kept),
        ):
            lm = bench.lm(size)
            lm.shuffled = shuffled
            found = lm.generate_until([asked[i] for i in chosen])
            other = [
                (i, text) for i, text in zip(chosen, found, strict=True) if text != expected[i]
            ]
            same = 1 - len(other) / len(found)
            print(f"  {name:27} {len(found) - len(other)} of {len(found)} ({100 * same:.2f} %)")
            for i, text in other:
                print(f"    request {i}: {_flip(bench, asked, i, expected[i], text)}")
            if same < share:
                broken.append(f"{dtype}, {name}: {same:.4f} the same")
    return broken


def _flip(bench: Bench, asked: list[Any], number: int, one: str, other: str) -> str:
    """Say where two texts, encoded again, part, and how near the two best noisy scores are."""
    request = asked[number]
    encode = bench.tokenizer
    prompt = encode(request.args[0], add_special_tokens=False)["input_ids"]
    first, second = (encode(text, add_special_tokens=False)["input_ids"] for text in (one, other))
    step = next(
        (t for t, (a, b) in enumerate(zip(first, second, strict=False)) if a != b),
        min(len(first), len(second)),
    )
    with torch.inference_mode():
        logits = bench.model(torch.tensor([prompt + first[:step]])).logits[:, -1].float()
    key = STREAM.keys([r for r in asked[: number + 1] if r.doc is request.doc])[-1]
    sampling = Sampling.of(request.args[1])
    scores = filtered(logits, sampling).double()
    noisy = scores + gumbel_noise(
        *sequences(torch.tensor([[key]]), step), torch.arange(scores.shape[1])
    )
    best = noisy.topk(2).values[0]
    return f"token {step}, gap {(best[0] - best[1]).item():.2e}"


if __name__ == "__main__":
    raise SystemExit(main())
