"""What the noise of sampled tokens costs on a GPU: `python benchmarks/noise.py`.

For rows x vocabulary, milliseconds and peak MiB of one step: the argmax alone, the noise of all
tokens stored at once, in parts (what is done where nothing compiles), and compiled into one
kernel (what is done). Whether the tokens are the same, and in how many of 2^20 words the noise
differs from that of a CPU, whose logarithm is another.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
from timing import machine

from safebench.models.sampling import AmongAll, _by_parts, _whole, gumbel_noise, sequences

SIZES = ((256, 128_256), (256, 49_152), (64, 151_936), (1, 128_256), (97, 49_153))


def main() -> int:
    """Measure, print, and return 1 if a token differs."""
    if not torch.cuda.is_available():
        raise SystemExit("there is no GPU")
    print(f"{machine('torch')}; {torch.cuda.get_device_name()}")
    generator = torch.Generator("cuda").manual_seed(0)
    compiled = AmongAll()
    same = True
    for rows, vocabulary in SIZES:
        scores = torch.randn(rows, vocabulary, device="cuda", generator=generator) * 4
        keys = torch.randint(-(2**63), 2**63 - 1, (rows,), device="cuda", generator=generator)
        given = (scores, *(x.unsqueeze(1) for x in sequences(keys, 5)))
        expected = _whole(*given)
        print(f"\n{rows} x {vocabulary}")
        ways: dict[str, Callable[..., Any]] = {
            "argmax": lambda scores, *_: scores.argmax(-1),
            "whole": _whole,
            "parts": _by_parts,
            "compiled": compiled,
        }
        for name, call in ways.items():
            start = time.perf_counter()
            agrees = bool((call(*given) == expected).all())
            first = time.perf_counter() - start
            same &= agrees or name == "argmax"
            took, peak = _measured(call, *given)
            late = f", the first after {first:.1f} s" if first > 1 else ""
            print(f"  {name:8} {took:7.3f} ms {peak:5.0f} MiB{late}")
    print(f"\n{_differing()} of {2**20} words have another noise than on a CPU")
    print("same tokens" if same and compiled.can_compile else "OTHER TOKENS, OR NOT COMPILED")
    return 0 if same and compiled.can_compile else 1


def _measured(call: Callable[..., Any], *given: Any) -> tuple[float, float]:
    """Return milliseconds a call, the mean of 20 after 3, and the MiB it takes."""
    for _ in range(3):
        call(*given)
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    event: Any = torch.cuda.Event
    start, end = event(enable_timing=True), event(enable_timing=True)
    start.record()
    for _ in range(20):
        call(*given)
    end.record()
    torch.cuda.synchronize()
    return start.elapsed_time(end) / 20, (torch.cuda.max_memory_allocated() - before) / 2**20


def _differing() -> int:
    keys = torch.randint(-(2**63), 2**63 - 1, (64,), generator=torch.Generator().manual_seed(1))
    given = (*(x.unsqueeze(1) for x in sequences(keys, 3)), torch.arange(2**14))
    there = gumbel_noise(*(x.cuda() for x in given))
    return int((there.cpu() != gumbel_noise(*given)).sum())


if __name__ == "__main__":
    raise SystemExit(main())
