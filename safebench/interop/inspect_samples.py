"""One sample of a log of Inspect: prompt, response, how it ended, what scorers said."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from safebench.card.results import Condition
from safebench.evidence.tables import Status
from safebench.interop.facts import Fact, Nothing, show
from safebench.interop.record import Record
from safebench.interop.samples import At, Judged, ModelKey, Sampled, wrong

_STOPS: dict[str, Status] = {
    "stop": "ok", "max_tokens": "truncated", "model_length": "truncated",
    "content_filter": "blocked",
}  # fmt: skip
_VALUES = {"C": 1.0, "I": 0.0, "P": 0.5, "N": 0.0}
"""Correct, incorrect, partially correct, no answer: as Inspect's own value_to_float has them."""
_VERDICTS = ("refused", "partial", "complied", "incoherent")
_KNOWN = ("id", "epoch", "input", "target", "output", "scores", "error", "messages")
_AS_WRITTEN = "give the log as Inspect wrote it"
_BASE: Condition = "base"


def read_sample(sample: Record, at: At, labels: Mapping[str, str]) -> tuple[Sampled, list[Fact]]:
    """Return a sample as a response, and what it says of the card; its epoch is the repeat.

    Raises:
        InteropError: something in it makes no sense, or a scorer's word means nothing here.
    """
    name = sample.data.get("id")
    if isinstance(name, bool) or not isinstance(name, str | int):
        raise wrong(at, f"id is {show(name)}", _AS_WRITTEN)
    prompt, system, turns = _prompt(sample, at)
    facts = list(_prompting(sample, system, turns, at))
    response, status, new_tokens, rest = _output(sample, at)
    extra = {key: value for key, value in sample.data.items() if key not in _KNOWN and value}
    if rest:
        extra["output"] = rest
    judged, said = _judged(sample, at, labels)
    return (
        Sampled(
            model=ModelKey(_BASE),
            decoding="",
            repeat=sample.whole("epoch") or 1,
            task="",
            prompt=prompt,
            response=response,
            at=at,
            prompt_id=str(name),
            target=_target(sample, at),
            status=status,
            new_tokens=new_tokens,
            judged=judged,
            extra={**extra, **({"scores": said} if said else {})},
        ),
        facts,
    )


def _prompt(sample: Record, at: At) -> tuple[str, str | None, int]:
    """Return the last user message, the system's, and how many turns of the user there are."""
    given = sample.data.get("input")
    if isinstance(given, str):
        return given, None, 1
    if not isinstance(given, list) or not given:
        raise wrong(at, f"input is {show(given)}, expected a text or messages", _AS_WRITTEN)
    texts: dict[str, list[str]] = {}
    for message in given:
        if not isinstance(message, dict):
            raise wrong(at, f"a message is {show(message)}", _AS_WRITTEN)
        role = str(message.get("role"))
        texts.setdefault(role, []).append(_text(message.get("content"), at)[0])
    users = texts.get("user", [])
    if not users:
        raise wrong(at, "no message of a user in its input", _AS_WRITTEN)
    system = "\n".join(texts["system"]) if "system" in texts else None
    return users[-1], system, len(users)


def _prompting(sample: Record, system: str | None, turns: int, at: At) -> Iterator[Fact]:
    """Yield what surrounded the prompt: the transcript says it, or the input alone."""
    key = "samples[].input"
    transcript = sample.items("messages") or []
    roles = [str(m.get("role")) if isinstance(m, dict) else "" for m in transcript]
    if "user" in roles:
        key = "samples[].messages"
        turns = roles.count("user")
        begun = transcript[: roles.index("user")]
        texts = [_text(m.get("content"), at)[0] for m in begun if m.get("role") == "system"]
        system = "\n".join(texts) or None
    elif system is None and turns == 1:
        return
    place = ("prompting", "system_prompt")
    yield Fact(place, system or Nothing(), sample.file, key, varies=True)
    yield Fact(("prompting", "turns"), turns, sample.file, key, varies=True)


