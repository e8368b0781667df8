"""Seeded sampling: the published vectors, the exact distribution, independence of streams."""

from __future__ import annotations

import itertools
import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from transformers import (
    LogitsProcessorList,
    MinPLogitsWarper,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from safebench.models.sampling import (
    NONE,
    AmongAll,
    Sampling,
    Stream,
    _by_parts,
    _whole,
    choose,
    filtered,
    gumbel_noise,
    penalised,
    sequences,
)

SPEC = Path(__file__).resolve().parents[2] / "spec" / "v1" / "sampling.md"
KEY = ("safebench_harm", "harm-001", 1)
MASK = 2**64 - 1


def mix(x: int) -> int:
    """The specification in plain integers."""
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
    return x ^ (x >> 31)


def noise(key: int, step: int, token: int) -> float:
    s = mix((key + (step + 1) * 0x9E3779B97F4A7C15) & MASK)
    g = mix(s ^ 0x5851F42D4C957F2D) | 1
    z = mix((s + (token + 1) * g) & MASK)
    return -math.log(-math.log(((z >> 11) + 0.5) / 2**53))


def test_keys_are_those_of_the_specification() -> None:
    text = SPEC.read_text()
    keys = [int(k) for k in re.findall(r"^\| `\[.*\]` \| (-?\d+) \|$", text, re.M)]
    assert keys == [
        Stream(1, "base", None, None, "t07").key(*KEY),
        Stream(1, "tuned", 2, 1, "t07").key(*KEY),
    ]


def test_noise_is_that_of_the_specification() -> None:
    rows = re.findall(r"^\| (\d) \| (\S+) \| (\S+) \| (\S+) \|$", SPEC.read_text(), re.M)
    key = torch.tensor([Stream(1, "base", None, None, "t07").key(*KEY)])
    assert len(rows) == 2
    for step, *values in rows:
        found = gumbel_noise(*sequences(key, int(step)), torch.arange(3)).tolist()
        assert found == pytest.approx([float(v) for v in values], abs=1e-9)


@pytest.mark.parametrize("key", [0, 1, -1, 2**63 - 1, -(2**63), 6984082610138446218])
def test_tensor_arithmetic_equals_plain_integers(key: int) -> None:
    found = gumbel_noise(*sequences(torch.tensor([key]), 7), torch.arange(5)).tolist()
    assert found == pytest.approx([noise(key & MASK, 7, v) for v in range(5)], rel=1e-12)


def softmax(x: np.ndarray) -> np.ndarray:
    shares = np.exp(x - x.max(), dtype=np.float32)
    return (shares / shares.sum(dtype=np.float32)).astype(np.float32)


def by_the_page(logits: list[float], key: int, step: int, how: dict[str, Any]) -> int:
    """The page's steps, in numpy alone."""
    x = np.array(logits, dtype=np.float32)
    f32, gone = np.float32, np.float32(-np.inf)
    r = f32(how.get("repetition_penalty", 1.0))
    for v in how.get("seen", []):
        x[v] = x[v] * r if x[v] < 0 else x[v] / r
    if "temperature" not in how:
        return int(x.argmax())
    x = x / f32(how["temperature"])
    if "top_k" in how:
        x[x < np.sort(x)[-min(how["top_k"], len(x))]] = gone
    if "top_p" in how:
        order = np.argsort(x, kind="stable")
        sums = softmax(x[order]).cumsum(dtype=np.float64).astype(f32)
        x[order[:-1][sums[:-1] <= f32(1 - how["top_p"])]] = gone
    if "min_p" in how:
        shares = softmax(x)
        x[shares < f32(how["min_p"]) * shares.max()] = gone
    noisy = [float(value) + noise(key & MASK, step, v) for v, value in enumerate(x)]
    return int(np.argmax(noisy))


def by_us(logits: list[float], key: int, step: int, how: dict[str, Any]) -> int:
    rows = torch.tensor([logits])
    seen = torch.zeros(rows.shape, dtype=torch.bool)
    seen[0, how.get("seen", [])] = True
    rows = penalised(rows, seen, how.get("repetition_penalty", 1.0))
    sampling = Sampling.of({"do_sample": "temperature" in how, **how})
    return int(choose(rows, torch.tensor([key]), step, sampling))


def test_tokens_are_those_of_the_specification() -> None:
    rows = re.findall(r"^\| (\d+) \| `(\[.*\])` \| `(\{.*\})` \| (\d+) \|$", SPEC.read_text(), re.M)
    assert len(rows) >= 6
    key = Stream(1, "base", None, None, "t07").key(*KEY)
    for step, logits, how, token in rows:
        case = (json.loads(logits), key, int(step), json.loads(how))
        assert by_the_page(*case) == by_us(*case) == int(token), (logits, how)


@pytest.mark.parametrize("values", ["spread", "ties"])
def test_the_page_and_we_choose_alike(values: str) -> None:
    rng = np.random.default_rng(5)
    settings: list[dict[str, Any]] = [
        {},
        {"temperature": 1.0},
        {"temperature": 0.5, "top_k": 3},
        {"temperature": 1.5, "top_p": 0.6},
        {"temperature": 1.0, "min_p": 0.2},
        {"temperature": 0.8, "top_k": 6, "top_p": 0.9, "min_p": 0.05},
        {"temperature": 1.1, "repetition_penalty": 1.4, "seen": [0, 2, 5]},
    ]
    tokens = []
    for how in settings:
        for step in range(40):
            logits = rng.normal(0, 2, 12)
            if values == "ties":
                logits = logits.round()
            key = int(rng.integers(-(2**63), 2**63))
            case = (logits.astype(np.float32).tolist(), key, step, how)
            assert by_us(*case) == by_the_page(*case), case
            tokens.append(by_us(*case))
    assert len(set(tokens)) == 12


@pytest.mark.parametrize("spread", [0.3, 3.0, 12.0])
@pytest.mark.parametrize("size", [5, 1_000])
def test_sparing_noise_changes_no_token(spread: float, size: int) -> None:
    generator = torch.Generator().manual_seed(2)
    logits = torch.randn(300, size, generator=generator) * spread
    logits[::7, 1:] = -torch.inf
    keys = torch.randint(-(2**63), 2**63 - 1, (300,), generator=generator)
    steps = torch.randint(0, 500, (300,), generator=generator)
    noise = gumbel_noise(*sequences(keys[:, None], steps[:, None]), torch.arange(size))
    dense = (logits.double() + noise).argmax(dim=1)
    assert torch.equal(choose(logits, keys, steps, Sampling(temperature=1.0)), dense)
    s, g = (x.unsqueeze(1) for x in sequences(keys, steps))
    for at_once in (1, 700, 10**9):  # as on an accelerator: some tokens at a time
        if size < 10 or at_once > 1:
            few = slice(0, 20) if at_once == 700 else slice(None)
            parts = _by_parts(logits[few], s[few], g[few], at_once)
            assert torch.equal(parts, dense[few])
    assert torch.equal(_whole(logits, s, g), dense)


@pytest.mark.parametrize("problem", [None, RuntimeError("no compiler"), ImportError("triton")])
def test_without_a_compiler_the_tokens_are_the_same(
    monkeypatch: pytest.MonkeyPatch, problem: Exception | None
) -> None:
    compiled = []

    def compile(function: Any, *, dynamic: bool) -> Any:
        def call(*given: torch.Tensor) -> torch.Tensor:
            if problem is not None:
                raise problem
            return function(*given)

        compiled.append(dynamic)
        return call

    monkeypatch.setattr(torch, "compile", compile)
    logits = torch.randn(5, 700, generator=torch.Generator().manual_seed(6))
    logits[1] = -math.inf
    logits[1, [3, 9]] = 0.0
    s, g = (x.unsqueeze(1) for x in sequences(torch.arange(5), 2))
    draw = AmongAll()
    assert torch.equal(draw(logits, s, g), _by_parts(logits, s, g))
    assert torch.equal(draw(logits[:2], s[:2], g[:2]), _by_parts(logits, s, g)[:2])
    assert (compiled, draw.can_compile) == ([True], problem is None)


def test_lack_of_memory_is_no_lack_of_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    def compile(function: Any, *, dynamic: bool) -> Any:
        def call(*_: torch.Tensor) -> torch.Tensor:
            raise torch.OutOfMemoryError("CUDA out of memory")

        return call

    monkeypatch.setattr(torch, "compile", compile)
    draw = AmongAll()
    with pytest.raises(torch.OutOfMemoryError):
        draw(*[torch.ones(1, 1)] * 3)
    assert draw.can_compile


def test_filters_keep_what_those_of_transformers_keep() -> None:
    logits = torch.randn(200, 500, generator=torch.Generator().manual_seed(3)) * 3
    logits[100:] = logits[100:].round()  # many equals
    for t, k, p, m in itertools.product(
        (1.0, 0.7), (None, 1, 40, 900), (None, 0.3, 0.95), (None, 0.1, 1.0)
    ):
        theirs = LogitsProcessorList()
        if t != 1.0:
            theirs.append(TemperatureLogitsWarper(t))
        if k is not None:
            theirs.append(TopKLogitsWarper(k))
        if p is not None:
            theirs.append(TopPLogitsWarper(p))
        if m is not None:
            theirs.append(MinPLogitsWarper(m))
        expected = theirs(torch.zeros(200, 1, dtype=torch.long), logits.clone())
        settings = {"temperature": t, "top_k": k, "top_p": p, "min_p": m}
        ours = filtered(logits, Sampling.of({"do_sample": True, **settings}))
        if p is not None:  # which of equals top-p removes is open there, the lowest ids here
            assert torch.equal(ours[:100], expected[:100])
            ours, expected = ours.sort(dim=1).values, expected.sort(dim=1).values
        assert torch.equal(ours, expected)


def test_the_penalty_is_that_of_transformers() -> None:
    logits = torch.randn(20, 50, generator=torch.Generator().manual_seed(4))
    said = torch.randint(0, 50, (20, 9), generator=torch.Generator().manual_seed(5))
    seen = torch.zeros(20, 50, dtype=torch.bool).scatter_(1, said, True)
    theirs = RepetitionPenaltyLogitsProcessor(1.3)(said, logits.clone())
    assert torch.equal(penalised(logits, seen, 1.3), theirs)
    assert not torch.equal(theirs, logits)


@pytest.mark.parametrize("how", [Sampling(), Sampling(1.0), Sampling(1.0, (("min_p", 0.1),))])
def test_rows_without_numbers_have_no_token(how: Sampling) -> None:
    logits = torch.zeros(4, 6)
    logits[1, 2] = torch.nan
    logits[2, 3] = torch.inf
    logits[3] = -torch.inf
    tokens = choose(logits, torch.arange(4), 0, how).tolist()
    assert tokens[0] >= 0
    assert tokens[1:] == [NONE] * 3


def draws(count: int, logits: torch.Tensor, **settings: Any) -> torch.Tensor:
    keys = torch.randint(-(2**63), 2**63 - 1, (count,), generator=torch.Generator().manual_seed(0))
    return choose(logits.expand(count, -1), keys, 5, Sampling.of({"do_sample": True, **settings}))


@pytest.mark.parametrize(
    "settings",
    [
        {"temperature": 1.0},
        {"temperature": 0.6},
        {"temperature": 1.0, "min_p": 0.1},
        {"temperature": 0.7, "min_p": 0.1},
        {"temperature": 1.3, "top_k": 7},
        {"temperature": 0.9, "top_p": 0.8},
        {"temperature": 1.4, "top_k": 25, "top_p": 0.9, "min_p": 0.04},
    ],
)
def test_the_distribution_is_the_filtered_softmax(settings: dict[str, float]) -> None:
    count = 100_000
    logits = torch.randn(40, generator=torch.Generator().manual_seed(1))
    probability = torch.softmax(logits.double() / settings["temperature"], 0)
    if "top_k" in settings:
        worst = probability.topk(int(settings["top_k"])).values[-1]
        probability = torch.where(probability >= worst, probability, 0.0)
        probability = probability / probability.sum()
    if "top_p" in settings:
        ranked, order = probability.sort(descending=True)
        inside = ranked.cumsum(0) - ranked < settings["top_p"]
        probability = torch.zeros_like(ranked).scatter(0, order, ranked * inside)
        probability = probability / probability.sum()
    if "min_p" in settings:
        likely = probability >= settings["min_p"] * probability.max()
        probability = torch.where(likely, probability, 0.0)
    expected = probability / probability.sum() * count
    observed = torch.bincount(draws(count, logits, **settings), minlength=40)
    keep = expected > 0
    assert keep.sum() > 3
    assert len(settings) == 1 or keep.sum() < 40
    assert observed[~keep].sum() == 0
    test = stats.chisquare(observed[keep].numpy(), expected[keep].numpy())
    assert test.pvalue > 1e-4


def test_every_part_of_the_key_changes_the_noise() -> None:
    first = Stream(1, "tuned", 5, 1, "t07")
    others = [
        Stream(2, "tuned", 5, 1, "t07"),
        Stream(1, "control", 5, 1, "t07"),
        Stream(1, "tuned", 6, 1, "t07"),
        Stream(1, "tuned", 5, 2, "t07"),
        Stream(1, "tuned", 5, 1, "t10"),
    ]
    keys = [first.key(*KEY), *(other.key(*KEY) for other in others)]
    keys += [first.key("t", "harm-001", 1), first.key("safebench_harm", "harm-002", 1)]
    keys += [first.key("safebench_harm", "harm-001", 2)]
    assert len(set(keys)) == len(keys)


def test_two_training_seeds_share_no_noise() -> None:
    prompts = [f"p{i}" for i in range(400)]
    keys = [
        torch.tensor([Stream(1, "tuned", seed, 1, "t").key("harm", p, 1) for p in prompts])
        for seed in (11, 12)
    ]
    for step in (0, 1, 30):
        noises = [gumbel_noise(*sequences(k[:, None], step), torch.arange(100)) for k in keys]
        flat = [n.flatten() for n in noises]
        assert abs(torch.corrcoef(torch.stack(flat))[0, 1]) < 4 / math.sqrt(flat[0].numel())


def test_the_responses_of_a_whole_grid_all_have_keys_of_their_own() -> None:
    keys = [
        Stream(7, condition, seed, checkpoint, decoding).key(task, prompt, repeat)
        for condition, seed, checkpoint in [
            ("base", None, None),
            *itertools.product(("tuned", "control"), (1, 2, 3), (1, 2)),
        ]
        for decoding, task, prompt, repeat in itertools.product(
            ("t07", "t10"), ("a", "b"), map(str, range(25)), (1, 2)
        )
    ]
    assert len(keys) == 13 * 200
    assert len(set(keys)) == len(keys)
