"""Logs of Inspect: what was asked, answered and scored; epochs are repeats.

Read from JSON, as Inspect writes it or `inspect log dump` prints it; a `.eval` file, whose layout
is not frozen, through inspect_ai where that is installed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from safebench.errors import InteropError, MissingDependencyError, visible
from safebench.importing.facts import Fact, show
from safebench.importing.inspect.header import (
    decoding_of,
    header_facts,
    intended_prompts,
    left_of_header,
    loaded_of,
    unlisted_judge,
)
from safebench.importing.inspect.sample import Sample, read_sample
from safebench.importing.interface import (
    At,
    Collected,
    ModelKey,
    Reader,
    Response,
    Source,
    each_source,
    joined,
    own_task,
    row_error,
)
from safebench.importing.prompts import SYSTEM, PromptHeader, SentPrompt
from safebench.importing.record import Record, parse_record, read_record

_AGAIN = "give a log of an evaluation that ended, with its samples"
_SUFFIXES = (".json", ".eval")


def read_inspect(
    path: Path,
    model: ModelKey,
    *,
    decoding: str | None = None,
    repeat: int | None = None,
    limit: int | None = None,
) -> Collected:
    """Return the responses in a log, or in a folder of logs of one model.

    Args:
        path: A log, or a folder of logs.
        model: Which model it is.
        decoding: Name of the decoding for the card.
        repeat: Number of the first epoch, from 1, where epochs were run separately.
        limit: Only the first samples are read; None is all.

    Raises:
        InteropError: a log is damaged, did not end well, holds no samples, or two runs are mixed.
        MissingDependencyError: a `.eval` file, and inspect_ai is not installed.
    """
    parts = []
    seen: dict[str, _Log] = {}
    for file in _logs(path):
        log = _Log.of(file)
        _check_one_run(log, seen)
        parts.append(_collected(log, model, decoding, repeat or 1, limit))
    return joined(parts)


@dataclass(frozen=True)
class _Log:
    """One log."""

    file: Path
    record: Record = field(repr=False)
    task: str
    model: str

    @classmethod
    def of(cls, file: Path) -> _Log:
        record = _read_eval(file) if file.suffix == ".eval" else read_record(file)
        header = record.at("eval")
        task, model = header.text("task"), header.text("model")
        if task is None or model is None:
            raise InteropError(
                f"{visible(str(file))} is no log of Inspect: it has no `eval` with task and model",
                fix="give what Inspect wrote, or what `inspect log dump` prints",
            )
        status = record.text("status")
        if status != "success":
            error = record.at("error").text("message")
            why = f" ({show(error)})" if error else ""
            raise InteropError(f"{visible(str(file))}: status is {show(status)}{why}", fix=_AGAIN)
        return cls(file, record, task.rpartition("/")[2], model)


def _logs(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise InteropError(f"{visible(str(path))}: no such file or folder", fix="check the path")
    inside = path.resolve()
    found = sorted(
        file
        for file in path.rglob("*")
        if file.suffix in _SUFFIXES and file.is_file() and file.resolve().is_relative_to(inside)
    )
    if not found:
        raise InteropError(
            f"{visible(str(path))} holds no logs", fix="give a folder with .eval or .json files"
        )
    return found


def _read_eval(file: Path) -> Record:
    try:
        from inspect_ai.log import read_eval_log
    except ImportError as problem:
        raise MissingDependencyError(
            f"{visible(str(file))} is read by inspect_ai, which is not installed",
            fix="pip install 'safebench[inspect]', or write it as JSON: inspect log dump "
            f"{file.name} > log.json",
        ) from problem
    try:
        log = read_eval_log(str(file))
    except Exception as problem:  # it raises what its readers of zip and JSON raise
        raise InteropError(
            f"{visible(str(file))} cannot be read: {visible(str(problem).splitlines()[0])}",
            fix="copy the log again",
        ) from problem
    return parse_record(log.model_dump_json(exclude_none=True).encode(), file)


def _check_one_run(log: _Log, seen: dict[str, _Log]) -> None:
    for task, other in seen.items():
        if other.model != log.model:
            raise InteropError(
                f"two models: {visible(str(other.file))} is of {visible(other.model)}, "
                f"{visible(str(log.file))} of {visible(log.model)}",
                fix="give the logs of one model for each --base and --tuned",
            )
        if task == log.task:
            raise InteropError(
                f"task {visible(task)} was run twice: {visible(str(other.file))} and "
                f"{visible(str(log.file))}",
                fix="name the one that counts; runs that are repeats are given one by one: "
                "repeat=1:LOG, repeat=2:LOG",
            )
    seen[log.task] = log


def _collected(
    log: _Log, model: ModelKey, decoding: str | None, first: int, limit: int | None
) -> Collected:
    samples = _samples(log)
    _check_complete(log, [one.response for one in samples], limited=limit is not None)
    ids = dict.fromkeys(one.response.prompt_id for one in samples)
    kept = set(list(ids)[:limit])
    samples = [one for one in samples if one.response.prompt_id in kept]
    calls = [(one.response.at, one.sent.settings) for one in samples]
    key, settings, seed, remarks = decoding_of(log.record, decoding, calls)
    responses = tuple(
        replace(
            one.response,
            task=log.task,
            model=model,
            decoding=key,
            repeat=one.response.repeat + first - 1,
            generation_seed=seed,
        )
        for one in samples
    )
    facts = {(fact.place, str(fact.value)): fact for one in samples for fact in one.facts}
    header = [*header_facts(log.record, log.task)]
    header += _unlisted(header, responses, log.file)
    if any(place == SYSTEM for place, _ in facts):
        header = [fact for fact in header if fact.place != SYSTEM]  # what was sent is nearer
    return Collected(
        samples=responses,
        facts=(*header, *settings, *facts.values()),
        files=(log.file,),
        remarks=tuple(remarks),
        extra=left_of_header(log.record, log.file),
        loaded={model: (loaded_of(log.record),)},
        sent=tuple(_sent(log, samples)),
    )


def _samples(log: _Log) -> list[Sample]:
    """Return every sample once."""
    items = log.record.items("samples") or []
    if not items:
        raise InteropError(
            f"{visible(str(log.file))}: results without samples",
            fix="give the whole log, with log_samples on; `inspect log dump --header-only` leaves "
            "samples out",
        )
    found = []
    places: dict[tuple[str | None, int], At] = {}
    for number, item in enumerate(items, start=1):
        at = At(log.file, number, "sample")
        if not isinstance(item, dict):
            raise row_error(at, f"it is {show(item)}, expected a mapping", _AGAIN)
        one = read_sample(Record(log.file, item, f"samples[{number - 1}]"), at)
        name, epoch = one.response.prompt_id, one.response.repeat
        before = places.setdefault((name, epoch), at)
        if before is not at:
            what = f"sample {name}, epoch {epoch} is at {before} too"
            raise row_error(at, what, "give the log as Inspect wrote it")
        found.append(one)
    return found


def _sent(log: _Log, samples: Iterable[Sample]) -> Iterator[SentPrompt]:
    """Yield prompts as they were sent, where the log keeps that.

    In safebench's tasks nothing surrounds a prompt but the messages that the log itself shows.
    """
    kept = [one for one in samples if one.sent.turns]
    whole = all(one.sent.whole for one in kept)
    own = own_task(log.task)
    declared = tuple(intended_prompts(log.record))
    header = PromptHeader(log.file, declared, words=frozenset(), whole=whole)
    for one in kept:
        prompt = one.response.prompt if own else None
        yield SentPrompt(one.response.at, one.sent.turns, header, prompt)


def _unlisted(header: list[Fact], responses: Iterable[Response], file: Path) -> Iterator[Fact]:
    """Yield entries of judges with verdicts that the header does not list."""
    listed = {fact.place[1] for fact in header if fact.place[0] == "judge"}
    for name in dict.fromkeys(name for response in responses for name in response.judged):
        if name not in listed:
            yield from unlisted_judge(name, file)


def _check_complete(log: _Log, responses: Sequence[Response], *, limited: bool) -> None:
    """Raise InteropError where a sample of an epoch is missing."""
    there = {(one.prompt_id, one.repeat) for one in responses}
    for epoch in sorted({epoch for _, epoch in there}):
        for name in dict.fromkeys(one.prompt_id for one in responses):
            if (name, epoch) not in there:
                raise InteropError(
                    f"{visible(str(log.file))}: sample {visible(str(name))} has no epoch {epoch}",
                    fix=_AGAIN,
                )
    total = log.record.at("results").whole("total_samples")
    if total is not None and total > len(there) and not limited:
        raise InteropError(
            f"{visible(str(log.file))} has {len(there):,} samples, but its results say {total:,}",
            fix="give the whole log; or import the first prompts alone with --limit",
        )


def _read(sources: Sequence[Source], options: Mapping[str, Any]) -> Collected:
    return each_source(
        sources,
        lambda source, model: read_inspect(
            source.path,
            model,
            decoding=source.decoding,
            repeat=source.repeat,
            limit=options["limit"],
        ),
    )


READER = Reader(
    _read,
    help="""Make a submission of logs of Inspect.

    \b
    DIR  a log (.eval, .json, or what `inspect log dump` prints), or a folder of logs of one model

    Epochs become repeats, and scorers become judges whose verdicts are kept. A log does not say
    what their grades mean for harm or over-refusal: --label does.

    \b
    safebench import inspect --base logs/base --tuned seed=1,checkpoint=2:logs/s1 --out submission
    """,
)