def _text(content: Any, at: At) -> tuple[str, list[Any]]:
    """Return a message's text, and its parts that are none: reasoning, images."""
    if content is None or isinstance(content, str):
        return content or "", []
    if not isinstance(content, list):
        raise wrong(at, f"content is {show(content)}", _AS_WRITTEN)
    parts = [part for part in content if isinstance(part, dict)]
    texts = [part["text"] for part in parts if isinstance(part.get("text"), str)]
    return "\n".join(texts), [part for part in parts if not isinstance(part.get("text"), str)]


def _target(sample: Record, at: At) -> str | None:
    target = sample.data.get("target")
    if isinstance(target, list):
        if len(target) > 1:
            return "\n".join(str(one) for one in target)
        target = target[0] if target else None
    if target is None or isinstance(target, str):
        return target or None
    raise wrong(at, f"target is {show(target)}, expected a text", _AS_WRITTEN)


def _output(sample: Record, at: At) -> tuple[str | None, Status, int | None, dict[str, Any]]:
    output = sample.mapping("output")
    failed = sample.data.get("error") is not None
    if output is None or failed:
        return None, "error", None, {} if output is None else dict(output.data)
    choices = output.items("choices") or []
    if len(choices) > 1:
        raise wrong(
            at,
            f"{len(choices)} choices in one sample",
            "sample repeats as epochs: one choice is one response",
        )
    rest = {k: v for k, v in output.data.items() if k not in ("choices", "completion", "usage")}
    usage = output.mapping("usage")
    if usage is not None:
        rest["usage"] = usage.data
    new_tokens = usage.whole("output_tokens") if usage else None
    if not choices:
        completion = output.text("completion")
        return completion, "error" if completion is None else "unrecorded", new_tokens, rest
    choice = choices[0] if isinstance(choices[0], dict) else {}
    message = choice.get("message")
    if not isinstance(message, dict):
        raise wrong(at, f"its choice has no message: {show(choices[0])}", _AS_WRITTEN)
    text, others = _text(message.get("content"), at)
    if others:
        rest["parts"] = others
    reason = str(choice.get("stop_reason"))
    if reason not in _STOPS:
        rest["stop_reason"] = choice.get("stop_reason")
    return text, _STOPS.get(reason, "unrecorded"), new_tokens, rest


def judge_name(scorer: str) -> str:
    """Return the name under which a card lists a scorer."""
    return re.sub(r"[^a-z0-9_.-]+", "-", scorer.lower()).strip("-._")[:64] or "scorer"


def _judged(
    sample: Record, at: At, labels: Mapping[str, str]
) -> tuple[dict[str, Judged], dict[str, Any]]:
    """Return what scorers said, and everything beside their values."""
    scores = sample.mapping("scores")
    judged: dict[str, Judged] = {}
    rest: dict[str, Any] = {}
    for scorer, score in (scores.data if scores else {}).items():
        if not isinstance(score, dict) or "value" not in score:
            raise wrong(at, f"score of {scorer} is {show(score)}, expected a value", _AS_WRITTEN)
        judged[judge_name(scorer)] = _value(score["value"], scorer, at, labels)
        others = {key: value for key, value in score.items() if key != "value" and value}
        if others:
            rest[scorer] = others
    return judged, rest


def _value(value: Any, scorer: str, at: At, labels: Mapping[str, str]) -> Judged:
    word = labels.get(str(value), str(value))
    if word in _VERDICTS:
        return Judged(word)
    if isinstance(value, str) and value in _VALUES:
        return Judged(score=_VALUES[value])
    if isinstance(value, int | float) and 0 <= value <= 1:  # true and false among them
        return Judged(score=float(value))
    raise wrong(
        at,
        f"{scorer} says {show(value)}, which is neither a score from 0 to 1 nor a verdict",
        f"say what it means: --label '{value}=...', one of {', '.join(_VERDICTS)}",
    )
