"""Logs of Inspect: prompts, responses and scores; epochs are repeats.

JSON is read directly, as Inspect writes it or `inspect log dump` prints it. The layout of `.eval`
files is not frozen: they are read by inspect_ai where that is installed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from safebench.errors import InteropError, MissingDependencyError, visible
from safebench.evidence.tables import Status
from safebench.harness.task_yaml import shipped_file
from safebench.importing.facts import file_error, first_words, show
from safebench.importing.folders import leads_outside, walk
from safebench.importing.inspect.header import (
    decoding_of,
    header_facts,
    intended_prompts,
    left_over,
    loaded_of,
    part_of_dataset,
)
from safebench.importing.inspect.sample import AS_WRITTEN, Sample, read_sample
from safebench.importing.inspect.scorers import (
    first_scorer,
    judge_facts,
    scorers_without_scores,
)
from safebench.importing.interface import (
    STATUS_OPTION,
    STATUSES,
    At,
    Collected,
    ModelKey,
    Reader,
    Response,
    each_source,
    joined,
    row_error,
)
from safebench.importing.prompts import SYSTEM, PromptHeader, SentPrompt
from safebench.importing.record import Record, parse_record, read_record
from safebench.models.quiet import raised_as
from safebench.words import count

_FIX = "give a log of an evaluation that ended, with its samples"


def read_inspect(
    path: Path,
    model: ModelKey,
    *,
    decoding: str | None = None,
    repeat: int | None = None,
    limit: int | None = None,
    status: Mapping[str, Status] | None = None,
) -> Collected:
    """Return the responses in a log, or in a folder of logs of one model.

    Args:
        path: A log, or a folder of logs.
        model: Which model it is.
        decoding: Name of the decoding for the card.
        repeat: Number of the first epoch, from 1, where epochs were run separately.
        limit: Number of samples to read, from the first; None is all.
        status: What reasons for which a response ended mean, beside those of `STATUSES`.

    Raises:
        InteropError: a log is damaged or marked as invalid, did not end well, holds no samples,
            or two runs are mixed.
        MissingDependencyError: a `.eval` file, and inspect_ai is not installed.
    """
    parts = []
    logs: list[_Log] = []
    for file in _files(path):
        log = _Log.of(file)
        for other in logs:
            _check_one_run(other, log)
        logs.append(log)
        samples = _samples(log, {**STATUSES, **(status or {})})
        parts.append(_collected(log, samples, model, decoding, repeat or 1, limit))
    return joined(parts)


@dataclass(frozen=True)
class _Log:
    """One log of one task."""

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
            what = "not a log of Inspect: it has no `eval` with task and model"
            fix = "give what Inspect wrote, or what `inspect log dump` prints"
            raise file_error(file, what, fix)
        status = record.text("status")
        if status != "success":
            error = record.at("error").text("message")
            why = f" ({show(error)})" if error else ""
            raise file_error(file, f"status is {show(status)}{why}", _FIX)
        samples = [one for one in record.items("samples") or [] if isinstance(one, dict)]
        if record.flag("invalidated") and not any(one.get("invalidation") for one in samples):
            raise file_error(file, "its owner has marked it as invalidated", _FIX)
        return cls(file, record, task.rpartition("/")[2], model)


def _files(path: Path) -> list[Path]:
    """Return the logs that a path names; links out of a folder are not followed."""
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise file_error(path, "no such file or folder", "check the path")
    fix = "give a folder with .eval or .json files of one model"
    inside = (file for file in walk(path, fix) if file.suffix in (".json", ".eval"))
    found = sorted(file for file in inside if file.is_file() and not leads_outside(file, path))
    if not found:
        raise file_error(path, "holds no logs", fix)
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
    # it raises what its readers of zip and JSON raise
    with raised_as(InteropError, visible(f"{file}: cannot be read"), fix="copy the log again"):
        log = read_eval_log(str(file))
    return parse_record(log.model_dump_json(exclude_none=True).encode(), file)


def _check_one_run(log: _Log, other: _Log) -> None:
    if other.model != log.model:
        raise file_error(
            other.file,
            f"two models: this log is of {other.model}, and {log.file} of {log.model}",
            "give the logs of one model for each --base and --tuned",
        )
    if other.task == log.task:
        raise file_error(
            other.file,
            f"task {log.task} was run twice: also in {log.file}",
            "name the log to import; give repeats one by one: repeat=1:LOG, repeat=2:LOG",
        )


def _collected(
    log: _Log,
    samples: list[Sample],
    model: ModelKey,
    decoding: str | None,
    first: int,
    limit: int | None,
) -> Collected:
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
    judges = {name: scorer for one in samples for name, scorer in one.scorers.items()}
    grading = any(one.grading for one in samples)
    remarks += _notes(log.file, samples)
    header = [*header_facts(log.record, log.task)]
    header += judge_facts(log.record, judges, grading=grading)
    if silent := scorers_without_scores(log.record, judges):
        remarks.append(f"{log.file}: no sample has a score of {first_words(silent)}, so no judge")
    part, picked = part_of_dataset(log.record, log.task, len(ids))
    header += part if limit is None or limit >= len(ids) else []
    remarks += picked
    if any(place == SYSTEM for place, _ in facts):
        # what was sent is better evidence than what was intended
        header = [fact for fact in header if fact.place != SYSTEM]
    return Collected(
        samples=responses,
        facts=(*header, *settings, *facts.values()),
        files=(log.file,),
        remarks=tuple(remarks),
        extra=left_over(log.record),
        loaded={model: (loaded_of(log.record),)},
        sent=tuple(_sent(log, samples)),
    )


def _notes(file: Path, samples: Sequence[Sample]) -> Iterator[str]:
    """Yield the notes on samples, each once, with the number of samples."""
    counts = Counter(note for one in samples for note in one.notes)
    for note, number in counts.items():
        yield f"{file}: {number} of {count(len(samples), 'response')} {note}"


def _samples(log: _Log, statuses: Mapping[str, Status]) -> list[Sample]:
    """Return every sample; an epoch of a sample may occur only once."""
    items = log.record.items("samples") or []
    if not items:
        fix = "give the whole log, with log_samples on; `--header-only` leaves samples out"
        raise file_error(log.file, "results without samples", fix)
    found, scorer = [], first_scorer(log.record)
    places: dict[tuple[str | None, int], At] = {}
    for number, item in enumerate(items, start=1):
        at = At(log.file, number, "sample")
        if not isinstance(item, dict):
            raise row_error(at, f"it is {show(item)}, expected a mapping", _FIX)
        record = Record(log.file, item, f"samples[{number - 1}]")
        one = read_sample(record, at, log.model, scorer, statuses)
        name, epoch = one.response.prompt_id, one.response.repeat
        first = places.setdefault((name, epoch), at)
        if first is not at:
            raise row_error(at, f"sample {name}, epoch {epoch} is at {first} too", AS_WRITTEN)
        found.append(one)
    return found


def _sent(log: _Log, samples: Iterable[Sample]) -> Iterator[SentPrompt]:
    """Yield prompts as they were sent, where the log keeps that.

    In safebench's tasks nothing surrounds a prompt but the messages that the log itself shows.
    """
    kept = [one for one in samples if one.sent.turns]
    whole = all(one.sent.whole for one in kept)
    own = shipped_file(log.task) is not None
    declared = tuple(intended_prompts(log.record))
    header = PromptHeader(log.file, declared, words=frozenset(), whole=whole)
    for one in kept:
        prompt = one.response.prompt if own else None
        yield SentPrompt(one.response.at, one.sent.turns, header, prompt)


def _check_complete(log: _Log, responses: Sequence[Response], *, limited: bool) -> None:
    """Check that no epoch lacks a sample, and no sample that the results count is missing."""
    present = {(one.prompt_id, one.repeat) for one in responses}
    for epoch in sorted({epoch for _, epoch in present}):
        for name in dict.fromkeys(one.prompt_id for one in responses):
            if (name, epoch) not in present:
                raise file_error(log.file, f"sample {name} has no epoch {epoch}", _FIX)
    total = log.record.at("results").whole("total_samples")
    if total is not None and total > len(present) and not limited:
        what = f"has {len(present):,} samples, but its results say {total:,}"
        fix = "give the whole log; or import only its first prompts with --limit"
        raise file_error(log.file, what, fix)


READER = Reader(
    each_source(read_inspect),
    help="""Make a submission from logs of Inspect.

    \b
    DIR  a log (.eval, .json, or what `inspect log dump` prints), or a folder of logs of one model

    Epochs become repeats, and scorers become judges whose verdicts are kept. A log does not say
    what their grades mean for harm or over-refusal; say so with --label.

    \b
    safebench import inspect --base logs/base --tuned seed=1,checkpoint=2:logs/s1 --out submission
    """,
    options=(STATUS_OPTION,),
)
