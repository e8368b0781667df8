"""One sample of an Inspect log: prompt, response, how the response ended, scores."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from safebench.errors import InteropError
from safebench.evidence.tables import Status
from safebench.importing.facts import Fact, Nothing, first_words, show
from safebench.importing.inspect.fields import NOT_KEPT
from safebench.importing.inspect.scorers import judge_name
from safebench.importing.interface import At, ModelKey, ReportedVerdict, Response, row_error
from safebench.importing.record import Record

_VALUES = {"C": 1.0, "I": 0.0, "P": 0.5, "N": 0.0}
"""Correct, incorrect, partially correct, no answer: as Inspect's own value_to_float has them."""
_MEDIA = ("image", "audio", "video", "document")
"""Parts of a message that are no text and that a model answers."""
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
    model: str | None = None
    """The model that was called, by its name in the log."""


@dataclass(frozen=True)
class Sample:
    """One sample of a log."""

    response: Response
    """Its epoch is the repeat; model, task and decoding are not set yet."""
    facts: tuple[Fact, ...]
    """What it says about the card's fields."""
    sent: Sent
    scorers: Mapping[str, str] = field(default_factory=dict)
    """The scorer of each judge."""
    grading: bool = False
    """Whether a score holds the conversation with a model that graded."""
    notes: tuple[str, ...] = ()
    """What a person should know: that a limit ended it, or a reason that has no status."""


def _wrong(at: At, what: str) -> InteropError:
    return row_error(at, what, AS_WRITTEN)


def read_sample(
    sample: Record, at: At, model: str, scorer: str, statuses: Mapping[str, Status]
) -> Sample:
    """Return a sample as a response, what it says about the card, and how its prompt was sent.

    `model` is the evaluated one, and `scorer` is that of a score without a name, as old logs write
    it.

    Raises:
        InteropError: something in it makes no sense, or its owner calls it invalid.
    """
    _check_owner(sample, at, model)
    name = sample.data.get("id")
    if isinstance(name, bool) or not isinstance(name, str | int):
        raise _wrong(at, f"id is {show(name)}")
    prompt, system, turns = _prompt(sample, at)
    sent = _sent(sample, at)
    facts = tuple(_prompting(sample, sent, system, turns, at))
    text, status, new_tokens, rest = _output(sample, at, statuses)
    extra = {key: value for key, value in sample.data.items() if key not in NOT_KEPT and value}
    if rest:
        extra["output"] = rest
    judged, scorers, scores = _judged(sample, at, scorer)
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
    if status == "error":  # its log may end before the prompt was complete
        sent = Sent()
    about = (one.get("metadata") for one in scores.values())
    grading = any(isinstance(one, dict) and "grading" in one for one in about)
    notes = tuple(_notes(sample, rest, sent.model or model, model))
    return Sample(response, facts, sent, scorers, grading, notes)


def _check_owner(sample: Record, at: At, model: str) -> None:
    """Check that whoever made the log counts the sample, and that the model itself answered."""
    if mark := sample.mapping("invalidation"):
        why = mark.text("reason")
        raise row_error(
            at,
            "its owner has marked it as invalid" + (f": {show(why)}" if why else ""),
            "have the sample run again (inspect eval-retry LOG), and give the new log",
        )
    for other in sample.items("model_fallbacks") or []:
        asked = other.get("model") if isinstance(other, dict) else None
        if isinstance(asked, str) and asked.rpartition("/")[2] == model.rpartition("/")[2]:
            instead = show(other.get("fallback_model"))
            what = f"{instead} answered instead of {asked}, as a fallback"
            raise row_error(at, what, "give a log that was made without fallback_models")


def _notes(sample: Record, output: Mapping[str, Any], called: str, evaluated: str) -> Iterator[str]:
    limit = sample.mapping("limit")
    if limit is not None:
        yield f"ended by a limit ({limit.data.get('type')})"
    if "stop_reason" in output:
        yield f"ended for the reason {show(output['stop_reason'])}, which --status can map"
    if called.rpartition("/")[2] != evaluated.rpartition("/")[2]:
        yield f"came from {called}, and the header says {evaluated}"


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
        texts.setdefault(role, []).append(_asked(message.get("content"), at))
    users = texts.get("user", [])
    if not users:
        raise _wrong(at, "no message of a user in its input")
    system = "\n".join(texts["system"]) if "system" in texts else None
    return users[-1], system, len(users)


