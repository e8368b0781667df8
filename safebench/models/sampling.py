"""Sampling whose noise belongs to the response, not to the batch (spec/v1/sampling.md).

Every response has a 64-bit key. At step t (from 0) token v (from 0) gets the noise

    s = mix(key + (t + 1) * G),  g = mix(s xor C) | 1,  z = mix(s + (v + 1) * g)
    u = ((z >> 11) + 1/2) / 2**53,  noise = -log(-log u)

in wrapping 64-bit arithmetic with an unsigned shift; mix is SplitMix64's finaliser (Steele, Lea,
Flood 2014) and G its increment. The token is argmax(logits / T + noise) over the tokens that the
filters keep, which is an exact draw from the softmax (the Gumbel-max trick). No global generator
is touched, so a response is the same alone, in any batch, in any order and after a resume.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import Any

import rfc8785
import torch

from safebench.card.decoding import SAMPLING_FIELDS
from safebench.errors import ModelError

_G = 0x9E3779B97F4A7C15
_C = 0x5851F42D4C957F2D
_M1 = 0xBF58476D1CE4E5B9
_M2 = 0x94D049BB133111EB
_REMOVED = float("-inf")
_CHUNK = 1 << 16
"""Words that are drawn at once on a CPU: they fit its cache."""
_AT_ONCE = 1 << 22
"""Words that are drawn at once on an accelerator without a compiler: 32 MiB."""
NONE = -1
"""In place of a token: the row's logits have no largest finite number."""


@dataclass(frozen=True)
class Stream:
    """What the noise of a cell's responses depends on, beside task, prompt and repeat.

    The order of the fields is part of the scheme: see `key`.
    """

    generation_seed: int
    condition: str
    training_seed: int | None
    checkpoint: int | None
    decoding: str

    def key(self, task: str, prompt_id: str, repeat: int) -> int:
        """Return a response's key, a signed 64-bit integer.

        The first 8 bytes, big-endian, of the SHA-256 of the RFC 8785 form of the array of
        generation seed, condition, training seed, checkpoint, decoding, task, prompt id, repeat.
        """
        digest = hashlib.sha256(rfc8785.dumps([*astuple(self), task, prompt_id, repeat])).digest()
        return int.from_bytes(digest[:8], "big", signed=True)

    def keys(self, requests: Sequence[Any]) -> list[int]:
        """Return the keys of lm-eval requests; repeats of a prompt are counted in their order."""
        seen: Counter[tuple[str, str]] = Counter()
        keys = []
        for request in requests:
            place = (request.task_name, str(request.doc["prompt_id"]))
            seen[place] += 1
            keys.append(self.key(*place, seen[place]))
        return keys


def _signed(value: int) -> int:
    return value - 2**64 if value >= 2**63 else value


def _shift(x: torch.Tensor, bits: int) -> torch.Tensor:
    """Shift right without carrying the sign."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)


def _mix(x: torch.Tensor) -> torch.Tensor:
    x = (x ^ _shift(x, 30)) * _signed(_M1)
    x = (x ^ _shift(x, 27)) * _signed(_M2)
    return x ^ _shift(x, 31)


def sequences(keys: torch.Tensor, step: int | torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return s and g of a step, int64, for keys and steps that broadcast together."""
    if isinstance(step, int):
        advance: int | torch.Tensor = _signed((step + 1) * _G % 2**64)
    else:
        advance = (step + 1) * _signed(_G)
    s = _mix(keys + advance)
    return s, _mix(s ^ _C) | 1


