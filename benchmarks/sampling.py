"""How fast responses are made, and whether they are the same in any batch.

    python benchmarks/sampling.py [--small] [--rounds N] [--same PROMPTS] [--real PROMPTS]
                                  [--lengths STRONGREJECT.csv] [--device cuda]

Time: 100 prompts of safebench_harm, 5 repeats, the embedded model loaded. The floor is
`model.generate` with sampling on the same tokenized prompts, sorted by length, at the batch size of
the list at which it is fastest; ours does all that a run does, from texts to texts, at each batch
size. Rounds take turns, the minimum of each counts: wall time, and processor time, which neighbours
disturb less. The bound is 1.25 times the floor.
The same on a real vocabulary, of 49,152 tokens, where `make real` has brought the model.
Lengths: 48 of StrongREJECT's 313 prompts, in that model's template, 32 new tokens each, in one
batch: `generate` padded on the left, lm-eval's HFLM, and ours, in a process each. Processor time,
peak memory, and how many greedy texts are those of `generate`. On a GPU (--device cuda) one after
the other in this process, the least wall time of two, and the peak of what torch allocated.
Sameness: every response at batch sizes 1, 7 and 64, shuffled but for the first, and with a third of
the requests left out, against batch size 64 by length. For each response that differs: the first
differing token, and the gap between the two largest noisy scores there.
"""

from __future__ import annotations

import argparse
import csv
import json
import multiprocessing
import random
import resource
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
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
LENGTHS: dict[str, tuple[dict[str, Any], int, float]] = {
    "greedy": ({"do_sample": False}, 1, 0.95),
    "T = 1": ({"do_sample": True, "temperature": 1.0}, 1, 0.95),
    "T = 1, 4 repeats": ({"do_sample": True, "temperature": 1.0}, 4, 0.45),
}
"""Settings, repeats, and the most of `generate`'s processor time."""
MEMORY = 1.1
"""The most of `generate`'s peak memory."""
REAL_CASES = {name: (how, (32,)) for name, (how, _) in CASES.items()}


def main() -> int:
    """Measure, print, and return 1 if a bound is broken."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--small", action="store_true", help="tiny sizes: does it still run?")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of timing")
    parser.add_argument("--real", type=int, default=12, help="prompts for the real model; 0: none")
    parser.add_argument("--same", type=int, default=100, help="prompts compared between batches")
    parser.add_argument("--lengths", type=Path, help="StrongREJECT's CSV file; measures that alone")
    parser.add_argument("--device", default="cpu", help="of torch")
    parser.add_argument("--new-tokens", type=int, default=32, help="of --lengths")
    parser.add_argument("--prompts", type=int, default=48, help="of --lengths")
    parser.add_argument("--dtype", default="float32", help="of --lengths")
    arguments = parser.parse_args()
    small = arguments.small
    prompts, rounds, same = (6, 1, 6) if small else (100, arguments.rounds, arguments.same)
    print(f"{machine('torch', 'transformers')}; {torch.get_num_threads()} threads")
    if arguments.lengths:
        bench = Bench(arguments.dtype, 0, str(REAL), arguments.device)
        broken = _lengths(bench, arguments.lengths, arguments.prompts, arguments.new_tokens)
        print("\nwithin the bounds" if not broken else f"\nOVER THE BOUND: {', '.join(broken)}")
        return 1 if broken else 0
    device = arguments.device
    broken = _times(Bench("float32", prompts, device=device), SIZES, CASES, rounds)
    if REAL.is_dir() and arguments.real and not small:
        bench = Bench("float32", arguments.real, str(REAL), device)
        broken += _times(bench, REAL_SIZES, REAL_CASES, rounds)
    broken += _sameness(same, device)
    if small:
        return 0  # a few prompts are all overhead
    print("\nwithin the bounds" if not broken else f"\nOVER THE BOUND: {', '.join(broken)}")
    return 1 if broken else 0


class Bench:
    """A model with prompts of the harm task."""

    def __init__(
        self, dtype: str, prompts: int, model: str = "builtin:tiny-chat", device: str = "cpu"
    ) -> None:
        located = locate(model, None, tasks_dir())
        self.name = model.rpartition("/")[2]
        self.model, self.dtype = load_base(located, dtype, device), dtype
        self.tokenizer = load_tokenizer(located)
        lines = (tasks_dir() / "safebench_harm" / "harm.jsonl").read_text().splitlines()
        self.ask([json.loads(line) for line in lines[:prompts]])

    def ask(self, documents: list[dict[str, Any]]) -> None:
        """Take these prompts."""
        self.documents = [{"prompt_id": str(i), **doc} for i, doc in enumerate(documents)]
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

    def encoded(self) -> list[list[int]]:
        """Return the prompts as tokens."""
        return list(self.tokenizer(self.contexts, add_special_tokens=False)["input_ids"])

    def requests(self, how: dict[str, Any], new_tokens: int, repeats: int = REPEATS) -> list[Any]:
        """Return what lm-eval would ask: every prompt some times."""
        settings = {"do_sample": True, "max_gen_toks": new_tokens, "until": [], **how}
        return [
            SimpleNamespace(args=(context, settings), doc=document, task_name="safebench_harm")
            for context, document in zip(self.contexts, self.documents, strict=True)
            for _ in range(repeats)
        ]

    def floor(self, how: dict[str, Any], new_tokens: int, size: int) -> Callable[[], None]:
        """Return a call of transformers' generate on the same prompts, tokenized beforehand."""
        pad = self.tokenizer.pad_token_id
        rows = sorted((tokens for tokens in self.encoded() for _ in range(REPEATS)), key=len)
        batches = []
        for start in range(0, len(rows), size):
            part = rows[start : start + size]
            width = max(map(len, part))
            ids = torch.tensor([[pad] * (width - len(row)) + row for row in part])
            mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in part])
            batches.append((ids.to(self.model.device), mask.to(self.model.device)))

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


