"""Seeded sampling: the published vectors, the exact distribution, independence of streams."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest
import torch
from scipy import stats

from safebench.models.sampling import Sampling, Stream, choose, gumbel_noise

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
        found = gumbel_noise(key, int(step), torch.arange(3)).tolist()
        assert found == pytest.approx([float(v) for v in values], abs=1e-9)


@pytest.mark.parametrize("key", [0, 1, -1, 2**63 - 1, -(2**63), 6984082610138446218])
def test_tensor_arithmetic_equals_plain_integers(key: int) -> None:
    found = gumbel_noise(torch.tensor([key]), 7, torch.arange(5)).tolist()
    assert found == pytest.approx([noise(key & MASK, 7, v) for v in range(5)], rel=1e-12)


def draws(count: int, logits: torch.Tensor, **settings: float) -> torch.Tensor:
    keys = torch.randint(-(2**63), 2**63 - 1, (count,), generator=torch.Generator().manual_seed(0))
    return choose(logits.expand(count, -1), keys, 5, Sampling(**settings))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "settings",
    [
        {"temperature": 1.0},
        {"temperature": 0.7, "min_p": 0.1},
        {"temperature": 1.3, "top_k": 7},
        {"temperature": 0.9, "top_p": 0.8},
    ],
)
def test_the_distribution_is_the_filtered_softmax(settings: dict[str, float]) -> None:
    count = 100_000
    logits = torch.randn(40, generator=torch.Generator().manual_seed(1)).double()
    probability = torch.softmax(logits / settings["temperature"], 0)
    keep = torch.ones(40, dtype=torch.bool)
    if "min_p" in settings:
        keep = probability >= settings["min_p"] * probability.max()
    if "top_k" in settings:
        keep = probability >= probability.topk(int(settings["top_k"])).values[-1]
    if "top_p" in settings:
        ranked, order = probability.sort(descending=True)
        inside = ranked.cumsum(0) - ranked < settings["top_p"]
        keep = torch.zeros_like(keep).scatter(0, order, inside)
    expected = torch.where(keep, probability, 0.0)
    expected = expected / expected.sum() * count
    observed = torch.bincount(draws(count, logits, **settings), minlength=40)
    assert observed[~keep].sum() == 0
    if keep.sum() > 1:
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
    noises = [gumbel_noise(k[:, None], 0, torch.arange(100)) for k in keys]
    flat = [n.flatten() for n in noises]
    assert abs(torch.corrcoef(torch.stack(flat))[0, 1]) < 4 / math.sqrt(flat[0].numel())