def gumbel_noise(s: torch.Tensor, g: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    """Return the noise of token ids, float64; all three broadcast together."""
    uniform = (_shift(_mix(s + (tokens + 1) * g), 11).to(torch.float64) + 0.5) * 2.0**-53
    return -torch.log(-torch.log(uniform))


def _top_k(scores: torch.Tensor, k: float) -> torch.Tensor:
    worst = scores.topk(min(int(k), scores.shape[-1])).values[:, -1:]
    return scores.masked_fill(scores < worst, _REMOVED)


def _top_p(scores: torch.Tensor, p: float) -> torch.Tensor:
    ranked, order = scores.sort(dim=-1, stable=True)
    below = ranked.softmax(dim=-1).cumsum(dim=-1) <= 1 - p
    below[:, -1] = False
    return scores.masked_fill(below.scatter(1, order, below), _REMOVED)


def _min_p(scores: torch.Tensor, p: float) -> torch.Tensor:
    shares = scores.softmax(dim=-1)
    unlikely = shares < p * shares.amax(dim=-1, keepdim=True)
    return scores.masked_fill(unlikely, _REMOVED)


_Filter = Callable[[torch.Tensor, float], torch.Tensor]
FILTERS: dict[str, tuple[_Filter, float | None]] = {
    "top_k": (_top_k, None),
    "top_p": (_top_p, 1.0),
    "min_p": (_min_p, 0.0),
}
"""Filters by their field in the card, each with the value that removes nothing.

They are applied in this order, which is transformers', to what the one before has left: scores
(rows, vocabulary) already divided by the temperature, with -inf for tokens that were removed.
"""


@dataclass(frozen=True)
class Sampling:
    """How a token is chosen from logits."""

    temperature: float = 0.0
    """Divisor of the logits; 0 is greedy."""
    filters: tuple[tuple[str, float], ...] = ()
    """Filters that remove something, each with its value."""
    repetition_penalty: float = 1.0

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Sampling:
        """Read lm-eval's generation arguments.

        Raises:
            ModelError: a sampling setting of the card has no filter here.
        """
        penalty = float(settings.get("repetition_penalty", 1.0))
        if not settings["do_sample"]:
            return cls(repetition_penalty=penalty)
        for name in SAMPLING_FIELDS:
            if settings.get(name) is not None and name not in {"temperature", *FILTERS}:
                raise ModelError(
                    f"decoding.{name} is not applied by the backend hf",
                    fix="leave it out, or name a --backend that applies it",
                )
        filters = tuple(
            (name, settings[name])
            for name, (_, neutral) in FILTERS.items()
            if settings.get(name) not in (None, neutral)
        )
        return cls(float(settings["temperature"]), filters, penalty)


def not_finite() -> ModelError:
    """Return the error of logits that are not numbers: some token is `NONE`."""
    return ModelError(
        "the model's logits are not finite numbers",
        fix="look at its weights and dtype: float16 overflows where bfloat16 does not",
    )


def penalised(logits: torch.Tensor, seen: torch.Tensor, penalty: float) -> torch.Tensor:
    """Return logits (rows, vocabulary) with the tokens `seen` (same shape, bool) made less likely.

    Prompt and response count as seen, padding does not.
    """
    return torch.where(seen, torch.where(logits < 0, logits * penalty, logits / penalty), logits)


def filtered(logits: torch.Tensor, sampling: Sampling) -> torch.Tensor:
    """Return logits / T with -inf where a filter removed a token; float32, (rows, vocabulary)."""
    scores = logits if sampling.temperature == 1.0 else logits / sampling.temperature
    for name, value in sampling.filters:
        scores = FILTERS[name][0](scores, value)
    return scores


def choose(
    logits: torch.Tensor, keys: torch.Tensor, step: int | torch.Tensor, sampling: Sampling
) -> torch.Tensor:
    """Return the token of each row, shape (rows,), int64; NONE where the logits are not numbers.

    Args:
        logits: float32, shape (rows, vocabulary), the repetition penalty applied.
        keys: the rows' keys, int64, shape (rows,).
        step: how many new tokens came before: a number, or int64 of shape (rows,).
        sampling: temperature and filters.
    """
    usable = logits.amax(dim=-1).isfinite()
    if sampling.temperature == 0.0:
        token = logits.argmax(dim=-1)
    else:
        scores = filtered(logits, sampling)
        s, g = (x.unsqueeze(1) for x in sequences(keys, step))
        if logits.device.type == "cpu":
            token = _among_few(scores, s, g, sampling)
        else:  # asking an accelerator which tokens are left makes it wait for the host
            token = among_all(scores, s, g)
    return torch.where(usable, token, NONE)


def _among_few(
    scores: torch.Tensor, s: torch.Tensor, g: torch.Tensor, sampling: Sampling
) -> torch.Tensor:
    """Return each row's token, drawing noise only for the tokens that can win.

    `s` and `g` have shape (rows, 1).
    """
    left = scores > _REMOVED if sampling.filters else _in_reach(scores, s, g)
    rows, tokens = left.nonzero(as_tuple=True)
    sums = scores[rows, tokens].double() + gumbel_noise(s[rows, 0], g[rows, 0], tokens)
    best = sums.new_full((len(scores),), _REMOVED).scatter_reduce_(0, rows, sums, "amax")
    wins = sums == best[rows]
    lowest = tokens.new_full((len(scores),), scores.shape[1])
    return lowest.scatter_reduce_(0, rows[wins], tokens[wins], "amin")


def _whole(scores: torch.Tensor, s: torch.Tensor, g: torch.Tensor) -> torch.Tensor:
    """Return each row's token, drawing noise for all tokens; compiled into one kernel."""
    tokens = torch.arange(scores.shape[1], device=scores.device)
    return (gumbel_noise(s, g, tokens) + scores).argmax(dim=-1)


class AmongAll:
    """Draws noise for all tokens: in one kernel that stores none, or in parts without a compiler.

    Both give the same floats (benchmarks/noise.txt). Compiling takes seconds, once in a process.
    """

    def __init__(self) -> None:
        """Compile nothing yet."""
        self.compiled: Callable[..., torch.Tensor] | None = None
        self.can_compile = True

    def __call__(self, scores: torch.Tensor, s: torch.Tensor, g: torch.Tensor) -> torch.Tensor:
        """Return each row's token; `s` and `g` have shape (rows, 1)."""
        if self.can_compile:
            try:
                self.compiled = self.compiled or torch.compile(_whole, dynamic=True)
                return self.compiled(scores, s, g)
            except torch.OutOfMemoryError:
                raise
            except Exception:
                self.can_compile = False
        return _by_parts(scores, s, g)


among_all = AmongAll()


def _by_parts(
    scores: torch.Tensor, s: torch.Tensor, g: torch.Tensor, at_once: int = _AT_ONCE
) -> torch.Tensor:
    """Return each row's token, drawing noise for one part of the vocabulary after another.

    `at_once` bounds the float64 numbers of a part.
    """
    rows, vocabulary = scores.shape
    size = max(1, at_once // rows)
    best = scores.new_full((rows,), _REMOVED, dtype=torch.float64)
    token = torch.zeros(rows, dtype=torch.int64, device=scores.device)
    for start in range(0, vocabulary, size):
        tokens = torch.arange(start, min(start + size, vocabulary), device=scores.device)
        sums = gumbel_noise(s, g, tokens).add_(scores[:, start : start + size])
        largest, place = sums.max(dim=-1)  # the first among equals, as is the part that found it
        token = torch.where(largest > best, place + start, token)
        best = torch.maximum(best, largest)
    return token


def _in_reach(scores: torch.Tensor, s: torch.Tensor, g: torch.Tensor) -> torch.Tensor:
    """Return which tokens may win, bool, shape (rows, vocabulary): all that can, and few others.

    With L the sum of one likely token, v can win only if its noise is at least L - score, that is
    if 1 - u <= 1 - exp(-exp(score - L)) <= exp(score - L). The upper 31 bits of the complement of
    v's word bound 1 - u from below, so that two logarithms for every token are spared.
    """
    likely, tokens = scores.topk(min(4, scores.shape[1]))
    reached = (likely.double() + gumbel_noise(s, g, tokens)).amax(dim=1, keepdim=True)
    slack = 1e-3 + 1e-6 * reached.abs()  # covers rounding to float32, here and below
    limit = (scores - (reached - slack).float()).exp_().mul_(2.0**31).add_(1.0)
    limit.masked_fill_(scores == _REMOVED, -1.0)
    left = torch.empty(scores.shape, dtype=torch.bool, device=scores.device)
    plus_one = torch.arange(1, scores.shape[1] + 1, device=scores.device)
    size = max(1, _CHUNK // scores.shape[1])
    for start in range(0, len(scores), size):
        part = slice(start, start + size)
        words = _half_mixed(torch.addcmul(s[part], plus_one, g[part]))
        torch.le(words.float(), limit[part], out=left[part])
    return left


def _half_mixed(x: torch.Tensor) -> torch.Tensor:
    """Return the upper 31 bits of the complement of mix(x), in place of x."""
    y = x >> 30
    x.bitwise_xor_(y.bitwise_and_((1 << 34) - 1)).mul_(_signed(_M1))
    torch.bitwise_right_shift(x, 27, out=y)
    x.bitwise_xor_(y.bitwise_and_((1 << 37) - 1)).mul_(_signed(_M2))
    return x.bitwise_right_shift_(33).bitwise_not_().bitwise_and_((1 << 31) - 1)
