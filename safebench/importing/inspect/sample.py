"""One sample of an Inspect log: prompt, response, how the response ended, scores."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from safebench.errors import InteropError
from safebench.evidence.tables import Status
from safebench.importing.facts import Fact, Nothing, show
from safebench.importing.inspect.header import judge_name
from safebench.importing.interface import At, ModelKey, ReportedVerdict, Response, row_error
from safebench.importing.record import Record

_STOPS: dict[str, Status] = {
    "stop": "ok",
    "max_tokens": "truncated",
    "model_length": "truncated",
    "content_filter": "blocked",
}
_VALUES = {"C": 1.0, "I": 0.0, "P": 0.5, "N": 0.0}
"""Correct, incorrect, partially correct, no answer: as Inspect's own value_to_float has them."""
_FIELDS = ("id", "epoch", "input", "target", "output", "scores", "error", "messages")
"""Fields of a sample that are not kept as extra."""
AS_WRITTEN = "give the log as Inspect wrote it"
_ATTACHED = "attachment://"
_Turns = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Sent:
    """How a prompt was sent, as far as the log shows."""

    turns: _Turns = ()
    """Role and text of each message but the model's own; empty where the log keeps none."""
    whole: bool = False
    """Whether this is the call of the model, so that nothing was added afterwards."""
    settings: dict[str, Any] = field(default_factory=dict)
    """Settings of that call."""


@dataclass(frozen=True)
class Sample:
    """One sample of a log."""

    response: Response
    """Its epoch is the repeat; model, task and decoding are not set yet."""
    facts: tuple[Fact, ...]
    """What it says about the card's fields."""
    sent: Sent


def _wrong(at: At, what: str) -> InteropError:
    return row_error(at, what, AS_WRITTEN)


def read_sample(sample: Record, at: At) -> Sample:
    """Return a sample as a response, what it says about the card, and how its prompt was sent.

    Raises:
        InteropError: something in it makes no sense.
    """
    name = sample.data.get("id")
    if isinstance(name, bool) or not isinstance(name, str | int):
        raise _wrong(at, f"id is {show(name)}")
    prompt, system, turns = _prompt(sample, at)
    sent = _sent(sample, at)
    facts = tuple(_prompting(sample, sent, system, turns, at))
    text, status, new_tokens, rest = _output(sample, at)
    extra = {key: value for key, value in sample.data.items() if key not in _FIELDS and value}
    if rest:
        extra["output"] = rest
    judged, scores = _judged(sample, at)
    response = Response(
        model=ModelKey("base"),
        decoding="",
        repeat=sample.whole("epoch") or 1,
        task="",
        prompt=prompt,
        response=text,
        at=at,
        prompt_id=str(name),
        target=_target(sample, at),
        status=status,
        new_tokens=new_tokens,
        judged=judged,
        extra=extra | ({"scores": scores} if scores else {}),
    )
    return Sample(response, facts, Sent() if status == "error" else sent)


def _prompt(sample: Record, at: At) -> tuple[str, str | None, int]:
    """Return the last user message, the system message, and the number of user turns."""
    messages = sample.data.get("input")
    if isinstance(messages, str):
        return messages, None, 1
    if not isinstance(messages, list) or not messages:
        raise _wrong(at, f"input is {show(messages)}, expected a text or messages")
    texts: dict[str, list[str]] = {}
    for message in messages:
        if not isinstance(message, dict):
            raise _wrong(at, f"a message is {show(message)}")
        role = str(message.get("role"))
        texts.setdefault(role, []).append(_text(message.get("content"), at)[0])
    users = texts.get("user", [])
    if not users:
        raise _wrong(at, "no message of a user in its input")
    system = "\n".join(texts["system"]) if "system" in texts else None
    return users[-1], system, len(users)


def _sent(sample: Record, at: At) -> Sent:
    """Return what was sent: the first call of the model, or else the transcript.

    Inspect adds a system message of the settings at the call, so that no transcript shows it.
    """
    texts = sample.at("attachments").data
    events = (event for event in sample.items("events") or [] if isinstance(event, dict))
    call = next((event for event in events if event.get("event") == "model"), {})
    settings = call.get("config")
    settings = settings if isinstance(settings, dict) else {}
    for messages, whole in ((call.get("input"), True), (sample.items("messages"), False)):
        turns = _turns(messages, texts, at)
        if any(role == "user" for role, _ in turns):
            return Sent(turns, whole, settings)
    return Sent(settings=settings)