def _lengths(bench: Bench, file: Path, count: int, new_tokens: int) -> list[str]:
    """Measure prompts of different lengths; return which bounds are broken."""
    with file.open(newline="") as lines:
        prompts = [row["forbidden_prompt"] for row in csv.DictReader(lines)]
    bench.ask([{"prompt": text} for text in random.Random(0).sample(prompts, count)])  # noqa: S311
    widths = sorted(map(len, bench.encoded()))
    print(
        f"\n{bench.name}: {count} prompts of {widths[0]} to {widths[-1]} tokens, {new_tokens} new "
        f"ones, {bench.dtype}"
    )
    on_cpu = bench.model.device.type == "cpu"
    kind = "processor" if on_cpu else "wall"
    broken = []
    for name, (how, repeats, bound) in LENGTHS.items():
        settings = {"max_gen_toks": new_tokens, "until": [], **how}
        took = {
            who: (_alone if on_cpu else _on_gpu)(call, bench, settings, repeats)
            for who, call in (("generate", _generate), ("HFLM", _by_lm_eval), ("ours", _ours))
        }
        print(f"\n{name}: {kind} seconds, of generate's; peak MiB, of generate's", flush=True)
        _, floor, least = took["generate"]
        for who, (_, seconds, memory) in took.items():
            ratios = seconds / floor, memory / least
            print(f"  {who:8} {seconds:6.1f} {ratios[0]:5.2f} {memory:6.0f} {ratios[1]:5.2f}")
        texts, _, _ = took["ours"]
        if ratios[0] > bound or ratios[1] > MEMORY:
            broken.append(name)
        if not how["do_sample"]:
            same = sum(a == b for a, b in zip(texts, took["generate"][0], strict=True))
            print(f"  {same} of {len(texts)} texts are those of generate")
    return broken


def _alone(call: Callable[..., list[str]], *given: Any) -> tuple[list[str], float, float]:
    """Return a call's texts, processor seconds and peak MiB, measured in a process of its own."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)

    def work() -> None:
        start, texts = time.process_time(), call(*given)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        theirs.send((texts, time.process_time() - start, peak))

    process = context.Process(target=work)
    process.start()
    got: tuple[list[str], float, float] = ours.recv()
    process.join()
    return got


def _on_gpu(call: Callable[..., list[str]], *given: Any) -> tuple[list[str], float, float]:
    """Return a call's texts, the least seconds of two, and peak MiB on the GPU, after a warm-up."""
    least = float("inf")
    for turn in range(3):
        torch.cuda.reset_peak_memory_stats()
        torch.cuda.synchronize()
        start, texts = time.perf_counter(), call(*given)
        torch.cuda.synchronize()
        least = min(least, time.perf_counter() - start) if turn else least
    return texts, least, torch.cuda.max_memory_allocated() / 2**20


def _generate(bench: Bench, settings: dict[str, Any], repeats: int) -> list[str]:
    rows = [tokens for tokens in bench.encoded() for _ in range(repeats)]
    pad, width = bench.tokenizer.pad_token_id, max(map(len, rows))
    how = {key: value for key, value in settings.items() if key in ("do_sample", "temperature")}
    with torch.inference_mode():
        output = bench.model.generate(
            input_ids=torch.tensor(
                [[pad] * (width - len(row)) + row for row in rows], device=bench.model.device
            ),
            attention_mask=torch.tensor(
                [[0] * (width - len(row)) + [1] * len(row) for row in rows],
                device=bench.model.device,
            ),
            max_new_tokens=settings["max_gen_toks"],
            pad_token_id=pad,
            **how,
            **({"top_k": 0} if how["do_sample"] else {}),
        )
    texts = bench.tokenizer.batch_decode(output[:, width:], skip_special_tokens=True)
    return [text.strip() for text in texts]


def _by_lm_eval(bench: Bench, settings: dict[str, Any], repeats: int) -> list[str]:
    lm = HFLM(
        pretrained=bench.model,
        tokenizer=bench.tokenizer,
        batch_size=len(bench.contexts) * repeats,
    )
    asked = [
        Instance("generate_until", document, (context, dict(settings)), 0)
        for context, document in zip(bench.contexts, bench.documents, strict=True)
        for _ in range(repeats)
    ]
    return list(lm.generate_until(asked, disable_tqdm=True))


def _ours(bench: Bench, settings: dict[str, Any], repeats: int) -> list[str]:
    return bench.lm(len(bench.contexts) * repeats).generate_until(
        bench.requests(settings, settings["max_gen_toks"], repeats)
    )


def _sameness(prompts: int, device: str) -> list[str]:
    broken = []
    how, new_tokens = {"temperature": 2.0}, 40  # hot: texts that differ, many near-ties
    for dtype, share in (("float64", 1.0), ("float32", 0.995)):
        bench = Bench(dtype, prompts, device=device)
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
        tokens = torch.tensor([prompt + first[:step]], device=bench.model.device)
        logits = bench.model(tokens).logits[:, -1].float().cpu()
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