def _sent(sample: Record, at: At) -> Sent:
    """Return what was sent: the first call of the model, or else the transcript.

    Inspect adds a system message of the settings at the call, so that no transcript shows it.
    """
    transcript = sample.at("transcript")  # where logs had events and texts once
    texts = sample.at("attachments").data or transcript.at("content").data
    listed = sample.items("events") or transcript.items("events") or []
    events = (event for event in listed if isinstance(event, dict))
    # a model with a role is a grader, or another that was not evaluated
    calls = (event for event in events if event.get("event") == "model" and not event.get("role"))
    call = next(calls, {})
    settings = call.get("config")
    settings = settings if isinstance(settings, dict) else {}
    model = call.get("model") if isinstance(call.get("model"), str) else None
    sent = call.get("input") or _pooled(sample, call.get("input_refs"))
    for messages, whole in ((sent, True), (sample.items("messages"), False)):
        turns = _turns(messages, texts, at)
        if any(role == "user" for role, _ in turns):
            return Sent(turns, whole, settings, model)
    return Sent(settings=settings, model=model)


def _pooled(sample: Record, places: Any) -> list[Any]:
    """Return messages that events share: from and to places in the sample's pool."""
    pool = sample.at("events_data").items("messages") or []
    ranges = [place for place in places or () if isinstance(place, list) and len(place) == 2]
    return [one for start, end in ranges for one in pool[start:end]]


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


def _asked(content: Any, at: At) -> str:
    """Return the text of a message to the model; a card describes nothing but text."""
    text, others = _text(content, at)
    media = [str(part.get("type")) for part in others if part.get("type") in _MEDIA]
    if media:
        kinds = first_words(dict.fromkeys(media))
        what = f"its prompt holds more than text ({kinds}), and a card describes text alone"
        raise row_error(at, what, "give a log of samples whose prompts are text alone")
    return text


def _target(sample: Record, at: At) -> str | None:
    target = sample.data.get("target")
    if isinstance(target, list):
        if len(target) > 1:
            return "\n".join(str(one) for one in target)
        target = target[0] if target else None
    if target is None or isinstance(target, str):
        return target or None
    raise _wrong(at, f"target is {show(target)}, expected a text")


def _output(
    sample: Record, at: At, statuses: Mapping[str, Status]
) -> tuple[str | None, Status, int | None, dict[str, Any]]:
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
    reason = choice.get("stop_reason")
    status = statuses.get(str(reason).lower())
    if status is None and reason not in (None, "unknown"):
        rest["stop_reason"] = reason
    return text, status or "unrecorded", new_tokens, rest


def _judged(
    sample: Record, at: At, unnamed: str
) -> tuple[dict[str, ReportedVerdict], dict[str, str], dict[str, Any]]:
    """Return the scores as verdicts, the scorer of each judge, and what else scores hold."""
    judged: dict[str, ReportedVerdict] = {}
    scorers: dict[str, str] = {}
    rest: dict[str, Any] = {}
    scores = sample.at("scores").data
    if not scores and sample.data.get("score") is not None:
        scores = {unnamed: sample.data["score"]}
    for scorer, score in scores.items():
        if score is not None and not isinstance(score, dict):
            raise _wrong(at, f"score of {scorer} is {show(score)}, expected a mapping")
        for name, value in _values(scorer, (score or {}).get("value")):
            if name in judged:
                raise _wrong(at, f"two scores have the name {name}")
            judged[name], scorers[name] = _value(value, scorer, at), scorer
        others = {key: value for key, value in (score or {}).items() if key != "value" and value}
        if others:
            rest[scorer] = others
    return judged, scorers, rest


def _values(scorer: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Yield the values of a score, each under a name of its own where there are several."""
    parts = dict(enumerate(value, 1)) if isinstance(value, list) else value
    if not isinstance(parts, dict):
        yield judge_name(scorer), value
        return
    for name, part in parts.items():
        yield judge_name(f"{scorer}.{name}"), part


def _value(value: Any, scorer: str, at: At) -> ReportedVerdict:
    """Return a grade: its word, and a score where Inspect's own value_to_float has one.

    What a grade means for harm is another question, which no log answers.
    """
    if isinstance(value, str):
        return ReportedVerdict(value or None, _VALUES.get(value))
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ReportedVerdict()  # Inspect's mark of a sample that a scorer could not score
    if not isinstance(value, int | float) or not math.isfinite(value):
        raise _wrong(at, f"score of {scorer} is {show(value)}, expected a word or a number")
    word = str(value) if isinstance(value, bool) else f"{value:g}"
    return ReportedVerdict(word, float(value) if 0 <= value <= 1 else None)