def _turns(messages: Any, attached: dict[str, Any], at: At) -> _Turns:
    found = []
    for message in messages if isinstance(messages, list) else ():
        if isinstance(message, dict) and message.get("role") != "assistant":
            text = _text(message.get("content"), at)[0]
            if text.startswith(_ATTACHED):
                text = str(attached.get(text.removeprefix(_ATTACHED), text))
            found.append((str(message.get("role")), text))
    return tuple(found)


def _prompting(
    sample: Record, sent: Sent, system: str | None, turns: int, at: At
) -> Iterator[Fact]:
    """Yield what surrounded the prompt: as it was sent, or else as the input has it."""
    key = "samples[].input"
    if sent.turns:
        key = "samples[].events" if sent.whole else "samples[].messages"
        transcript = _turns(sample.items("messages"), {}, at) or sent.turns
        turns = sum(role == "user" for role, _ in transcript)
        first = next(n for n, (role, _) in enumerate(sent.turns) if role == "user")
        texts = [text for role, text in sent.turns[:first] if role == "system"]
        system = "\n".join(texts) or None
    elif system is None and turns == 1:
        return
    place = ("prompting", "system_prompt")
    yield Fact(place, system or Nothing(), sample.file, key, varies=True)
    yield Fact(("prompting", "turns"), turns, sample.file, key, varies=True)


def _text(content: Any, at: At) -> tuple[str, list[Any]]:
    """Return a message's text, and its parts that are not text: reasoning, images."""
    if content is None or isinstance(content, str):
        return content or "", []
    if not isinstance(content, list):
        raise _wrong(at, f"content is {show(content)}")
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
    raise _wrong(at, f"target is {show(target)}, expected a text")


def _output(sample: Record, at: At) -> tuple[str | None, Status, int | None, dict[str, Any]]:
    output = sample.mapping("output")
    failed = sample.data.get("error") is not None
    if output is None or failed:
        return None, "error", None, {} if output is None else dict(output.data)
    choices = output.items("choices") or []
    if len(choices) > 1:
        what = f"{len(choices)} choices in one sample"
        raise row_error(at, what, "sample repeats as epochs: one choice is one response")
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
        raise _wrong(at, f"its choice has no message: {show(choices[0])}")
    text, others = _text(message.get("content"), at)
    if others:
        rest["parts"] = others
    reason = str(choice.get("stop_reason"))
    if reason not in _STOPS:
        rest["stop_reason"] = choice.get("stop_reason")
    return text, _STOPS.get(reason, "unrecorded"), new_tokens, rest


def _judged(sample: Record, at: At) -> tuple[dict[str, ReportedVerdict], dict[str, Any]]:
    """Return the scores as verdicts, and everything but their values as extra."""
    judged: dict[str, ReportedVerdict] = {}
    rest: dict[str, Any] = {}
    for scorer, score in sample.at("scores").data.items():
        if not isinstance(score, dict) or "value" not in score:
            raise _wrong(at, f"score of {scorer} is {show(score)}, expected a value")
        judged[judge_name(scorer)] = _value(score["value"], scorer, at)
        others = {key: value for key, value in score.items() if key != "value" and value}
        if others:
            rest[scorer] = others
    return judged, rest


def _value(value: Any, scorer: str, at: At) -> ReportedVerdict:
    """Return a grade: its word, and a score where Inspect's own value_to_float has one.

    What a grade means for harm is another question, which no log answers.
    """
    if isinstance(value, str):
        return ReportedVerdict(value, _VALUES.get(value))
    if not isinstance(value, int | float) or not math.isfinite(value):
        raise _wrong(at, f"score of {scorer} is {show(value)}, expected a word or a number")
    word = str(value) if isinstance(value, bool) else f"{value:g}"
    return ReportedVerdict(word, float(value) if 0 <= value <= 1 else None)
